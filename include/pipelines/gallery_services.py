"""Rekognition, S3 and the workspace as the gallery uses them, through one Airflow connection.

Which connection that is, the installation says and no request: a reader of the gallery must not borrow the rights of
another one. It is the Airflow Variable ``custom_labels_gallery_conn_id``, else ``aws_default``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from airflow.sdk import Variable

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError
from include.gallery.services import DatasetState, ServiceDataset, ServiceProject
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from include.pipelines.gallery_runs import AirflowRuns
from include.pipelines.runs import named_connection, read_workspace, rekognition_hook, s3_session
from include.rekognition.arns import project_name_of
from include.rekognition.errors import RekognitionDatasetError, translated_errors
from include.rekognition.hook import PAGE_SIZE, RekognitionHook

CONNECTION_VARIABLE = "custom_labels_gallery_conn_id"

_LIFETIME_S = 300
_CONNECTIONS = 16


class AirflowServices:
    """The gallery's `include.gallery.services.Services`."""

    def datasets(self) -> HookDatasets:
        """:raises RequestError: CONNECTION_NOT_FOUND, or REGION_NOT_SET"""
        return HookDatasets(_hook(connection_id(), _period()))

    def s3(self) -> S3Session:
        """:raises RequestError: CONNECTION_NOT_FOUND"""
        return _session(connection_id(), _period())

    def workspace(self) -> Workspace:
        """:raises RequestError: WORKSPACE_NOT_SET, or INVALID_S3_LOCATION"""
        return read_workspace()

    def runs(self) -> AirflowRuns:
        return AirflowRuns(lambda conn_id: _session(conn_id, _period()))


@contextmanager
def refused_by_rekognition() -> Iterator[None]:
    """Errors of the control plane, which are Airflow's, as the domain has them.

    :raises AccessError: with the same code, detail and next step
    """
    try:
        yield
    except RekognitionDatasetError as error:
        raise AccessError(error.code, error.detail, error.next_step, resource=error.resource) from error


class HookDatasets:
    """The gallery's `include.gallery.services.DatasetService`.

    Every method raises AccessError with Rekognition's code where AWS refuses.
    """

    def __init__(self, hook: RekognitionHook) -> None:
        self._hook = hook

    def projects(self) -> list[ServiceProject]:
        with refused_by_rekognition(), translated_errors("the projects"):
            pages = self._hook.conn.get_paginator("describe_projects").paginate(
                PaginationConfig={"PageSize": PAGE_SIZE}
            )
            described = [project for page in pages for project in page["ProjectDescriptions"]]
        return [
            ServiceProject(
                name=project_name_of(project["ProjectArn"]),
                status=project["Status"],
                created_at=project["CreationTimestamp"],
                datasets=tuple(
                    ServiceDataset(
                        dataset_arn=dataset["DatasetArn"],
                        dataset_type="train" if dataset["DatasetType"] == "TRAIN" else "test",
                        status=dataset["Status"],
                        status_message=dataset.get("StatusMessage", ""),
                        created_at=dataset["CreationTimestamp"],
                    )
                    for dataset in project.get("Datasets", ())
                ),
            )
            for project in described
        ]

    def describe(self, dataset_arn: str) -> DatasetState:
        with refused_by_rekognition():
            described = self._hook.describe_dataset(dataset_arn)
        counts = described.get("DatasetStats", {})
        return DatasetState(
            status=described["Status"],
            status_message=described.get("StatusMessage", ""),
            updated_at=described["LastUpdatedTimestamp"],
            images=counts.get("TotalEntries", 0),
            labelled=counts.get("LabeledEntries", 0),
            labels=counts.get("TotalLabels", 0),
            errors=counts.get("ErrorEntries", 0),
        )

    def entries(self, dataset_arn: str) -> Iterator[str]:
        with refused_by_rekognition():
            yield from self._hook.iterate_dataset_entries(dataset_arn)

    def find_entries(self, dataset_arn: str, source_ref: str) -> list[str]:
        with refused_by_rekognition():
            found = self._hook.iterate_dataset_entries(dataset_arn, source_ref_contains=source_ref)
            return [entry for entry in found if read_entry(entry.encode())[0] == source_ref]

    def update(self, dataset_arn: str, lines: bytes) -> None:
        with refused_by_rekognition():
            self._hook.update_dataset_entries(dataset_arn, lines)


def connection_id() -> str:
    """The connection that the gallery uses."""
    return Variable.get(CONNECTION_VARIABLE, default="aws_default") or "aws_default"


def _period() -> int:
    """Changes every few minutes: what an administrator sets is used without a restart."""
    return int(time.monotonic() // _LIFETIME_S)


@lru_cache(maxsize=16)
def _session(conn_id: str, _period: int) -> S3Session:
    """One session for a while: making a client of boto3 takes longer than reading a picture with it."""
    named_connection(conn_id)
    return s3_session(conn_id, connections=_CONNECTIONS)


@lru_cache(maxsize=4)
def _hook(conn_id: str, _period: int) -> RekognitionHook:
    """One hook for a while, whose client spaces its requests; the threads of an API server share it."""
    return rekognition_hook(conn_id)
