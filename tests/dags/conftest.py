"""Buckets, pictures and a connection for runs of Dags against the local services."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from PIL import Image

from tests.fixtures.local_aws import LocalAws

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket of images, a bucket for the workspace and a project name of a test's own."""

    aws: LocalAws
    images: str
    workspace: str
    project: str

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    @property
    def rekognition(self) -> Any:
        return self.aws.client("rekognition")

    def put(self, *keys: str, body: bytes | None = None) -> None:
        """Upload a picture, or the given bytes, under each key."""
        for key in keys:
            self.s3.put_object(Bucket=self.images, Key=key, Body=picture() if body is None else body)

    def conf(self, **more: Any) -> dict[str, Any]:
        return {"project": self.project, "s3_folder": f"s3://{self.images}/alexa-devices", **more}

    def dataset_arn(self, dataset_type: str = "TRAIN") -> str | None:
        projects = self.rekognition.describe_projects(ProjectNames=[self.project])["ProjectDescriptions"]
        datasets = projects[0]["Datasets"] if projects else []
        return next((each["DatasetArn"] for each in datasets if each["DatasetType"] == dataset_type), None)

    def entries(self) -> dict[str, str | None]:
        """The dataset's entries: label by key."""
        pages = self.rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=self.dataset_arn())
        lines = [json.loads(entry) for page in pages for entry in page["DatasetEntries"]]
        head = f"s3://{self.images}/"
        return {
            line["source-ref"].removeprefix(head): line.get("label-0-metadata", {}).get("class-name") for line in lines
        }

    def read(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def workspace_keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.workspace)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def picture(image_format: str = "PNG", size: tuple[int, int] = (64, 64)) -> bytes:
    """A small picture; no two are the same."""
    file = io.BytesIO()
    Image.new("RGB", size, (next(_numbers) % 256, 80, 120)).save(file, image_format)
    return file.getvalue()


@pytest.fixture
def place(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    number = next(_numbers)
    made = Place(local_aws, f"example-images-{number}", f"example-workspace-{number}", f"project-{number}")
    for bucket in (made.images, made.workspace):
        made.s3.create_bucket(Bucket=bucket)
    connection = {
        "conn_type": "aws",
        "login": local_aws.access_key,
        "password": local_aws.secret_key,
        "extra": {
            "region_name": local_aws.region,
            "endpoint_url": local_aws.s3_endpoint,
            "service_config": {"rekognition": {"endpoint_url": local_aws.rekognition_endpoint}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE", f"s3://{made.workspace}/custom-labels")
    yield made
    local_aws.clear_faults()


@pytest.fixture
def alexa_devices(place: Place) -> Place:
    """The folder of the AWS page, with a loose image, a text file and a folder marker."""
    place.put(
        "alexa-devices/echo/echo-image-1.png",
        "alexa-devices/echo/echo-image-2.png",
        "alexa-devices/echo-dot/echo-dot-image-1.png",
        "alexa-devices/echo-dot/echo-dot-image-2.png",
        "alexa-devices/echo-dot/white-echo-dot/white-echo-dot-image-1.png",
        "alexa-devices/loose.png",
        "alexa-devices2/other/no.png",
    )
    place.put("alexa-devices/echo/photo.jpg", body=picture("JPEG"))
    place.put("alexa-devices/notes.txt", body=b"notes")
    place.put("alexa-devices/echo/", body=b"")
    return place


Failure = Callable[[Any], str]
