"""What becomes of requests that cannot be answered, whoever notices: each is a `include.gallery.messages.Problem`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from include.custom_labels.errors import CustomLabelsError, RequestError
from include.gallery.answers import answer, refuse
from include.gallery.messages import Problem

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


def answer_problems(app: FastAPI) -> None:
    """Let the application answer its failures, and FastAPI's own, as problems."""
    app.add_exception_handler(CustomLabelsError, refuse)  # type: ignore[arg-type]

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
