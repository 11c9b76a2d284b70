"""`import_s3_folder` from its first task to its last, against the local services."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.places import Place, end_of_second, picture

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
HOSTILE = {
    "alexa-devices/a+b/x y.png": "a+b",
    "alexa-devices/a%20b/#1.png": "a%20b",
    'alexa-devices/"it\'s"/{{ x }}.png': '"it\'s"',
    "alexa-devices/שלום/x.png": "שלום",
    "alexa-devices/😀/x.png": "😀",
    "alexa-devices/caf\u00e9/x.png": "caf\u00e9",
    "alexa-devices/cafe\u0301/x.png": "cafe\u0301",
    "alexa-devices/ blanks /x.png": " blanks ",
    "alexa-devices/Echo/x.png": "Echo",
    "alexa-devices/<&>/x.png": "<&>",
}


def states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def assert_gallery_knows(run_id: str, place: Place) -> None:
    """What the gallery's tab on the run shows, and the dataset in its list."""
    from include.pipelines.gallery_services import AirflowServices

    services = AirflowServices()
    page = services.runs().describe("import_s3_folder", run_id)
    assert page is not None
    assert (page.is_ours, page.source, page.state) == (True, "s3_folder", "success")
    (dataset,) = page.datasets
    assert (dataset.project, dataset.dataset_type, dataset.action) == (place.project, "train", "create")
    assert (dataset.counts["added"], dataset.base_snapshot_id, dataset.held) == (17, "", None)
    assert dataset.snapshot_id
    assert services.runs().describe("import_s3_folder", "another") is None
    (project,) = [each for each in services.datasets().projects() if each.name == place.project]
    (listed,) = project.datasets
    assert (listed.dataset_arn, listed.dataset_type, listed.status) == (
        place.dataset_arn(),
        "train",
        "CREATE_COMPLETE",
    )
    assert services.datasets().describe(listed.dataset_arn).images == 17


def test_imports_of_a_new_an_unchanged_and_a_changed_folder(
    alexa_devices: Place, run_dag: RunDag, return_value: ReturnValue
) -> None:
    alexa_devices.put(*HOSTILE)
    # Some of the hostile labels look alike, which is asked about even at the first import.
    first = run_dag("import_s3_folder", alexa_devices.conf(accept_risks=["LOOKALIKE_LABELS"]))
    assert first.state == "success"
    assert alexa_devices.entries() == ALEXA_DEVICES | HOSTILE
    summary = return_value(first, "train.summarize")
    assert summary["images_per_label"]["echo"] == 3
    assert summary["states"] == {"registered": 16, "skipped": 2, "unlabelled": 1}
    assert summary["dataset_arn"] == alexa_devices.dataset_arn()
    assert summary["changed"] is True
    lines = alexa_devices.read(summary["manifest_uri"]).splitlines()
    keys = [json.loads(line)["source-ref"].removeprefix(f"s3://{alexa_devices.images}/") for line in lines]
    assert keys == sorted(ALEXA_DEVICES | HOSTILE, key=str.encode)
    assert json.loads(alexa_devices.read(summary["summary_uri"]))["snapshot_id"] == summary["snapshot_id"]

    assert_gallery_knows(first.run_id, alexa_devices)

    second = run_dag("import_s3_folder", alexa_devices.conf())
    assert second.state == "success"
    again = return_value(second, "train.summarize")
    assert (again["action"], again["changed"]) == ("unchanged", False)
    assert alexa_devices.read(again["manifest_uri"]).splitlines() == lines

    # A person labels an image, while others are added and relabelled.
    arn = alexa_devices.dataset_arn()
    edited = json.dumps(
        {
            "source-ref": f"s3://{alexa_devices.images}/alexa-devices/echo/echo-image-1.png",
            "label-0": 1,
            "label-0-metadata": {
                "class-name": "echo-plus",
                "confidence": 1,
                "type": "groundtruth/image-classification",
                "human-annotated": "yes",
                "creation-date": "2026-11-22T20:00:00",
            },
        }
    )
    alexa_devices.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": edited.encode()})
    alexa_devices.wait_until_ready(str(arn))
    alexa_devices.put("alexa-devices/spot/new.png")
    accepted = ["NEW_LABELS", "VANISHED_LABELS", "LOOKALIKE_LABELS"]
    run = run_dag("import_s3_folder", alexa_devices.conf(label_aliases={"echo-dot": "Echo Dot"}, accept_risks=accepted))
    assert run.state == "success"
    assert return_value(run, "train.register")["plan"]["sent"] == 4
    expected = {
        **ALEXA_DEVICES,
        **HOSTILE,
        "alexa-devices/echo/echo-image-1.png": "echo-plus",
        "alexa-devices/spot/new.png": "spot",
        "alexa-devices/echo-dot/echo-dot-image-1.png": "Echo Dot",
        "alexa-devices/echo-dot/echo-dot-image-2.png": "Echo Dot",
        "alexa-devices/echo-dot/white-echo-dot/white-echo-dot-image-1.png": "Echo Dot",
    }
    assert alexa_devices.entries() == expected
    reasons = {row["reason"]: row for row in return_value(run, "train.register")["reasons"]}
    assert reasons["KEPT_DATASET_ENTRY"]["samples"] == [
        {"key": "alexa-devices/echo/echo-image-1.png", "detail": "the source says 'echo'"}
    ]


