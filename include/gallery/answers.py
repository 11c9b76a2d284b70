"""How the gallery answers: messages as JSON, and every failure as a `include.gallery.messages.Problem`."""

from __future__ import annotations

import math
from typing import Any, Final

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
from include.gallery.messages import Message, Problem

RETRY_AFTER: Final = "retry_after_s"
"""Name of the error's detail that says when to try again."""

_STATUS_OF_CODE: Final = {
    "BODY_TOO_LARGE": 413,
    "CONTENT_TYPE_REFUSED": 415,
    "DOCUMENT_UNREADABLE": 502,
    "HEADER_MISSING": 403,
    "IMAGE_NOT_IN_DATASET": 404,
    "ORIGIN_REFUSED": 403,
    "PICTURES_BUSY": 503,
    "PICTURE_NOT_FOUND": 404,
    "PICTURE_UNREADABLE": 422,
    "REKOGNITION_RESOURCE_IN_USE": 409,
    "REKOGNITION_RESOURCE_NOT_FOUND": 404,
    "REKOGNITION_THROTTLED": 503,
    "S3_UNAVAILABLE": 503,
    "SAVE_NOT_FOUND": 404,
    "TOO_MANY_REQUESTS": 429,
    "UPLOAD_NOT_FOUND": 404,
    "WORKSPACE_NOT_SET": 503,
}
_STATUS_OF_KIND: Final = (
    (RequestError, 400),
    (ManifestError, 422),
    (DatasetConflictError, 409),
    (AccessError, 502),
)
_PROBLEM_OF_STATUS: Final = {
    401: Problem(code="NOT_SIGNED_IN", message="Nobody is signed in.", next_step="Sign in to Airflow."),
    403: Problem(
        code="NOT_ALLOWED",
        message="This person may not do that.",
        next_step="Ask an administrator of Airflow for the right to trigger the import Dags; to look, to read them.",
    ),
    404: Problem(code="NOT_FOUND", message="There is nothing here.", next_step="Check the address."),
    405: Problem(code="METHOD_REFUSED", message="This cannot be done here.", next_step="Check the address."),
}


def json_answer(message: Message, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A message as JSON, which nobody may keep unless the headers say so."""
    return Response(
        msgspec.json.encode(message),
        status,
        {"Cache-Control": "no-store"} | (headers or {}),
        media_type="application/json",
    )


def read_demand(body: bytes, kind: type[Any]) -> Any:
    """The demand that a body of JSON makes.

    :param kind: a `include.gallery.messages.Demand`
    :raises RequestError: DEMAND_INVALID, naming the member that is wrong
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(
            "DEMAND_INVALID",
            f"The request has not the form that it has to have: {error}",
            "Reload the page, which may be older than the server.",
        ) from error


def status_of(error: CustomLabelsError) -> int:
    """The HTTP status that an error is answered with."""
    by_kind = next((status for kind, status in _STATUS_OF_KIND if isinstance(error, kind)), 502)
    return _STATUS_OF_CODE.get(str(error.code), by_kind)


def problem_answer(error: CustomLabelsError) -> Response:
    """The error as a `Problem`."""
    retry_after_s = error.details.get(RETRY_AFTER)
    problem = Problem.of(error)
    if not isinstance(retry_after_s, int | float):
        return json_answer(problem, status_of(error))
    headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    return json_answer(msgspec.structs.replace(problem, retry_after_s=float(retry_after_s)), status_of(error), headers)


def answer_problems(app: FastAPI) -> None:
    """Let the application answer its failures, and FastAPI's own, as problems."""

    @app.exception_handler(CustomLabelsError)
    def custom_labels_error(_request: Request, error: CustomLabelsError) -> Response:
        return problem_answer(error)

    @app.exception_handler(HTTPException)
    def http_exception(_request: Request, error: HTTPException) -> Response:
        known = _PROBLEM_OF_STATUS.get(error.status_code)
        problem = known or Problem(code="REQUEST_REFUSED", message=str(error.detail), next_step="Check the request.")
        return json_answer(problem, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def validation_error(_request: Request, error: RequestValidationError) -> Response:
        places = sorted({".".join(str(part) for part in each["loc"]) for each in error.errors()})
        message = f"The address has not the form that it has to have: {', '.join(places)}."
        return json_answer(Problem(code="ADDRESS_INVALID", message=message, next_step="Check the address."), 422)
