"""What a run of a Dag changed."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from include.custom_labels.errors import AccessError
from include.gallery.answers import answer
from include.gallery.parameters import DagId, RunId
from include.gallery.services import Rights, Services


def router(services: Services, rights: Rights) -> APIRouter:
    """``GET api/runs/{dag_id}/{run_id}``."""
    routes = APIRouter(prefix="/api/runs", dependencies=[Depends(rights.read), Depends(rights.read_run)])

    @routes.get("/{dag_id}/{run_id}")
    def run(dag_id: DagId, run_id: RunId) -> Response:
        found = services.runs().describe(dag_id, run_id)
        if found is None:
            raise AccessError(
                "RUN_NOT_FOUND",
                f"{dag_id} has no run {run_id}.",
                "Choose one of its runs in Airflow; it may be deleted.",
            )
        return answer(found)

    return routes
