"""The gallery: a web application that Airflow's API server mounts, and that knows no Airflow.

Airflow does not ask who calls a mounted application. Each route of a Dag therefore depends on ``may_read_dag``, which
comes from whoever mounts the gallery, and which answers before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse

from include.custom_labels.errors import CustomLabelsError
from include.gallery.addresses import MAX_SAMPLES, SAMPLES, SampleAddress

PICTURE_HEADERS = {
    "Cache-Control": "private, max-age=300",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}

# As Airflow has them: a Dag's id of word characters, dots and dashes; a run's of anything but a slash.
DagId = Annotated[str, Path(pattern=r"^[\w.\-]+$", max_length=250)]
RunId = Annotated[str, Path(pattern=r"^[^/\x00-\x1f\x7f]+$", max_length=250)]
SampleNumber = Annotated[str, Path(pattern=r"^(0|[1-9][0-9]?)$")]


class SampleStore(Protocol):
    """Where pictures come from."""

    def read(self, address: SampleAddress) -> bytes | None:
        """A JPEG; None where there is none.

        :raises CustomLabelsError: it cannot be told
        """


def create_app(*, samples: SampleStore, may_read_dag: Callable[..., Any]) -> FastAPI:
    """The gallery as an application to mount at `include.gallery.addresses.MOUNT`.

    :param may_read_dag: a dependency of FastAPI that raises HTTPException unless the caller may read the Dag that the
        path parameter ``dag_id`` names
    """
    # The pages of an API's description would be open to everybody.
    app = FastAPI(title="Custom Labels datasets", docs_url=None, redoc_url=None, openapi_url=None)
    of_dag = APIRouter(dependencies=[Depends(may_read_dag)])

    @of_dag.get(SAMPLES + "/{dag_id}/{run_id}/{dataset_type}/{number}")
    def sample(dag_id: DagId, run_id: RunId, dataset_type: Literal["train", "test"], number: SampleNumber) -> Response:
        address = SampleAddress(dag_id=dag_id, run_id=run_id, dataset_type=dataset_type, number=int(number))
        picture = samples.read(address) if address.number < MAX_SAMPLES else None
        if picture is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(picture, media_type="image/jpeg", headers=PICTURE_HEADERS)

    @app.exception_handler(CustomLabelsError)
    def unavailable(_request: Request, error: CustomLabelsError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": error.message, "next_step": error.next_step}, 502)

    app.include_router(of_dag)
    return app
