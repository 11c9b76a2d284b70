"""`import_local_computer` from its first task to its last, against the local services."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.places import Place, picture

pytestmark = pytest.mark.integration

ReturnValue = Callable[..., Any]

ALEXA_DEVICES = {
    "alexa-devices/echo-dot/echo-dot-image-1.png": "echo-dot",
    "alexa-devices/echo-dot/echo-dot-image-2.png": "echo-dot",
    "alexa-devices/echo-dot/white-echo-dot/white-echo-dot-image-1.png": "echo-dot",
    "alexa-devices/echo/echo-image-1.png": "echo",
    "alexa-devices/echo/echo-image-2.png": "echo",
    "alexa-devices/echo/photo.jpg": "echo",
    "alexa-devices/loose.png": None,
}


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() + name.encode())


def test_images_are_added_to_a_dataset_that_keeps_everything_it_has(
    alexa_devices: Place, run_dag: RunDag, return_value: ReturnValue, tmp_path: Path
) -> None:
    place = alexa_devices
    assert run_dag("import_s3_folder", place.conf()).state == "success"
    edited = {
        "source-ref": f"s3://{place.images}/alexa-devices/echo/photo.jpg",
        "label-0": 1,
        "label-0-metadata": {
            "class-name": "echo-plus",
            "confidence": 1,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2026-11-22T20:00:00",
        },
    }
    arn = str(place.dataset_arn())
    place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": json.dumps(edited).encode()})
    place.wait_until_ready(arn)
    expected = ALEXA_DEVICES | {"alexa-devices/echo/photo.jpg": "echo-plus"}

    # Images of a folder, one of which the dataset has already: it keeps its label.
    fill(tmp_path, "spot/new.png", "notes.txt")
    there = tmp_path / "echo" / "echo-image-1.png"
    there.parent.mkdir()
    there.write_bytes(place.read(f"s3://{place.images}/alexa-devices/echo/echo-image-1.png"))
    taken = tmp_path / "echo" / "echo-image-2.png"
    taken.write_bytes(picture("JPEG"))
    conf = {"project": place.project, "local_folder": str(tmp_path)}
    run = run_dag("import_local_computer", conf)
    assert run.state == "success"
    expected["alexa-devices/spot/new.png"] = None
    assert place.entries() == expected
    assert return_value(run, "stage_files")["destination"] == f"s3://{place.images}/alexa-devices/"
    assert return_value(run, "train.register")["plan"]["sent"] == 1
    rows = {(row["state"], row["reason"]): row["count"] for row in return_value(run, "train.register")["reasons"]}
    assert rows == {
        ("registered", "IN_LAST_SNAPSHOT"): 5,
        ("registered", "KEPT_DATASET_ENTRY"): 1,
        ("rejected", "NAME_TAKEN"): 1,
        ("skipped", "NOT_AN_IMAGE_NAME"): 1,
        ("unlabelled", "AUTOMATIC_LABELING_OFF"): 1,
        ("unlabelled", "IN_LAST_SNAPSHOT"): 1,
    }

    # The folder's import goes on from there: nothing counts as removed, and the person's work stays.
    again = run_dag("import_s3_folder", place.conf(accept_risks=["NEW_LABELS"]))
    assert again.state == "success"
    expected["alexa-devices/spot/new.png"] = "spot"
    assert place.entries() == expected


def test_a_browsers_upload_begins_a_dataset(place: Place, run_dag: RunDag, return_value: ReturnValue) -> None:
    for name in ("echo/a.png", "loose.png"):
        key = f"custom-labels/uploads/upload-1/{name}"
        place.s3.put_object(Bucket=place.workspace, Key=key, Body=picture() + name.encode())
    conf = {"project": place.project, "upload_id": "upload-1", "automatic_labeling": True}
    run = run_dag("import_local_computer", conf)
    assert run.state == "success"
    head = f"s3://{place.workspace}/custom-labels/images/{place.project}/train/"
    assert place.entries() == {f"{head}echo/a.png": "echo", f"{head}loose.png": None}
    assert return_value(run, "upload_images", 0)["outcomes"] == {"copied": 2}
    assert return_value(run, "train.summarize")["states"] == {"registered": 1, "unlabelled": 1}


@pytest.mark.parametrize("source", ["upload_id", "local_folder"])
def test_importing_the_same_files_twice_changes_nothing(
    place: Place, run_dag: RunDag, return_value: ReturnValue, tmp_path: Path, source: str
) -> None:
    # All images are in one child folder: the deepest folder of what is there is not the folder of the import.
    for name in ("echo/a.png", "echo/b.png"):
        fill(tmp_path, name)
        body = (tmp_path / name).read_bytes()
        place.s3.put_object(Bucket=place.workspace, Key=f"custom-labels/uploads/upload-1/{name}", Body=body)
    conf = {"project": place.project, "automatic_labeling": True}
    conf[source] = "upload-1" if source == "upload_id" else str(tmp_path)
    head = f"s3://{place.workspace}/custom-labels/images/{place.project}/train/"
    for _ in range(2):
        run = run_dag("import_local_computer", conf)
        assert run.state == "success"
        assert return_value(run, "stage_files")["destination"] == head
        assert place.entries() == {f"{head}echo/a.png": "echo", f"{head}echo/b.png": "echo"}
    assert return_value(run, "train.summarize")["action"] == "unchanged"
