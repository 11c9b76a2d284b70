"""Answers as JSON, problems with their status, and views as they stand in addresses."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from include.custom_labels.errors import (
    AccessError,
    CustomLabelsError,
    DatasetConflictError,
    ManifestError,
    RequestError,
)
from include.gallery.messages import MAX_PAGE, Message, Problem, View

JSON: Final = "application/json"

ProjectName = Annotated[str, Path(pattern=r"^[a-zA-Z0-9_.\-]{1,255}$")]
ImageId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
SNAPSHOT_ID: Final = r"^\d{8}T\d{6}Z-[0-9a-f]{8}$"

_STATUS_OF_CODE: Final = {
    "BODY_TOO_LARGE": 413,
    "CONTENT_TYPE_REFUSED": 415,
    "DATASET_INDEXING": 503,
    "DATASET_NOT_FOUND": 404,
    "DATASET_NOT_IN_REKOGNITION": 404,
    "HEADER_MISSING": 403,
    "IMAGE_NOT_FOUND": 404,
    "IMAGE_NOT_IN_DATASET": 404,
    "ORIGIN_REFUSED": 403,
    "PICTURES_BUSY": 503,
    "PICTURE_NOT_FOUND": 404,
    "PICTURE_UNREADABLE": 422,
    "REKOGNITION_RESOURCE_IN_USE": 409,
    "REKOGNITION_RESOURCE_NOT_FOUND": 404,
    "REKOGNITION_THROTTLED": 503,
    "RUN_NOT_FOUND": 404,
    "S3_UNAVAILABLE": 503,
    "SAVES_BUSY": 503,
    "SAVE_NOT_FOUND": 404,
    "SNAPSHOT_NOT_FOUND": 404,
    "TOO_MANY_REQUESTS": 429,
    "UPLOAD_NOT_FOUND": 404,
    "WORKSPACE_NOT_SET": 503,
}
_STATUS_OF_KIND: Final[tuple[tuple[type[CustomLabelsError], int], ...]] = (
    (RequestError, 400),
    (DatasetConflictError, 409),
    (ManifestError, 422),
    (AccessError, 502),
)
_LISTS: Final = frozenset({"label", "error", "state", "reason", "change"})


def answer(message: Message, status: int = 200) -> Response:
    """A message as an answer that no cache keeps."""
    return Response(msgspec.json.encode(message), status, {"Cache-Control": "no-store"}, media_type=JSON)


def status_of(error: CustomLabelsError) -> int:
    """The status of the answer that an error becomes."""
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for kind, status in _STATUS_OF_KIND if isinstance(error, kind)), 502)


def refuse(_request: Request, error: CustomLabelsError) -> Response:
    """The error as a `Problem`, for FastAPI's handlers of exceptions."""
    retry_after_s = error.details.get("retry_after_s")
    problem = Problem(
        code=error.code,
        message=error.message,
        next_step=error.next_step,
        retry_after_s=float(retry_after_s) if isinstance(retry_after_s, int | float) else None,
    )
    headers = {"Cache-Control": "no-store"}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(problem.retry_after_s)))
    return Response(msgspec.json.encode(problem), status_of(error), media_type=JSON, headers=headers)


def view_of(query: QueryParams, *others: str) -> View:
    """The view that an address names.

    :param others: parameters that may stand beside it
    :raises RequestError: INVALID_VIEW
    """
    plain: dict[str, Any] = {
        name: query.getlist(name) if name in _LISTS else query[name] for name in query if name not in others
    }
    try:
        return msgspec.convert(plain, View, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error


def page_of(query: QueryParams) -> tuple[int, int]:
    """Offset and limit that an address names.

    :raises RequestError: INVALID_VIEW
    """
    try:
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
    except ValueError as error:
        raise _invalid("offset and limit are whole numbers") from error
    if offset < 0 or not 0 <= limit <= MAX_PAGE:
        raise _invalid(f"offset is 0 or more, limit is 0 to {MAX_PAGE}")
    return offset, limit


def _invalid(why: str) -> RequestError:
    return RequestError("INVALID_VIEW", f"The address names no view: {why}.", "Choose the filters on the page again.")
