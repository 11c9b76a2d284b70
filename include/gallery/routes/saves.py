"""Routes of saves: a new one, and how far it is."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from include.gallery.answers import answer
from include.gallery.guard import WriteLimits
from include.gallery.messages import DatasetType, SaveDemand
from include.gallery.parameters import ProjectName, SaveId, read_demand
from include.gallery.saves import Saves
from include.gallery.services import Rights
from include.gallery.snapshots import DatasetName

_SAVES_PER_MINUTE = 30


def router(rights: Rights, saves: Saves, limits: WriteLimits) -> APIRouter:
    """``POST /api/datasets/{project}/{dataset_type}/saves`` and ``GET …/saves/{save_id}``."""
    of_saves = APIRouter(prefix="/api/datasets/{project}/{dataset_type}/saves", dependencies=[Depends(rights.write)])

    @of_saves.post("", dependencies=[limits.per_minute(_SAVES_PER_MINUTE, "saves")])
    async def begin(
        request: Request, project: ProjectName, dataset_type: DatasetType, user: str = Depends(rights.user)
    ) -> Response:
        body = await request.body()

        def begun() -> Response:
            demand: SaveDemand = read_demand(body, SaveDemand)
            return answer(saves.begin(DatasetName(project=project, dataset_type=dataset_type), demand, user), 202)

        return await run_in_threadpool(begun)

    @of_saves.get("/{save_id}")
    def get(project: ProjectName, dataset_type: DatasetType, save_id: SaveId) -> Response:
        return answer(saves.get(DatasetName(project=project, dataset_type=dataset_type), save_id))

    return of_saves
