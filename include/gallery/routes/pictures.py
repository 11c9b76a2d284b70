"""Routes of pictures: images of the dataset that is looked at, by their ids and by nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from include.custom_labels.errors import RequestError
from include.gallery.messages import DatasetType
from include.gallery.parameters import ImageId, ProjectName, SnapshotIdOrNone
from include.gallery.pictures import ImagePlace, ImagePlaces, Kind, Picture, Pictures
from include.gallery.services import Rights

Version = Annotated[str, Query(max_length=200)]


def router(rights: Rights, places: ImagePlaces, pictures: Pictures) -> APIRouter:
    """``GET …/images/{id}/thumbnail`` and ``…/picture``, with ``?v=`` the image's version and maybe ``&snapshot=``."""
    of_images = APIRouter(dependencies=[Depends(rights.read)])

    @of_images.get("/api/datasets/{project}/{dataset_type}/images/{image_id}/{kind}")
    async def picture(
        request: Request,
        project: ProjectName,
        dataset_type: DatasetType,
        image_id: ImageId,
        kind: Literal["thumbnail", "picture"],
        v: Version = "",
        snapshot: SnapshotIdOrNone = "",
    ) -> Response:
        place = await run_in_threadpool(_place, places, project, dataset_type, image_id, snapshot)
        return await _answer(request, place, v, Kind[kind.upper()])

    async def _answer(request: Request, place: ImagePlace, version: str, kind: Kind) -> Response:
        if place.etag and _etag(place.etag, kind) in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=_headers(place, place.etag, version, kind))
        found = await pictures.get(request, place, kind)
        if found is None:
            return Response(status_code=499)
        return _picture(found, _headers(place, found.etag, version, kind))

    return of_images


def _place(places: ImagePlaces, project: str, dataset_type: DatasetType, image_id: str, snapshot: str) -> ImagePlace:
    place = places.find_place(project, dataset_type, image_id, snapshot=snapshot)
    if place is None:
        raise RequestError(
            "IMAGE_NOT_IN_DATASET",
            f"The {dataset_type} dataset of {project} has no image {image_id}.",
            "Go back to the dataset; the image may have been removed.",
        )
    return place


def _etag(etag: str, kind: Kind) -> str:
    return f'"{etag}-{kind.name.lower()}"'


def _headers(place: ImagePlace, etag: str, version: str, kind: Kind) -> dict[str, str]:
    # An address that names the version of these very bytes never means others.
    is_fixed = place.version != "" and version == place.version and etag == place.etag
    return {
        "Cache-Control": "private, max-age=31536000, immutable" if is_fixed else "private, no-cache",
        "Content-Security-Policy": "default-src 'none'",
        **({"ETag": _etag(etag, kind)} if etag else {}),
    }


def _picture(picture: Picture, headers: dict[str, str]) -> Response:
    if isinstance(picture.content, bytes):
        return Response(picture.content, headers=headers, media_type="image/jpeg")
    raise RequestError(
        "PICTURE_UNREADABLE",
        picture.content,
        "Replace the object by a whole PNG or JPEG image, then refresh the dataset.",
    )
