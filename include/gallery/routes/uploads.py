"""Routes of uploads: a new one, its images one by one, and what has arrived."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from include.gallery.answers import answer
from include.gallery.guard import WriteLimits
from include.gallery.messages import Upload, UploadDemand
from include.gallery.parameters import ImageNumber, UploadId, read_demand
from include.gallery.pictures import Pictures
from include.gallery.services import Rights, Services
from include.gallery.uploads import Uploads, check_folder, check_image, new_upload_id, not_an_image

FileName = Annotated[str, Query(max_length=1024)]

_UPLOADS_PER_MINUTE = 20
_IMAGES_PER_MINUTE = 300


def router(services: Services, rights: Rights, pictures: Pictures, limits: WriteLimits) -> APIRouter:
    """``POST /api/uploads``, ``PUT …/{upload_id}/images/{number}`` and ``GET …/{upload_id}``."""
    of_uploads = APIRouter(prefix="/api/uploads", dependencies=[Depends(rights.write)])
    uploads = Uploads(services)

    @of_uploads.post("", dependencies=[limits.per_minute(_UPLOADS_PER_MINUTE, "uploads")])
    async def begin(request: Request) -> Response:
        read_demand(await request.body(), UploadDemand)
        return answer(Upload(upload_id=new_upload_id(datetime.now(UTC)), images=[]), 201)

    @of_uploads.put(
        "/{upload_id}/images/{number}", dependencies=[limits.per_minute(_IMAGES_PER_MINUTE, "uploaded images")]
    )
    async def put(
        request: Request, upload_id: UploadId, number: ImageNumber, name: FileName = "", folder: FileName = ""
    ) -> Response:
        check_folder(folder)
        data = await request.body()
        check_image(data)
        # What is cut off or made to do harm shows when it is decoded, and would end up in a dataset otherwise.
        fault = await pictures.check(request, data)
        if fault is None:
            return Response(status_code=499)
        if fault:
            raise not_an_image(fault)
        stored = await run_in_threadpool(uploads.put, upload_id, int(number), name=name, folder=folder, data=data)
        return answer(stored)

    @of_uploads.get("/{upload_id}")
    def get(upload_id: UploadId) -> Response:
        return answer(uploads.get(upload_id))

    return of_uploads
