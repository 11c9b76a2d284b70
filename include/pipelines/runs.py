"""One run of an import: its request, the time that it is as of, and where its tasks put what they hand on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import msgspec
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import Connection, Variable, get_current_context
from airflow.sdk.api.client import ServerResponseError
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from botocore.config import Config

from include.custom_labels.errors import RequestError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.quotas import DatasetType
from include.gallery.addresses import SampleAddress
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder, Workspace
from include.pipelines.requests import (
    AccessNeeds,
    ExistingDatasetRequest,
    GroundTruthRequest,
    ImportRequest,
    LocalComputerRequest,
    S3FolderRequest,
    is_past_run,
    run_as_of,
    run_slug,
)
from include.rekognition.hook import RekognitionHook

WORKSPACE_VARIABLE = "custom_labels_workspace"
AIRFLOW_ID_VARIABLE = "custom_labels_airflow_id"
COPY_CONNECTIONS = 32
"""Images that one task copies at the same time."""

_NOT_FOUND = 404

log = logging.getLogger(__name__)

Request = S3FolderRequest | GroundTruthRequest | LocalComputerRequest | ExistingDatasetRequest
"""The requests of all sources."""


class ImportRun(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Goes from task to task as JSON; hooks, S3 and the workspace are made when they are first used.

    :ivar as_of: UTC
    :ivar slug: Dag and run as one folder name: Dags with the same schedule have runs of the same id
    :ivar holder: the Dag run, which may hold the lease on a dataset
    :ivar begun_at: when the run's first task began, UTC: a run knows the source as it was then
    :ivar run_type: Airflow's, such as ``manual``, ``scheduled`` or ``backfill``
    :ivar is_past: whether the run is about the bucket as it was (`include.pipelines.requests.is_past_run`)
    """

    request: Request
    as_of: datetime
    slug: str
    holder: Holder
    begun_at: datetime = msgspec.field(default_factory=lambda: utc_now())
    run_type: str = "manual"
    is_past: bool = False

    @classmethod
    def of(cls, request_type: type[ImportRequest], params: Mapping[str, Any], context: Mapping[str, Any]) -> Self:
        """The run that a task's context describes.

        :raises RequestError: the parameters are wrong
        """
        request = request_type.parse(params)
        now, run_type = utc_now(), context["dag_run"].run_type
        as_of = run_as_of(request, context, now)
        # The text of a member of Airflow's enum would be its name.
        run_type = str(getattr(run_type, "value", run_type))
        return cls(
            request=request,  # type: ignore[arg-type]
            as_of=as_of,
            slug=run_slug(f"{context['dag_run'].dag_id}.{context['dag_run'].run_id}"),
            holder=Holder(context["dag_run"].dag_id, context["dag_run"].run_id, airflow_id()),
            begun_at=utc_now(),
            run_type=run_type,
            is_past=is_past_run(request, run_type, as_of, now),
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return msgspec.convert(plain, cls)

    def to_json(self) -> dict[str, Any]:
        """The run as plain JSON, for XCom."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @cached_property
    def rekognition(self) -> RekognitionHook:
        """:raises RequestError: CONNECTION_NOT_FOUND, or REGION_NOT_SET"""
        return rekognition_hook(self.request.aws_conn_id)

    @cached_property
    def s3(self) -> S3Session:
        return s3_session(self.request.aws_conn_id)

    @property
    def region(self) -> str:
        """The Region that Rekognition is called in."""
        region: str = self.rekognition.conn.meta.region_name
        return region

    @property
    def dataset_type(self) -> DatasetType:
        """As Rekognition writes it; a request for both is one run a type from `choose_dataset` on."""
        if self.request.dataset_type == "train":
            return "TRAIN"
        if self.request.dataset_type == "test":
            return "TEST"
        raise ValueError(f"{self.request.dataset_type!r} is not one dataset")

    @cached_property
    def workspace(self) -> Workspace:
        """:raises RequestError: WORKSPACE_NOT_SET, or INVALID_S3_LOCATION"""
        return read_workspace()

    @property
    def dataset(self) -> DatasetFolder:
        """The dataset's folder in the workspace."""
        return self.workspace.dataset(self.request.project, "train" if self.dataset_type == "TRAIN" else "test")

    @property
    def as_of_second(self) -> str:
        """``YYYY-MM-DDTHH:MM:SS`` UTC, as listings write times."""
        return f"{self.as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"

    @property
    def access_needs(self) -> AccessNeeds:
        """What the access check has to try."""
        return self.request.past_needs(self.workspace.folder) if self.is_past else self.request.needs

    def staged(self, name: str) -> S3Uri:
        """Where the tasks of this run put the object of that name."""
        return self.workspace.staging(self.slug).uri(name)

    def sample_address(self, number: int) -> SampleAddress:
        """How the gallery names a picture that this run shows before approval; from 0."""
        return SampleAddress(
            dag_id=self.holder.dag_id,
            run_id=self.holder.run_id,
            dataset_type="train" if self.dataset_type == "TRAIN" else "test",
            number=number,
        )

    def sample_place(self, address: SampleAddress) -> S3Uri:
        """Where that picture lies.

        The Dag's id stands in it as it is: two Dags may have runs of the same slug, and not the same readers.
        """
        staging = self.workspace.staging(run_slug(f"{address.dag_id}.{address.run_id}"))
        dag = quote(address.dag_id, safe="")
        return staging.uri(f"samples/{dag}/{address.dataset_type}/{address.number}.jpg")


def read_workspace() -> Workspace:
    """The workspace that the Airflow Variable names.

    :raises RequestError: WORKSPACE_NOT_SET, or INVALID_S3_LOCATION
    """
    location = Variable.get(WORKSPACE_VARIABLE, default=None)
    if not location:
        raise RequestError(
            "WORKSPACE_NOT_SET",
            f"The Airflow Variable {WORKSPACE_VARIABLE!r} is not set.",
            "Set it to an S3 location that you own, such as s3://example-workspace/custom-labels/.",
        )
    return Workspace(S3FolderLocation.parse(location))


def airflow_id() -> str:
    """What tells this Airflow installation from another one that uses the same workspace; made once.

    Only the Airflow that a run is of knows whether it has ended.
    """
    known = Variable.get(AIRFLOW_ID_VARIABLE, default=None)
    if not known:
        Variable.set(AIRFLOW_ID_VARIABLE, uuid4().hex, description="Names this Airflow in leases on datasets")
        # Of two tasks at the same time, the later one's stays.
        known = Variable.get(AIRFLOW_ID_VARIABLE)
    return str(known)


def has_ended(holder: Holder) -> bool:
    """Whether a run that holds a lease is known to have ended; called within a task.

    A run that this Airflow does not know any more was deleted, if it was a run of this Airflow.
    """
    try:
        state: str = get_current_context()["ti"].get_dagrun_state(dag_id=holder.dag_id, run_id=holder.run_id)
    except ServerResponseError as error:
        return _is_deleted(holder, error.response.status_code)
    except AirflowRuntimeError as error:
        return _is_deleted(holder, (error.error.detail or {}).get("status_code"))
    return state in ("success", "failed")


def _is_deleted(holder: Holder, status_code: object) -> bool:
    is_ours = holder.airflow == airflow_id()
    log.info("Airflow does not tell the state of %s of %s (%s).", holder.run_id, holder.dag_id, status_code)
    return is_ours and status_code == _NOT_FOUND


def named_connection(conn_id: str, parameter: str = "aws_conn_id") -> Connection:
    """An Airflow connection; a hook would fall back to whatever credentials and Region the machine happens to have.

    :param parameter: where the connection was named
    :raises RequestError: CONNECTION_NOT_FOUND
    """
    try:
        return Connection.get(conn_id)  # type: ignore[no-any-return]
    except AirflowNotFoundException as error:
        raise RequestError(
            "CONNECTION_NOT_FOUND",
            f"There is no Airflow connection {conn_id!r}.",
            f"Create it, or name another one in `{parameter}`.",
        ) from error


def rekognition_hook(conn_id: str, parameter: str = "aws_conn_id") -> RekognitionHook:
    """Rekognition by an Airflow connection that exists and has a Region.

    :param parameter: where the connection was named
    :raises RequestError: CONNECTION_NOT_FOUND, or REGION_NOT_SET
    """
    connection = named_connection(conn_id, parameter)
    hook = RekognitionHook(aws_conn_id=conn_id)
    if hook.conn_config.region_name is None:
        raise RequestError(
            "REGION_NOT_SET",
            f"The Airflow connection {connection.conn_id!r} has no Region.",
            "Set region_name in its extras to the images' Region.",
        )
    return hook


def s3_session(conn_id: str, *, connections: int | None = None) -> S3Session:
    """S3 by an Airflow connection.

    :param connections: that boto3 keeps open at the same time, where the connection itself does not say
    """
    hook = S3Hook(aws_conn_id=conn_id)
    if connections:
        config = Config(max_pool_connections=connections).merge(hook.conn_config.botocore_config or Config())
        hook = S3Hook(aws_conn_id=conn_id, config=config)
    return S3Session(hook.conn, verify=hook.verify)


def utc_now() -> datetime:
    """The clock, for what records when something was done; contents never depend on it."""
    return datetime.now(UTC)
