"""The differences between two snapshots."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from include.gallery.answers import answer
from include.gallery.datasets import Datasets
from include.gallery.messages import Change, DatasetType
from include.gallery.parameters import ProjectName, SnapshotId, SnapshotIdOrNone, page_of
from include.gallery.services import Rights
from include.gallery.snapshots import DatasetName


def router(datasets: Datasets, rights: Rights) -> APIRouter:
    """``GET api/datasets/{project}/{type}/comparison``."""
    routes = APIRouter(prefix="/api/datasets/{project}/{dataset_type}", dependencies=[Depends(rights.read)])

    @routes.get("/comparison")
    def comparison(
        project: ProjectName,
        dataset_type: DatasetType,
        request: Request,
        after: SnapshotId,
        before: SnapshotIdOrNone = "",
        change: Annotated[list[Change] | None, Query()] = None,
        key: Annotated[str, Query(max_length=1024)] = "",
    ) -> Response:
        name = DatasetName(project=project, dataset_type=dataset_type)
        offset, limit = page_of(request.query_params)
        found = datasets.comparison(name, before, after)
        return answer(found.page(before, after, change=change or [], key=key, offset=offset, limit=limit))

    return routes
