"""The gallery's services against local AWS, with a test's own buckets and project."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime

from include.custom_labels.errors import AccessError
from include.gallery.addresses import SampleAddress
from include.gallery.messages import RunPage
from include.gallery.services import DatasetState, RunSource, ServiceDataset, ServiceProject
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from tests.fixtures.places import Place


class NoRuns:
    """An Airflow without runs; `ended` holders are known to have ended, `started` ones to have started."""

    def __init__(self) -> None:
        self.ended: set[Holder] = set()
        self.started: dict[Holder, datetime] = {}

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        return None

    def has_ended(self, holder: Holder) -> bool:
        return holder in self.ended

    def started_at(self, holder: Holder) -> datetime | None:
        return self.started.get(holder)

    def sample(self, address: SampleAddress) -> bytes | None:
        return None


class LocalDatasets:
    """The local Rekognition service.

    :ivar updates: batches that were sent
    :ivar refuse: whether they are to be refused
    :ivar before_update: called right before one is sent
    :ivar status: that the dataset is said to have; None for its own
    :ivar updated_at: when it is said to have been changed last; None for when it was
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.updates: list[bytes] = []
        self.listings = 0
        self.refuse = False
        self.before_update: Callable[[], None] = lambda: None
        self.status: str | None = None
        self.updated_at: datetime | None = None

    def projects(self) -> list[ServiceProject]:
        found = self._place.rekognition.describe_projects(ProjectNames=[self._place.project])["ProjectDescriptions"]
        return [
            ServiceProject(
                name=self._place.project,
                status=each["Status"],
                created_at=each["CreationTimestamp"],
                datasets=tuple(
                    ServiceDataset(
                        dataset_arn=dataset["DatasetArn"],
                        dataset_type="train" if dataset["DatasetType"] == "TRAIN" else "test",
                        status=dataset["Status"],
                        status_message=dataset.get("StatusMessage", ""),
                        created_at=dataset["CreationTimestamp"],
                    )
                    for dataset in each["Datasets"]
                ),
            )
            for each in found
        ]

    def describe(self, dataset_arn: str) -> DatasetState:
        try:
            found = self._place.rekognition.describe_dataset(DatasetArn=dataset_arn)["DatasetDescription"]
        except self._place.rekognition.exceptions.ResourceNotFoundException as error:
            raise AccessError("REKOGNITION_RESOURCE_NOT_FOUND", "No such dataset.", "Check the ARN.") from error
        stats = found["DatasetStats"]
        return DatasetState(
            status=self.status or found["Status"],
            status_message=found.get("StatusMessage", ""),
            updated_at=self.updated_at or found["LastUpdatedTimestamp"],
            images=stats["TotalEntries"],
            labelled=stats["LabeledEntries"],
            labels=stats["TotalLabels"],
            errors=stats["ErrorEntries"],
        )

    def entries(self, dataset_arn: str) -> Iterator[str]:
        self.listings += 1
        pages = self._place.rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn)
        for page in pages:
            yield from page["DatasetEntries"]

    def find_entries(self, dataset_arn: str, source_ref: str) -> list[str]:
        answer = self._place.rekognition.list_dataset_entries(DatasetArn=dataset_arn, SourceRefContains=source_ref)
        return [line for line in answer["DatasetEntries"] if json.loads(line)["source-ref"] == source_ref]

    def update(self, dataset_arn: str, lines: bytes) -> None:
        if self.refuse:
            raise AccessError("REKOGNITION_ACCESS_DENIED", "The role lacks a permission.", "Allow the operation.")
        self.before_update()
        try:
            self._place.rekognition.update_dataset_entries(DatasetArn=dataset_arn, Changes={"GroundTruth": lines})
        except self._place.rekognition.exceptions.ResourceInUseException as error:
            raise AccessError("REKOGNITION_RESOURCE_IN_USE", "Another update is under way.", "Try again.") from error
        self.updates.append(lines)

    def save(self, dataset_arn: str, line: bytes) -> dict[str, str]:
        """Send an entry: what `LiveEntries.put` is told of the dataset's times."""
        since = self.describe(dataset_arn).updated_at.isoformat()
        self.update(dataset_arn, line)
        return {"since": since, "until": self._place.wait_until_ready(dataset_arn)["LastUpdatedTimestamp"].isoformat()}


class PlacedServices:
    """`include.gallery.services.Services` of one place."""

    def __init__(self, place: Place) -> None:
        self._session = S3Session(place.s3)
        self._workspace = Workspace.parse(f"s3://{place.workspace}/custom-labels")
        self._datasets = LocalDatasets(place)
        self.no_runs = NoRuns()

    def datasets(self) -> LocalDatasets:
        return self._datasets

    def s3(self) -> S3Session:
        return self._session

    def workspace(self) -> Workspace:
        return self._workspace

    def runs(self) -> RunSource:
        return self.no_runs
