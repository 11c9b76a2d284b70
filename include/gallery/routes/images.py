"""Images of a dataset: pages of a view, one image, and statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from include.custom_labels.errors import AccessError, ManifestError
from include.custom_labels.manifest import parse_line
from include.custom_labels.reasons import Reason
from include.gallery.answers import answer
from include.gallery.catalog import CatalogImage, seen_of
from include.gallery.datasets import Datasets
from include.gallery.messages import Box, DatasetType, ImageIds, ImagePage, Images, View
from include.gallery.parameters import ImageId, ProjectName, page_of, view_of
from include.gallery.services import Rights
from include.gallery.snapshots import DatasetName
from include.gallery.views import view_ids

OrientationOf = Callable[[CatalogImage], int]
"""EXIF's orientation of an image, 1 to 8; 1 where it cannot be told."""

_BOTH: Final = ("offset", "limit")


def router(datasets: Datasets, rights: Rights, orientation_of: OrientationOf) -> APIRouter:
    """``GET …/images``, ``…/ids``, ``…/images/{id}`` and ``…/statistics`` below ``api/datasets/{project}/{type}``."""
    routes = APIRouter(prefix="/api/datasets/{project}/{dataset_type}", dependencies=[Depends(rights.read)])

    @routes.get("/images")
    def images(project: ProjectName, dataset_type: DatasetType, request: Request) -> Response:
        name, view = DatasetName(project=project, dataset_type=dataset_type), view_of(request.query_params, *_BOTH)
        offset, limit = page_of(request.query_params)
        shown = datasets.shown(name, view.snapshot)
        numbers = datasets.views.numbers(shown.catalog, view)
        rows = shown.catalog.rows(numbers[offset : offset + limit])
        return answer(Images(version=shown.version, total=len(numbers), offset=offset, images=rows))

    @routes.get("/ids")
    def ids(project: ProjectName, dataset_type: DatasetType, request: Request) -> Response:
        name, view = DatasetName(project=project, dataset_type=dataset_type), view_of(request.query_params)
        shown = datasets.shown(name, view.snapshot)
        return answer(ImageIds(version=shown.version, ids=view_ids(shown.catalog, view)))

    @routes.get("/images/{id}")
    def image(project: ProjectName, dataset_type: DatasetType, id: ImageId, request: Request) -> Response:
        name, view = DatasetName(project=project, dataset_type=dataset_type), view_of(request.query_params)
        return answer(image_page(datasets, name, id, view, orientation_of))

    @routes.get("/statistics")
    def statistics(project: ProjectName, dataset_type: DatasetType, request: Request) -> Response:
        name, view = DatasetName(project=project, dataset_type=dataset_type), view_of(request.query_params)
        shown = datasets.shown(name, view.snapshot)
        return answer(datasets.counts.statistics(shown.catalog, shown.revision, view))

    return routes


def image_page(datasets: Datasets, name: DatasetName, id: str, view: View, orientation_of: OrientationOf) -> ImagePage:
    """Everything about one image.

    :raises AccessError: IMAGE_NOT_FOUND
    """
    catalog = datasets.catalog(name, view.snapshot)
    number = catalog.number(id)
    if number is None:
        raise AccessError(
            "IMAGE_NOT_FOUND",
            f"{name} has no image {id}.",
            "Go back to the list of images; the image may be in another snapshot.",
        )
    (row,) = catalog.rows([number])
    (found,) = catalog.find([id])
    beside = catalog.beside(number)
    numbers, position = datasets.views.position(catalog, view, number)
    around = {}
    if position is not None:
        around = {at: numbers[at] for at in (position - 1, position + 1) if 0 <= at < len(numbers)}
    ids = dict(zip(around, (each.id for each in catalog.rows(list(around.values()))), strict=True))
    return ImagePage(
        image=row,
        source_ref=found.source_ref,
        place=found.place if found.place != found.source_ref else "",
        orientation=orientation_of(found),
        boxes=boxes_of(found.line),
        seen=seen_of(found.line),
        line=_text(found.line),
        aside=_text(beside.aside),
        explanation=Reason(row.reason).explanation if row.reason else "",
        before=beside.before,
        position=position,
        total=len(numbers),
        previous_id=ids.get(position - 1, "") if position is not None else "",
        next_id=ids.get(position + 1, "") if position is not None else "",
    )


def boxes_of(line: bytes | None) -> list[Box]:
    """The bounding boxes of an entry; none where it has not the format."""
    try:
        parsed = parse_line(line or b"")
    except ManifestError:
        return []
    return [
        Box(
            label=each.metadata.class_map.get(str(box.class_id), ""),
            left=box.left,
            top=box.top,
            width=box.width,
            height=box.height,
        )
        for each in parsed.boxes
        for box in each.boxes.annotations
    ]


def _text(line: bytes | None) -> str:
    return line.decode(errors="replace") if line is not None else ""
