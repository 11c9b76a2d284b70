"""Projects and datasets."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from include.gallery.answers import answer
from include.gallery.datasets import Datasets
from include.gallery.messages import DatasetType
from include.gallery.parameters import ProjectName, SnapshotIdOrNone
from include.gallery.services import Rights
from include.gallery.snapshots import DatasetName


def router(datasets: Datasets, rights: Rights) -> APIRouter:
    """``GET api/projects`` and ``GET api/datasets/{project}/{type}``."""
    routes = APIRouter(prefix="/api", dependencies=[Depends(rights.read)])

    @routes.get("/projects")
    def projects() -> Response:
        return answer(datasets.projects())

    @routes.get("/datasets/{project}/{dataset_type}")
    def dataset(project: ProjectName, dataset_type: DatasetType, snapshot: SnapshotIdOrNone = "") -> Response:
        return answer(datasets.page(DatasetName(project=project, dataset_type=dataset_type), snapshot))

    return routes