def test_an_unknown_parameter_fails_the_first_task(alexa_devices: Place, run_dag: RunDag) -> None:
    run = run_dag("import_s3_folder", alexa_devices.conf(s3_foldr="s3://example-images"))
    assert run.state == "failed"
    assert states(run)["validate_request"] == "failed"
    assert states(run)["check_access"] == "upstream_failed"
    assert states(run)["train.register"] == states(run)["test.register"] == "upstream_failed"
    assert alexa_devices.workspace_keys() == []


def test_a_failed_access_check_leaves_nothing_behind(place: Place, run_dag: RunDag) -> None:
    place.put("alexa-devices", body=picture())
    run = run_dag("import_s3_folder", place.conf())
    assert states(run)["check_access"] == "failed"
    assert states(run)["list_objects"] == "upstream_failed"
    assert place.workspace_keys() == []
    assert place.dataset_arn() is None


def test_build_only_leaves_rekognition_alone(alexa_devices: Place, run_dag: RunDag, return_value: ReturnValue) -> None:
    # Not over yet, as far as clocks agree.
    as_of = datetime.now(UTC) + timedelta(seconds=30)
    run = run_dag("import_s3_folder", alexa_devices.conf(register=False, as_of=as_of.isoformat()))
    assert run.state == "success"
    summary = return_value(run, "train.summarize")
    assert summary["as_of"] == as_of.replace(microsecond=0).isoformat()
    assert summary["states"] == {"labelled": 6, "skipped": 2, "unlabelled": 1}
    assert alexa_devices.dataset_arn() is None
    assert not [key for key in alexa_devices.workspace_keys() if key.endswith("current.json")]


def test_a_time_that_is_over_is_rebuilt_from_versions(
    versioned: Place, run_dag: RunDag, return_value: ReturnValue
) -> None:
    versioned.put("alexa-devices/echo/a.png", "alexa-devices/echo/b.png", "alexa-devices/spot/c.png")
    as_of = end_of_second()
    versioned.put("alexa-devices/echo/b.png", "alexa-devices/spot/later.png")
    versioned.s3.delete_object(Bucket=versioned.images, Key="alexa-devices/spot/c.png")
    conf = versioned.conf(as_of=as_of.isoformat(), history_folder=f"s3://{versioned.images}/old")
    run = run_dag("import_s3_folder", conf)
    assert run.state == "success"
    begun = return_value(run, "validate_request")
    assert (begun["run_type"], begun["is_past"]) == ("manual", True)
    entries = versioned.entries()
    assert entries.pop("alexa-devices/echo/a.png") == "echo"
    copies = {key.removeprefix("old/custom-labels-history/").partition("/")[2]: label for key, label in entries.items()}
    assert copies == {"alexa-devices/echo/b.png": "echo", "alexa-devices/spot/c.png": "spot"}
    summary = return_value(run, "train.summarize")
    assert (summary["states"], summary["as_of"]) == ({"registered": 3}, as_of.isoformat())


def test_a_dataset_that_failed_is_replaced_by_the_next_run(alexa_devices: Place, run_dag: RunDag) -> None:
    message = "The manifest file contains images from multiple S3 buckets."
    alexa_devices.aws.faults("CreateDataset", "fail", message=message, code="CLIENT_ERROR")
    failed = run_dag("import_s3_folder", alexa_devices.conf())
    assert states(failed)["train.register"] == "failed"
    assert states(failed)["train.publish_snapshot"] == "upstream_failed"
    run = run_dag("import_s3_folder", alexa_devices.conf())
    assert run.state == "success"
    assert states(run)["train.register"] == "success"
    assert alexa_devices.entries() == ALEXA_DEVICES
