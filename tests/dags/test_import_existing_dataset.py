"""`import_existing_dataset` from its first task to its last: within one account, and from another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.existing_datasets import boxed, entries_of, image_level, labels_of, make_dataset
from tests.fixtures.local_aws import LocalAws
from tests.fixtures.places import Place, picture

pytestmark = pytest.mark.integration

ReturnValue = Callable[..., Any]
TaskStates = Callable[..., dict[str, str]]


def lines_of(place: Place, folder: str) -> list[dict[str, Any]]:
    """Upload pictures, and say what a dataset says of them."""
    base = f"s3://{place.images}/{folder}"
    place.put(*(f"{folder}/{name}.png" for name in (*"abcd0123", "ü +%20")))
    return [
        image_level(f"{base}/a.png", "echo", "spot"),
        # With a member of its own, which is no label.
        image_level(f"{base}/b.png", "echo") | {"camera": "front"},
        {"source-ref": f"{base}/c.png"},
        *(image_level(f"{base}/{number}.png", "echo") for number in range(4)),
        image_level(f"{base}/ü +%20.png", f"s3://{place.images}"),
        # Outside of its image: an error that the copy has as well.
        boxed(f"{base}/d.png", "spot", left=60),
    ]


def said(entries: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    return {source_ref: labels_of(entry) for source_ref, entry in entries.items()}


def test_train_and_test_within_one_account(
    place: Place, run_dag: RunDag, return_value: ReturnValue, task_states: TaskStates
) -> None:
    source = f"{place.project}-source"
    lines = {each: lines_of(place, each) for each in ("train", "test")}
    arns = {each: make_dataset(place, source, each, lines[each]) for each in lines}
    # A person labels one image: the manifest that the dataset was made from does not know.
    by_hand = image_level(lines["train"][2]["source-ref"], "by hand")
    place.rekognition.update_dataset_entries(
        DatasetArn=arns["train"], Changes={"GroundTruth": json.dumps(by_hand).encode()}
    )
    place.wait_until_ready(arns["train"])

    conf = {"project": place.project, "source_dataset": source, "dataset_type": "train+test"}
    run = run_dag("import_existing_dataset", conf)
    assert run.state == "success"
    for each in ("train", "test"):
        copied, original = entries_of(place, place.project, each), entries_of(place, source, each)
        assert said(copied) == said(original)
        assert [entry["camera"] for entry in copied.values() if "camera" in entry] == ["front"]
        summary = return_value(run, f"{each}.summarize")
        assert summary["dataset_type"] == each
        details = json.loads(place.read(summary["summary_uri"]))["details"]
        assert details["provenance"]["dataset_arn"] == arns[each]
        assert details["provenance"]["account"] == place.aws.account
    assert labels_of(entries_of(place, place.project, "train")[by_hand["source-ref"]]) == {"by hand"}
    assert return_value(run, "train.summarize")["states"] == {"registered": 8, "unlabelled": 1}
    reasons = {row["reason"]: row for row in return_value(run, "test.register")["reasons"]}
    assert "ERROR_INVALID_BOUNDING_BOX" in reasons["ERRORS_AT_SOURCE"]["samples"][0]["detail"]

    again = run_dag("import_existing_dataset", conf | {"dataset_type": "test"})
    assert again.state == "success"
    states = task_states(again)
    assert {state for task, state in states.items() if task.startswith("train.")} == {"skipped"}
    assert return_value(again, "test.summarize")["action"] == "unchanged"
    assert return_value(again, "test.summarize")["changed"] is False


def test_from_another_account_and_region(
    place: Place, other_aws: LocalAws, run_dag: RunDag, return_value: ReturnValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Place(other_aws, place.images, "example-elsewhere", "example-source")
    other_aws.create_buckets(there.images, there.workspace)
    # Another Region has projects of its own, and the other S3 a bucket of the same name with other images.
    abroad = other_aws.client("rekognition", region_name="eu-west-1")
    there.__dict__["rekognition"] = abroad
    lines = lines_of(there, "images")
    arn = make_dataset(there, there.project, "train", lines)
    there.s3.delete_object(Bucket=there.images, Key="images/b.png")
    place.put("images/a.png", body=picture(size=(70, 70)))
    monkeypatch.setenv("AIRFLOW_CONN_EXAMPLE_ABROAD", other_aws.airflow_connection("eu-west-1"))
    conf = {
        "project": place.project,
        "source_dataset": arn,
        "source_aws_conn_id": "example_abroad",
        "image_destination": f"s3://{place.workspace}/copies",
    }
    run = run_dag("import_existing_dataset", conf)
    assert run.state == "success"
    base = f"copies/{place.images}/images"
    copied = entries_of(place, place.project, "train")
    assert said(copied) == {
        **{f"s3://{place.workspace}/{base}/{number}.png": {"echo"} for number in range(4)},
        f"s3://{place.workspace}/{base}/a.png": {"echo", "spot"},
        f"s3://{place.workspace}/{base}/c.png": set(),
        f"s3://{place.workspace}/{base}/ü +%20.png": {f"s3://{place.images}"},
        f"s3://{place.workspace}/{base}/d.png": {"spot"},
    }
    for name in (*"acd0123", "ü +%20"):
        original = there.read(f"s3://{there.images}/images/{name}.png")
        assert place.read(f"s3://{place.workspace}/{base}/{name}.png") == original
    summary = return_value(run, "train.summarize")
    provenance = json.loads(place.read(summary["summary_uri"]))["details"]["provenance"]
    assert (provenance["dataset_arn"], provenance["region"]) == (arn, "eu-west-1")
    reasons = {row["reason"]: row for row in return_value(run, "train.register")["reasons"]}
    assert reasons["IMAGE_NOT_FOUND"]["count"] == 1
    for row in (*reasons["FROM_DATASET"]["samples"], *reasons["UNLABELLED_AT_SOURCE"]["samples"]):
        assert row["detail"] == f"from s3://{there.images}/{row['key'].removeprefix(f'copies/{there.images}/')}"
    assert "; from s3://" in reasons["ERRORS_AT_SOURCE"]["samples"][0]["detail"]


def copies(place: Place) -> list[str]:
    return [key for key in place.workspace_keys() if key.startswith("copies/")]


def test_a_dataset_over_the_quota_is_refused_before_any_copy(
    place: Place, run_dag: RunDag, task_states: TaskStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(place, f"{place.project}-source", "train", lines_of(place, "images"))
    limits = type("Limits", (), {"images": lambda self, dataset_type: 4})
    monkeypatch.setattr("include.pipelines.existing_dataset.regional_quotas", lambda region: limits())
    run = run_dag(
        "import_existing_dataset",
        {
            "project": place.project,
            "source_dataset": f"{place.project}-source/train",
            "image_destination": f"s3://{place.workspace}/copies",
        },
    )
    states = task_states(run)
    assert states["find_source"] == "failed"
    assert states["train.export_entries"] == "upstream_failed"
    assert copies(place) == []
