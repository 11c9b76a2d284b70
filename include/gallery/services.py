"""What the gallery needs of the world: Rekognition, S3, the workspace and Airflow's runs, as narrow protocols.

`include.pipelines` implements them with Airflow's connections; tests implement them in memory. Everything here may
block and is called in threads. Every method may raise `include.custom_labels.errors.CustomLabelsError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from include.gallery.addresses import SampleAddress
from include.gallery.messages import DatasetType, ImportSource, RunPage
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDataset:
    """A dataset as Rekognition lists it."""

    dataset_arn: str
    dataset_type: DatasetType
    status: str
    status_message: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProject:
    """A project as Rekognition lists it."""

    name: str
    status: str
    created_at: datetime
    datasets: tuple[ServiceDataset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetState:
    """A dataset as Rekognition describes it.

    :ivar updated_at: when the last operation on it ended, and with it every change of an entry
    """

    status: str
    status_message: str
    updated_at: datetime
    images: int
    labelled: int
    labels: int
    errors: int

    @property
    def is_busy(self) -> bool:
        """Whether an operation on it is under way."""
        return self.status.endswith("_IN_PROGRESS")


class DatasetService(Protocol):
    """Rekognition, whose operations take 5 requests a second each, for the whole account."""

    def projects(self) -> list[ServiceProject]:
        """Every project of Custom Labels."""

    def describe(self, dataset_arn: str) -> DatasetState:
        """One request."""

    def entries(self, dataset_arn: str) -> Iterator[str]:
        """All entries, 100 a request."""

    def find_entries(self, dataset_arn: str, source_ref: str) -> list[str]:
        """Entries of exactly this source-ref: none, or one."""

    def update(self, dataset_arn: str, lines: bytes) -> None:
        """Send one batch; the dataset has it once `describe` says that the operation has ended."""


class RunSource(Protocol):
    """Airflow's runs."""

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        """What a run changed; None where there is no such run."""

    def has_ended(self, holder: Holder) -> bool:
        """Whether the run that holds a lease is known to have ended."""

    def started_at(self, holder: Holder) -> datetime | None:
        """When the run that holds a lease started; None where that is not known."""

    def sample(self, address: SampleAddress) -> bytes | None:
        """A JPEG that a run shows to the person whom it asks for approval; None where there is none."""


class Services(Protocol):
    """Everything, as it is now: connections and Variables are looked up anew every few minutes."""

    def datasets(self) -> DatasetService:
        """Rekognition through the gallery's connection."""

    def s3(self) -> S3Session:
        """S3 through the gallery's connection."""

    def workspace(self) -> Workspace:
        """:raises RequestError: WORKSPACE_NOT_SET, or INVALID_S3_LOCATION"""

    def runs(self) -> RunSource: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Dependencies of FastAPI that raise HTTPException unless the caller may.

    :ivar read: look at datasets, as reading our Dags
    :ivar write: change datasets and upload images, as triggering our Dags
    :ivar read_run: see what the Dag of the path parameter ``dag_id`` asks people
    :ivar user: the caller's name; raises for an anonymous one
    :ivar can_write: whether the caller may do what `write` lets pass
    :ivar sources: the four imports, and which of them the caller may start
    """

    read: Callable[..., Any]
    write: Callable[..., Any]
    read_run: Callable[..., Any]
    user: Callable[..., str]
    can_write: Callable[..., bool]
    sources: Callable[..., list[ImportSource]]
