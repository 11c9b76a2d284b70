"""Files to take home."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from include.gallery.datasets import Datasets
from include.gallery.downloads import MEDIA_TYPES, read_download
from include.gallery.messages import DatasetType, DownloadKind
from include.gallery.parameters import ProjectName, SnapshotIdOrNone
from include.gallery.services import Rights
from include.gallery.snapshots import DatasetName


def router(datasets: Datasets, rights: Rights) -> APIRouter:
    """``GET api/datasets/{project}/{type}/downloads/{kind}``."""
    routes = APIRouter(prefix="/api/datasets/{project}/{dataset_type}", dependencies=[Depends(rights.read)])

    @routes.get("/downloads/{kind}")
    def download(
        project: ProjectName, dataset_type: DatasetType, kind: DownloadKind, snapshot: SnapshotIdOrNone = ""
    ) -> StreamingResponse:
        name = DatasetName(project=project, dataset_type=dataset_type)
        folder, facts = datasets.snapshot_shown(name, snapshot)
        pieces = read_download(datasets.services.s3(), folder, kind, facts.bucket)
        # Read before the status is sent, so that what is missing can still be said.
        first = next(pieces, b"")
        file_name = f"{project}-{dataset_type}-{facts.snapshot_id}.{kind}"
        return StreamingResponse(
            chain([first], pieces),
            media_type=MEDIA_TYPES[kind],
            headers={
                "Content-Disposition": f'attachment; filename="{file_name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return routes
