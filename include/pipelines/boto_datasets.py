"""A dataset in Rekognition, read with a client of boto3 alone, for programs outside of Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError, DatasetConflictError


class BotoDataset:
    """One dataset of a project.

    :param client: of Rekognition
    :param dataset_type: ``train`` or ``test``
    """

    def __init__(self, client: Any, project: str, dataset_type: str) -> None:
        self._client = client
        self._project = project
        self._dataset_type = dataset_type

    def find(self) -> str | None:
        """The dataset's ARN; None where it does not exist, or has no entries as its creation failed.

        :raises DatasetConflictError: DATASET_BUSY
        :raises AccessError: REKOGNITION_UNREADABLE
        """
        name = f"the {self._dataset_type} dataset of {self._project}"
        with _translated(name):
            pages = self._client.get_paginator("describe_projects").paginate(ProjectNames=[self._project])
            found = [
                dataset
                for page in pages
                for project in page["ProjectDescriptions"]
                # Names of projects have no slash, and the ARN is .../project/<name>/<time>.
                if project["ProjectArn"].split("/")[1] == self._project
                for dataset in project.get("Datasets", ())
                if dataset["DatasetType"] == self._dataset_type.upper()
            ]
        if not found or found[0]["Status"] == "CREATE_FAILED":
            return None
        if found[0]["Status"].endswith("_IN_PROGRESS"):
            raise DatasetConflictError(
                "DATASET_BUSY",
                f"The {self._dataset_type} dataset of {self._project} is in {found[0]['Status']}.",
                "Wait until it has ended, then run again.",
                dataset_arn=found[0]["DatasetArn"],
            )
        arn: str = found[0]["DatasetArn"]
        return arn

    def entries(self, dataset_arn: str) -> Iterator[bytes]:
        """The entries as the service lists them; 250,000 of them take at least 500 seconds.

        :raises AccessError: REKOGNITION_UNREADABLE
        """
        pages = iter(self._client.get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn))
        while True:
            with _translated(dataset_arn):
                page = next(pages, None)
            if page is None:
                return
            for entry in page["DatasetEntries"]:
                yield entry.encode()


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise AccessError(
            "REKOGNITION_UNREADABLE",
            f"Rekognition does not tell of {place}: {error}",
            "Check credentials, Region and endpoint, and allow rekognition:DescribeProjects and "
            "rekognition:ListDatasetEntries.",
            place=place,
        ) from error
