"""Route of the pictures that a run shows to the person whom it asks for approval; Required Actions shows them too."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Response

from include.custom_labels.errors import AccessError
from include.gallery.addresses import MAX_SAMPLES, SAMPLES, SampleAddress
from include.gallery.messages import DatasetType
from include.gallery.parameters import DagId, RunId
from include.gallery.services import Rights, Services

PICTURE_HEADERS: Final = {"Cache-Control": "private, max-age=300", "Content-Security-Policy": "default-src 'none'"}

SampleNumber = Annotated[str, Path(pattern=r"^(0|[1-9][0-9]?)$")]


def router(services: Services, rights: Rights) -> APIRouter:
    """``GET samples/{dag_id}/{run_id}/{type}/{number}``: for whoever may see what the Dag's runs ask people."""
    of_dag = APIRouter(dependencies=[Depends(rights.read_run)])

    @of_dag.get(SAMPLES + "/{dag_id}/{run_id}/{dataset_type}/{number}")
    def sample(dag_id: DagId, run_id: RunId, dataset_type: DatasetType, number: SampleNumber) -> Response:
        address = SampleAddress(dag_id=dag_id, run_id=run_id, dataset_type=dataset_type, number=int(number))
        picture = services.runs().sample(address) if address.number < MAX_SAMPLES else None
        if picture is None:
            raise AccessError(
                "PICTURE_NOT_FOUND",
                f"The run {run_id} of {dag_id} has no such picture.",
                "Look at the run's question in Required Actions, which says why.",
            )
        return Response(picture, media_type="image/jpeg", headers=PICTURE_HEADERS)

    return of_dag
