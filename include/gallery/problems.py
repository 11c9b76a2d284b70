"""What becomes of requests that cannot be answered, whoever notices: each is a `include.gallery.messages.Problem`."""

from __future__ import annotations

from typing import Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from include.custom_labels.errors import (
    AccessError,
    CustomLabelsError,
    DatasetConflictError,
    ManifestError,
    RequestError,
)
from include.gallery.answers import JSON, answer
from include.gallery.messages import Problem

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
_PROBLEM_OF_STATUS: Final = {
    401: Problem(code="NOT_SIGNED_IN", message="Nobody is signed in.", next_step="Sign in to Airflow."),
    403: Problem(
        code="NOT_ALLOWED",
        message="This person may not do that.",
        next_step="Ask an administrator of Airflow for the right to read the import Dags; to save, to trigger them.",
    ),
    404: Problem(code="NOT_FOUND", message="There is nothing here.", next_step="Check the address."),
    405: Problem(code="METHOD_REFUSED", message="This cannot be done here.", next_step="Check the address."),
}


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


def answer_problems(app: FastAPI) -> None:
    """Let the application answer its failures, and FastAPI's own, as problems."""
    app.exception_handler(CustomLabelsError)(refuse)

    @app.exception_handler(HTTPException)
    def refuse_http(_request: Request, error: HTTPException) -> Response:
        known = _PROBLEM_OF_STATUS.get(error.status_code)
        problem = known or Problem(code="REQUEST_REFUSED", message=str(error.detail), next_step="Check the request.")
        answered = answer(problem, error.status_code)
        answered.headers.update(error.headers or {})
        return answered

    @app.exception_handler(RequestValidationError)
    def refuse_address(_request: Request, error: RequestValidationError) -> Response:
        places = sorted({".".join(str(part) for part in each["loc"]) for each in error.errors()})
        message = f"The address has not the form that it has to have: {', '.join(places)}."
        return answer(Problem(code="ADDRESS_INVALID", message=message, next_step="Check the address."), 422)
