"""Who may do what in the gallery, as Airflow's auth manager has it.

The gallery shows datasets of all import sources, so that looking at them takes the right to read runs of all four
import Dags, and changing them the right to trigger all four. Nobody gets more in the gallery than they could do by
triggering these Dags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from fastapi import HTTPException, Request

from include.gallery.messages import ImportSource
from include.gallery.services import Rights

IMPORT_DAGS: Final = {
    "import_s3_folder": (
        "Import images from an S3 bucket",
        "The images of an S3 folder and its child folders, labelled by folder.",
    ),
    "import_local_computer": (
        "Upload images from your computer",
        "Images of this computer, 30 at a time, or a folder that every worker has.",
    ),
    "import_ground_truth": (
        "Import images labeled by SageMaker Ground Truth",
        "A manifest of a labeling job; COCO, Pascal VOC and CSV as well.",
    ),
    "import_existing_dataset": (
        "Copy an existing Custom Labels dataset",
        "The entries of another dataset, of another account or Region too.",
    ),
}
"""The Dags of the import sources: title as in AWS's console, and what the source is."""


def airflow_rights() -> Rights:
    """The rights of whoever Airflow's login says is asking."""
    return Rights(
        read=_may("GET"),
        write=_may("POST"),
        read_run=requires_access_dag(method="GET", access_entity=DagAccessEntity.HITL_DETAIL),
        user=user_name,
        can_write=can_write,
        sources=import_sources,
    )


def _may(method: Literal["GET", "POST"]) -> Callable[..., Any]:
    checks = [
        requires_access_dag(method=method, access_entity=DagAccessEntity.RUN, param_dag_id=dag_id)
        for dag_id in IMPORT_DAGS
    ]

    def check(request: Request, user: GetUserDep) -> None:
        for each in checks:
            each(request, user)

    return check


def airflow_origins() -> list[str]:
    """Where browsers reach Airflow, as its configuration says: behind a proxy that is not what a request says."""
    url = urlsplit(conf.get("api", "base_url", fallback=""))
    return [f"{url.scheme}://{url.netloc}"] if url.scheme and url.netloc else []


def user_name(user: GetUserDep) -> str:
    """What Airflow calls the caller."""
    return user.get_name()


def can_write(request: Request, user: GetUserDep) -> bool:
    """Whether the caller may trigger all import Dags."""
    try:
        _WRITE(request, user)
    except HTTPException as refusal:
        if refusal.status_code != 403:
            raise
        return False
    return True


_WRITE = _may("POST")


def import_sources(user: GetUserDep) -> list[ImportSource]:
    """The four imports, and which of them the caller may start."""
    manager = get_auth_manager()
    return [
        ImportSource(
            dag_id=dag_id,
            title=title,
            description=description,
            can_trigger=manager.is_authorized_dag(
                method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id), user=user
            ),
        )
        for dag_id, (title, description) in IMPORT_DAGS.items()
    ]
