"""The gallery's services against local AWS, with a test's own buckets and project."""

from __future__ import annotations

from collections.abc import Iterator

from include.custom_labels.errors import DatasetConflictError
from include.gallery.addresses import SampleAddress
from include.gallery.messages import RunPage
from include.gallery.services import DatasetState, RunSource, ServiceDataset, ServiceProject
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from tests.fixtures.places import Place


class NoRuns:
    """An Airflow without runs; `ended` holders are known to have ended."""

    def __init__(self) -> None:
        self.ended: set[Holder] = set()

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        return None

    def has_ended(self, holder: Holder) -> bool:
        return holder in self.ended

    def sample(self, address: SampleAddress) -> bytes | None:
        return None


class LocalDatasets:
    """The local Rekognition service; `updates` are the batches that were sent, unless they are to be refused."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.updates: list[bytes] = []
        self.listings = 0
        self.refuse = False

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
        found = self._place.rekognition.describe_dataset(DatasetArn=dataset_arn)["DatasetDescription"]
        stats = found["DatasetStats"]
        return DatasetState(
            status=found["Status"],
            status_message=found.get("StatusMessage", ""),
            updated_at=found["LastUpdatedTimestamp"],
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
        return list(answer["DatasetEntries"])

    def update(self, dataset_arn: str, lines: bytes) -> None:
        if self.refuse:
            raise DatasetConflictError("REKOGNITION_RESOURCE_IN_USE", "Another update is under way.", "Try again.")
        self.updates.append(lines)
        self._place.rekognition.update_dataset_entries(DatasetArn=dataset_arn, Changes={"GroundTruth": lines})
        self._place.wait_until_ready(dataset_arn)


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
