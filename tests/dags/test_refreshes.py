"""Refreshes of a dataset that exists: replaced where images are gone, held, gated, split."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.existing_datasets import boxed, entries_of, image_level, labels_of
from tests.fixtures.places import Place

pytestmark = pytest.mark.integration

ReturnValue = Callable[..., Any]
FOLDER = "alexa-devices/"


def states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def edit(place: Place, *lines: dict[str, Any]) -> None:
    arn = str(place.dataset_arn())
    body = "\n".join(map(json.dumps, lines)).encode()
    place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": body})
    place.wait_until_ready(arn)


def said(place: Place, dataset_type: str = "train") -> dict[str, set[str]]:
    head = f"s3://{place.images}/{FOLDER}"
    entries = entries_of(place, place.project, dataset_type)
    return {ref.removeprefix(head): labels_of(entry) for ref, entry in entries.items()}


def test_a_dataset_that_lost_images_is_replaced_and_risks_are_refused(
    place: Place, run_dag: RunDag, return_value: ReturnValue
) -> None:
    place.put(*(f"{FOLDER}echo/{number:02}.png" for number in range(12)), f"{FOLDER}dot/a.png", f"{FOLDER}dot/b.png")
    assert run_dag("import_s3_folder", place.conf()).state == "success"
    old = place.dataset_arn()
    ref = f"s3://{place.images}/{FOLDER}"
    edit(place, image_level(f"{ref}echo/01.png", "echo plus"), boxed(f"{ref}dot/a.png", "dot"))
    place.s3.delete_object(Bucket=place.images, Key=f"{FOLDER}echo/00.png")
    run = run_dag("import_s3_folder", place.conf())
    assert run.state == "success"
    assert states(run)["train.approve"] == "skipped"
    assert states(run)["train.register"] == "success"
    summary = return_value(run, "train.summarize")
    assert summary["action"] == "replace"
    assert summary["dataset_arn"] == place.dataset_arn() != old
    assert summary["states"]["removed"] == 1
    expected = {f"echo/{number:02}.png": {"echo"} for number in range(1, 12)}
    assert said(place) == expected | {"echo/01.png": {"echo plus"}, "dot/a.png": {"dot"}, "dot/b.png": {"dot"}}
    folder = summary["summary_uri"].rpartition("/")[0]
    exported = [json.loads(line) for line in place.read(f"{folder}/entries.manifest").splitlines()]
    assert len(exported) == 14
    report = place.read(f"{folder}/report.html")
    assert b"echo/00.png" in report
    # What ends before the snapshot is made is in its report, and that itself in the summary.
    steps = {"list_objects", "inspect_images", "train.build_manifest", "train.register"}
    assert steps | {"train.publish_snapshot"} <= summary["timings"].keys()
    assert all(step.encode() in report for step in steps)
    gate = json.loads(place.read(summary["summary_uri"]))["details"]["gate"]
    assert (gate["diff"]["removed"], gate["diff"]["added"], gate["risks"]) == (1, 0, [])

    # Nothing has changed since: no image is read, nothing is written, nobody is told.
    again = run_dag("import_s3_folder", place.conf())
    assert again.state == "success"
    after = return_value(again, "train.summarize")
    assert (after["action"], after["changed"]) == ("unchanged", False)
    assert after["states"] == {key: count for key, count in summary["states"].items() if key != "removed"}

    # Risks fail a run that may ask nobody.
    before = said(place)
    place.put(f"{FOLDER}__MACOSX/c.png")
    refused = run_dag("import_s3_folder", place.conf(approval="never"))
    assert states(refused)["train.check_gate"] == "failed"
    assert said(place) == before
    accepted = place.conf(approval="never", accept_risks=["NEW_LABELS", "SUSPICIOUS_LABELS"])
    assert run_dag("import_s3_folder", accepted).state == "success"
    assert said(place)["__MACOSX/c.png"] == {"__MACOSX"}


def test_images_are_split_between_train_and_test(place: Place, run_dag: RunDag, return_value: ReturnValue) -> None:
    names = [f"{label}/{number:02}.png" for label in ("echo", "dot") for number in range(10)]
    for number, name in enumerate(names):
        place.put(FOLDER + name, body=distinct(number))
    conf = place.conf(dataset_type="train+test", accept_risks=["NEW_LABELS"])
    first = run_dag("import_s3_folder", conf)
    assert first.state == "success"
    train, test = said(place), said(place, "test")
    assert train | test == {name: {name.split("/")[0]} for name in names}
    assert not train.keys() & test.keys()
    assert sorted(label for (label,) in test.values()) == ["dot", "dot", "echo", "echo"]
    place.put(f"{FOLDER}echo/new.png", body=distinct(99))
    second = run_dag("import_s3_folder", conf)
    assert second.state == "success"
    assert said(place, "test").keys() >= test.keys()
    assert said(place).keys() >= train.keys()


def test_a_split_that_leaves_the_test_dataset_empty_says_why(
    place: Place, run_dag: RunDag, return_value: ReturnValue
) -> None:
    for number, name in enumerate(f"{label}/{number}.png" for label in ("echo", "dot") for number in range(5)):
        place.put(FOLDER + name, body=distinct(number))
    assert run_dag("import_s3_folder", place.conf()).state == "success"
    run = run_dag("import_s3_folder", place.conf(dataset_type="train+test"))
    assert run.state == "success"
    assert states(run)["test.choose_dataset"] == "skipped"
    summary = return_value(run, "train.summarize")
    assert summary["findings"] == {"WARNING_EMPTY_SIDE": 1}
    why = "No image is in the test dataset: all 10 images were in the training dataset before, and stay there."
    assert why in place.read(summary["report_uri"]).decode()


def distinct(number: int) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 64), (number, 200, 7)).save(file, "PNG")
    return file.getvalue()
