"""Bad input ends in the first step that can know, with a code, and leaves Rekognition alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.ledger import State
from include.custom_labels.locations import S3Uri
from include.custom_labels.reasons import Reason
from include.custom_labels.risks import Risk
from include.object_store.tables import read_ledger
from include.pipelines import publication
from include.pipelines import shards as sharding
from include.pipelines.division import divide_images
from include.pipelines.gates import check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.reconciliation import reconcile
from include.pipelines.registration import Plan, plan_registration
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.s3_folder import assign_labels, list_objects
from include.pipelines.waiting import WaitingError
from include.rekognition.errors import RekognitionDatasetError
from include.rekognition.hook import RekognitionHook
from tests.fixtures.places import HOLDER, Place, picture

pytestmark = pytest.mark.integration


def work(step: Callable[..., Any], *args: Any) -> Any:
    """The step's own function, without the task around it."""
    return step.__wrapped__(*args)  # type: ignore[attr-defined]


class Steps:
    """The steps of one run, up to the one that a test is about."""

    def __init__(self, place: Place, **conf: Any) -> None:
        request = S3FolderRequest.parse(place.conf(**conf))
        as_of = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        self.run = ImportRun(request=request, as_of=as_of, slug=f"run-{place.project}", holder=HOLDER).to_json()

    def labelled(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = work(assign_labels, self.run, work(list_objects, self.run))
        return shards

    def inspected(self) -> list[dict[str, Any]]:
        return [work(inspect_images, self.run, shard) for shard in self.labelled()]

    def built(self) -> dict[str, Any]:
        built: dict[str, Any] = work(build_manifest, self.run, self.inspected())
        return built


def refused(step: Callable[[], object], code: str) -> CustomLabelsError:
    with pytest.raises(CustomLabelsError) as caught:
        step()
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def assert_its_ledger(place: Place, error: CustomLabelsError, objects: int) -> None:
    """The ledger that the error names is there, with every object of the import."""
    address = str(error.details["ledger"])
    assert address in error.next_step
    pages = read_ledger(ImportRun.from_json(Steps(place).run).s3, S3Uri.parse(address))
    assert sum(len(page) for page in pages) == objects


def test_an_empty_folder(place: Place) -> None:
    place.put("elsewhere/a.png")
    refused(Steps(place).labelled, "FOLDER_EMPTY")


def test_a_missing_bucket(place: Place) -> None:
    refused(Steps(place, s3_folder="s3://example-nowhere/x").labelled, "BUCKET_NOT_FOUND")


def test_a_connection_that_does_not_exist(place: Place) -> None:
    run = ImportRun.from_json(Steps(place, aws_conn_id="example_missing").run)
    refused(lambda: run.region, "CONNECTION_NOT_FOUND")


def test_a_connection_without_a_region(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EXAMPLE_NOWHERE", "aws://")
    run = ImportRun.from_json(Steps(place, aws_conn_id="example_nowhere").run)
    refused(lambda: run.region, "REGION_NOT_SET")


def test_a_workspace_that_is_not_set(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE")
    refused(lambda: ImportRun.from_json(Steps(place).run).workspace, "WORKSPACE_NOT_SET")


def test_a_folder_without_images(place: Place) -> None:
    place.put("alexa-devices/notes.txt", body=b"x")
    error = refused(Steps(place).labelled, "ERROR_EMPTY_MANIFEST")
    assert "NOT_AN_IMAGE_NAME 1 (alexa-devices/notes.txt)" in error.message
    assert_its_ledger(place, error, 1)


def test_251_labels(place: Place) -> None:
    place.put(*(f"alexa-devices/label-{number:03}/a.png" for number in range(251)))
    error = refused(Steps(place).labelled, "ERROR_MANIFEST_TOO_MANY_LABELS")
    assert error.details["labels"] == 251
    assert_its_ledger(place, error, 251)
    assert len(Steps(place, exclude=["label-000/*"]).labelled()) == 1
    assert Steps(place, automatic_labeling=False).labelled()


def test_more_images_than_the_region_allows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put(*(f"alexa-devices/echo/{number}.png" for number in range(3)))
    limits = type("Limits", (), {"images": lambda self, dataset_type: 2})
    monkeypatch.setattr(sharding, "regional_quotas", lambda region: limits())
    error = refused(Steps(place).labelled, "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM")
    assert error.details["images"] == 3
    assert_its_ledger(place, error, 3)


@pytest.mark.parametrize(("bad", "is_refused"), [(1, False), (2, True)])
def test_20_percent_at_fault_pass_and_more_do_not(place: Place, bad: int, is_refused: bool) -> None:
    place.put(*(f"alexa-devices/echo/good-{number}.png" for number in range(5 - bad)))
    place.put(*(f"alexa-devices/echo/bad-{number}.png" for number in range(bad)), body=b"no image")
    if is_refused:
        split = Steps(place, dataset_type="train+test")
        for step in (Steps(place).built, lambda: work(divide_images, split.run, split.inspected())):
            error = refused(step, "ERROR_TOO_MANY_RECORDS_IN_ERROR")
            names = ", ".join(f"alexa-devices/echo/bad-{number}.png" for number in range(bad))
            assert f"NOT_PNG_OR_JPEG {bad} ({names})" in error.message
            assert_its_ledger(place, error, 5)
    else:
        assert Steps(place).built()["lines"] == 4


def test_a_risk_of_many_faults_names_the_first_of_them(place: Place) -> None:
    place.put(*(f"alexa-devices/echo/good-{number}.png" for number in range(4)))
    place.put("alexa-devices/echo/bad.png", body=b"no image")
    steps = Steps(place)
    built = steps.built()
    plan = planned(steps, built)
    (near,) = check_gate(ImportRun.from_json(steps.run), built, plan, None).risks
    assert (near.risk, near.count, near.samples) == (Risk.FAULTS_NEAR_LIMIT, 1, ("alexa-devices/echo/bad.png",))


def test_the_same_bytes_under_two_labels_are_a_finding(place: Place) -> None:
    place.put("alexa-devices/echo/1.png", "alexa-devices/dot/2.png")
    place.put("alexa-devices/dot/1.png", "alexa-devices/echo/3.png", "alexa-devices/loose.png", body=picture("JPEG"))
    steps = Steps(place)
    validated = work(validate_manifest, steps.run, steps.built())
    assert validated["totals"]["WARNING_SAME_CONTENT_LABELS"] == 1
    findings = json.loads(place.read(validated["findings"]))["findings"]
    (same,) = [finding for finding in findings if finding["code"] == "WARNING_SAME_CONTENT_LABELS"]
    assert same["source_ref"] == f"s3://{place.images}/alexa-devices/dot/1.png"
    assert same["detail"] == "alexa-devices/dot/1.png (dot); alexa-devices/echo/3.png (echo)"


def test_each_kind_of_object_ends_in_its_state(place: Place) -> None:
    place.put(*(f"alexa-devices/echo/{number}.png" for number in range(20)))
    place.put("alexa-devices/echo/lies.png", body=picture("JPEG"))
    place.put("alexa-devices/echo/no-extension", body=picture("JPEG"))
    place.put("alexa-devices/echo/small.png", body=picture(size=(63, 64)))
    place.put("alexa-devices/echo/empty.png", body=b"")
    place.put("alexa-devices/echo/gif.png", body=picture("GIF"))
    place.put("alexa-devices/echo/x.gif", body=picture("GIF"))
    rows = {}
    for shard in Steps(place).inspected():
        run = ImportRun.from_json(Steps(place).run)
        for page in read_ledger(run.s3, S3Uri.parse(shard["ledger"])):
            names = [key.removeprefix("alexa-devices/echo/") for key in page.objects.keys]
            rows |= dict(zip(names, zip(page.states, page.reasons, page.details, strict=True), strict=True))
    assert rows["0.png"] == (State.LABELLED, Reason.IN_FOLDER, "")
    assert rows["lies.png"][0] is State.LABELLED
    assert rows["lies.png"][2] == "NAME_CONTRADICTS_CONTENT: named .png, content is JPEG"
    assert rows["no-extension"][0] is State.LABELLED
    assert rows["small.png"] == (State.QUARANTINED, Reason.SIDE_TOO_SHORT, "63×64 pixels")
    assert rows["empty.png"][:2] == (State.QUARANTINED, Reason.EMPTY_OBJECT)
    assert rows["gif.png"] == (State.QUARANTINED, Reason.NOT_PNG_OR_JPEG, "GIF")
    assert rows["x.gif"][:2] == (State.SKIPPED, Reason.OTHER_IMAGE_NAME)


def test_shards_are_cut_by_images_and_lose_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put(*(f"alexa-devices/label-{number % 3}/{number}.png" for number in range(7)))
    whole = Steps(place).built()
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_SHARD_SECONDS", "0.001")
    monkeypatch.setattr(sharding, "MAX_SHARDS", 250_000)
    monkeypatch.setattr("include.object_store.tables.PAGE_ROWS", 2)
    steps = Steps(place)
    shards = steps.labelled()
    assert [shard["objects"] for shard in shards] == [2, 2, 2, 1]
    inspected = [work(inspect_images, steps.run, shard) for shard in reversed(shards)]
    assert work(build_manifest, steps.run, inspected)["manifest_sha256"] == whole["manifest_sha256"]


def test_the_same_bucket_gives_the_same_bytes(alexa_devices: Place) -> None:
    first = Steps(alexa_devices).built()
    second = Steps(alexa_devices).built()
    assert first["manifest_sha256"] == second["manifest_sha256"]
    assert work(validate_manifest, Steps(alexa_devices).run, second)["labels"] == 2


def register(steps: Steps, built: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """What the task `register` does, waiting on the spot."""
    run = ImportRun.from_json(steps.run)
    while True:
        try:
            carried_out, verified = RegistrationWork(run, built, plan, None, lambda holder: False).go_on()
        except WaitingError as wait:
            with suppress(RekognitionDatasetError):
                run.rekognition.wait(wait.waiter, wait.resource, 0.05, 400)
        else:
            return reconcile(run, built, carried_out, verified)


def planned(steps: Steps, built: dict[str, Any]) -> Plan:
    return plan_registration(ImportRun.from_json(steps.run), built, None)


def registered(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole registration, its snapshot included."""
    monkeypatch.setattr(publication, "_timings", dict)
    monkeypatch.setattr(publication, "_send_event", lambda *_: None)
    built = steps.built()
    validated = work(validate_manifest, steps.run, built)
    plan = planned(steps, built)
    gate = msgspec.to_builtins(check_gate(ImportRun.from_json(steps.run), built, plan, None))
    work(publication.publish, steps.run, built, validated, register(steps, built, plan), gate)


def test_what_the_service_drops_is_looked_up(place: Place) -> None:
    place.put(*(f"alexa-devices/echo/{number}.png" for number in range(9)))
    steps = Steps(place)
    built = steps.built()
    plan = planned(steps, built)
    assert plan.action == "create"
    place.s3.delete_object(Bucket=place.images, Key="alexa-devices/echo/3.png")
    closed = register(steps, built, plan)
    assert closed["states"] == {"registered": 8, "dropped": 1}
    (dropped,) = [row for row in closed["reasons"] if row["state"] == "dropped"]
    assert [sample["key"] for sample in dropped["samples"]] == ["alexa-devices/echo/3.png"]


def test_a_dataset_that_is_busy_is_waited_for(alexa_devices: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(alexa_devices)
    built = steps.built()
    busy = {"DatasetArn": "arn", "DatasetType": "TRAIN", "Status": "UPDATE_IN_PROGRESS"}
    monkeypatch.setattr(RekognitionHook, "find_dataset", lambda *_: busy)
    with pytest.raises(WaitingError) as caught:
        planned(steps, built)
    assert (caught.value.waiter, caught.value.resource) == ("dataset_updated", "arn")
    assert caught.value.reason is not None
    assert caught.value.reason.code == "DATASET_BUSY"


def test_images_that_are_gone_mean_a_replacement_and_planning_it_writes_nothing(
    alexa_devices: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(Steps(alexa_devices), monkeypatch)
    before = alexa_devices.entries()
    alexa_devices.s3.delete_object(Bucket=alexa_devices.images, Key="alexa-devices/loose.png")
    steps = Steps(alexa_devices)
    plan = planned(steps, steps.built())
    assert (plan.action, plan.removals, plan.entries) == ("replace", 1, len(before) - 1)
    held = Steps(alexa_devices, removals="hold")
    plan = planned(held, held.built())
    assert (plan.action, plan.totals) == ("unchanged", {"held": 1, "same": len(before) - 1})
    assert alexa_devices.entries() == before
