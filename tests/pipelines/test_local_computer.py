"""The steps of `import_local_computer`: what is added to which dataset, and that nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from include.custom_labels.errors import CustomLabelsError, RequestError
from include.custom_labels.ledger import LedgerPage, State, ledger_rows
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.object_store.tables import read_ledger, write_ledger
from include.pipelines.inspection import inspect_images
from include.pipelines.local_computer import assign_labels, folder_of_request, stage_files, upload_images
from include.pipelines.manifests import build_manifest
from include.pipelines.requests import (
    ExistingDatasetRequest,
    GroundTruthRequest,
    ImportRequest,
    LocalComputerRequest,
    S3FolderRequest,
    form,
)
from include.pipelines.runs import ImportRun
from tests.fixtures.places import HOLDER, Place, picture


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "INVALID_PARAMETER"),
        ({"upload_id": "a", "local_folder": "/mnt"}, "INVALID_PARAMETER"),
        ({"upload_id": ""}, "INVALID_PARAMETER"),
        ({"upload_id": "../x"}, "INVALID_PARAMETER"),
        ({"upload_id": "a/b"}, "INVALID_PARAMETER"),
        ({"upload_id": "é"}, "INVALID_PARAMETER"),
        ({"upload_id": "a\n"}, "INVALID_PARAMETER"),
        ({"upload_id": "a", "max_images": 0}, "INVALID_PARAMETER"),
        ({"upload_id": "a", "destination": "/mnt"}, "INVALID_PARAMETER"),
        ({"local_folder": ""}, "INVALID_PARAMETER"),
        ({"local_folder": "photos"}, "INVALID_LOCAL_FOLDER"),
        ({"local_folder": "~/photos"}, "INVALID_LOCAL_FOLDER"),
        ({"local_folder": "/mnt/../etc"}, "INVALID_LOCAL_FOLDER"),
        ({"local_folder": "/mnt/.."}, "INVALID_LOCAL_FOLDER"),
        ({"local_folder": "/mnt\0"}, "INVALID_LOCAL_FOLDER"),
        ({"local_foldr": "/mnt"}, "UNKNOWN_PARAMETER"),
    ],
)
def test_bad_requests(params: dict[str, Any], code: str) -> None:
    with pytest.raises(RequestError) as caught:
        LocalComputerRequest.parse(params)
    assert caught.value.code == code


def test_the_form_holds_every_parameter() -> None:
    params = form(LocalComputerRequest)
    filled = {name: param.value for name, param in params.items()} | {"upload_id": "upload-1"}
    assert LocalComputerRequest.parse(filled) == LocalComputerRequest(upload_id="upload-1")
    assert (filled["automatic_labeling"], filled["max_images"]) == (False, 30)
    for name, param in params.items():
        jsonschema.validate(param.value, param.schema)
        assert param.schema["title"], name
        assert param.schema["description_md"], name
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate("../x", params["upload_id"].schema)


def test_only_a_destination_that_was_asked_for_is_checked_at_first() -> None:
    asked = LocalComputerRequest(upload_id="a", destination="s3://example-images/x")
    assert [str(place) for place in asked.needs.destinations] == ["s3://example-images/x/"]
    assert LocalComputerRequest(upload_id="a").needs.destinations == ()


def work(step: Callable[..., Any], *args: Any) -> Any:
    """The step's own function, without the task around it."""
    return step.__wrapped__(*args)  # type: ignore[attr-defined]


class Steps:
    """The steps of one run, up to the one that a test is about."""

    def __init__(self, place: Place, **conf: Any) -> None:
        request = LocalComputerRequest.parse({"project": place.project, **conf})
        self.run = ImportRun(
            request=request, as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="run-1", holder=HOLDER
        ).to_json()
        self.staged: dict[str, Any] = {}

    def labelled(self) -> list[dict[str, Any]]:
        self.staged = work(stage_files, self.run)
        uploaded = [work(upload_images, self.run, self.staged, shard) for shard in self.staged["shards"]]
        shards: list[dict[str, Any]] = work(assign_labels, self.run, self.staged, uploaded)
        return shards

    def built(self) -> dict[str, Any]:
        inspected = [work(inspect_images, self.run, shard) for shard in self.labelled()]
        built: dict[str, Any] = work(build_manifest, self.run, inspected)
        return built

    def ledger(self) -> dict[str, tuple[State, Reason, str | None]]:
        """State, reason and label by key."""
        run = ImportRun.from_json(self.run)
        return {
            key: (state, reason, label)
            for page in read_ledger(run.s3, S3Uri.parse(self.built()["ledger"]))
            for key, state, reason, label in zip(page.objects.keys, page.states, page.reasons, page.labels, strict=True)
        }


def refused(step: Callable[[], object], code: str) -> CustomLabelsError:
    with pytest.raises(CustomLabelsError) as caught:
        step()
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def fill(folder: Path, *names: str, data: bytes | None = None) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() + name.encode() if data is None else data)


def put_staged(place: Place, *names: str) -> None:
    for name in names:
        place.s3.put_object(
            Bucket=place.workspace, Key=f"custom-labels/uploads/upload-1/{name}", Body=picture() + name.encode()
        )


def create(place: Place, labels: dict[str, str]) -> str:
    """A dataset that someone else made: label by key."""
    lines = "".join(
        json.dumps(
            {
                "source-ref": f"s3://{place.images}/{key}",
                "label-0": 1,
                "label-0-metadata": {
                    "class-name": label,
                    "confidence": 1,
                    "type": "groundtruth/image-classification",
                    "human-annotated": "yes",
                    "creation-date": "2026-11-22T20:00:00",
                },
            }
        )
        + "\n"
        for key, label in labels.items()
    )
    place.put(*labels)
    place.s3.put_object(Bucket=place.workspace, Key="other.manifest", Body=lines.encode())
    project = place.rekognition.create_project(ProjectName=place.project)["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": place.workspace, "Name": "other.manifest"}}}
    arn: str = place.rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=source)[
        "DatasetArn"
    ]
    place.wait_until_ready(arn)
    return arn


@pytest.mark.integration
def test_the_first_images_go_to_the_workspace_without_labels(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "echo/b.png", "c.png", "d.png", "notes.txt", ".hidden.png")
    (tmp_path / "outside.png").symlink_to("/etc/hostname")
    steps = Steps(place, local_folder=str(tmp_path))
    head = f"custom-labels/images/{place.project}/train/"
    root = str(tmp_path.resolve())
    assert steps.ledger() == {
        f"{head}a.png": (State.UNLABELLED, Reason.AUTOMATIC_LABELING_OFF, None),
        f"{head}c.png": (State.UNLABELLED, Reason.AUTOMATIC_LABELING_OFF, None),
        f"{head}d.png": (State.UNLABELLED, Reason.AUTOMATIC_LABELING_OFF, None),
        f"{head}echo/b.png": (State.UNLABELLED, Reason.AUTOMATIC_LABELING_OFF, None),
        f"{root}/notes.txt": (State.SKIPPED, Reason.NOT_AN_IMAGE_NAME, None),
        f"{root}/.hidden.png": (State.SKIPPED, Reason.HIDDEN_FILE, None),
        f"{root}/outside.png": (State.REJECTED, Reason.SYMLINK_OUTSIDE, None),
    }
    assert steps.staged["destination"] == f"s3://{place.workspace}/{head}"


@pytest.mark.integration
def test_automatic_labeling_takes_the_first_folder(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "echo/b.png", "echo/deep/c.png")
    destination = f"s3://{place.images}/photos"
    steps = Steps(place, local_folder=str(tmp_path), destination=destination, automatic_labeling=True)
    assert {key: label for key, (_, _, label) in steps.ledger().items()} == {
        "photos/a.png": None,
        "photos/echo/b.png": "echo",
        "photos/echo/deep/c.png": "echo",
    }


@pytest.mark.integration
def test_images_go_beside_those_of_the_dataset(place: Place, tmp_path: Path) -> None:
    create(place, {"photos/echo/1.png": "echo", "photos/echo-dot/2.png": "echo-dot"})
    fill(tmp_path, "new.png")
    steps = Steps(place, local_folder=str(tmp_path))
    assert list(steps.ledger()) == ["photos/new.png"]
    assert steps.staged["destination"] == f"s3://{place.images}/photos/"


@pytest.mark.integration
def test_what_an_unregistered_import_left_in_one_child_folder_does_not_move_the_destination(
    place: Place, tmp_path: Path
) -> None:
    here = Place(place.aws, place.workspace, place.workspace, place.project)
    head = f"custom-labels/images/{place.project}/train/"
    create(here, {f"{head}echo/1.png": "echo"})
    fill(tmp_path, "echo/new.png")
    steps = Steps(place, local_folder=str(tmp_path))
    steps.ledger()
    assert steps.staged["destination"] == f"s3://{place.workspace}/{head}"


@pytest.mark.parametrize(
    ("registered", "folder"),
    [
        (S3FolderRequest(s3_folder="s3://example-images/photos"), "photos/"),
        (LocalComputerRequest(local_folder="/mnt", destination="s3://example-images/photos/upload"), "photos/upload/"),
        (ExistingDatasetRequest(source_dataset="other", image_destination="s3://example-images/copies"), "copies/"),
        (GroundTruthRequest(manifest="s3://example-images/a.manifest", image_root="s3://example-images/r/"), "r/"),
        (GroundTruthRequest(manifest="s3://example-images/a.manifest"), None),
        (LocalComputerRequest(local_folder="/mnt"), None),
    ],
)
def test_the_destination_is_the_folder_that_the_registered_request_names(
    registered: ImportRequest, folder: str | None
) -> None:
    found = folder_of_request(registered.to_json())
    assert (found and str(found)) == (folder and f"s3://example-images/{folder}")


@pytest.mark.parametrize("request_of_another_version", [None, {}, {"source": "s3_folder", "since": 2}])
def test_a_request_of_another_version_names_no_folder(request_of_another_version: dict[str, Any] | None) -> None:
    assert folder_of_request(request_of_another_version) is None


@pytest.mark.integration
def test_a_destination_in_another_bucket_than_the_datasets(place: Place, tmp_path: Path) -> None:
    create(place, {"photos/echo/1.png": "echo"})
    fill(tmp_path, "new.png")
    steps = Steps(place, local_folder=str(tmp_path), destination=f"s3://{place.workspace}/x")
    refused(steps.labelled, "DESTINATION_ELSEWHERE")
    assert not [key for key in place.workspace_keys() if key.startswith("x/")]


@pytest.mark.integration
def test_the_31st_image_of_an_upload_stops_the_run_before_anything_is_copied(place: Place) -> None:
    put_staged(place, *(f"{number}.png" for number in range(31)))
    error = refused(Steps(place, upload_id="upload-1").labelled, "TOO_MANY_IMAGES")
    assert error.details["images"] == 31
    assert not [key for key in place.workspace_keys() if "/images/" in key]
    assert len(Steps(place, upload_id="upload-1", max_images=31).ledger()) == 31


@pytest.mark.integration
def test_a_folder_of_more_than_one_batch(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, *(f"echo/{number:02}.png" for number in range(61)))
    with caplog.at_level("INFO"):
        ledger = Steps(place, local_folder=str(tmp_path)).ledger()
    assert len(ledger) == 61
    batches = sorted(record.getMessage() for record in caplog.records if record.getMessage().startswith("Batch"))
    assert batches == ["Batch 1: {'uploaded': 30}", "Batch 2: {'uploaded': 30}", "Batch 3: {'uploaded': 1}"]


@pytest.mark.integration
def test_a_folder_without_images(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, "notes.txt")
    steps = Steps(place, local_folder=str(tmp_path))
    error = refused(steps.labelled, "ERROR_EMPTY_MANIFEST")
    assert error.details["reasons"] == {"NOT_AN_IMAGE_NAME": 1}
    assert f"NOT_AN_IMAGE_NAME 1 ({tmp_path.resolve()}/notes.txt)" in error.message
    assert rows_of(steps, error) == [(f"{tmp_path.resolve()}/notes.txt", Reason.NOT_AN_IMAGE_NAME)]


def rows_of(steps: Steps, error: CustomLabelsError) -> list[tuple[str, Reason]]:
    """What is in the ledger that an error names."""
    address = str(error.details["ledger"])
    assert address in error.next_step
    pages = read_ledger(ImportRun.from_json(steps.run).s3, S3Uri.parse(address))
    return [(row.key, row.reason) for page in pages for row in ledger_rows(page)]


@pytest.mark.integration
def test_camera_names_again_with_other_pictures_are_refused_by_name(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, "IMG_0001.png", "IMG_0002.png")
    Steps(place, local_folder=str(tmp_path)).labelled()
    fill(tmp_path, "IMG_0001.png", "IMG_0002.png", data=picture("JPEG"))
    steps = Steps(place, local_folder=str(tmp_path))
    error = refused(steps.labelled, "ERROR_EMPTY_MANIFEST")
    root = tmp_path.resolve()
    assert f"NAME_TAKEN 2 ({root}/IMG_0001.png, {root}/IMG_0002.png)" in error.message
    assert "`destination`" in error.next_step
    assert rows_of(steps, error) == [(f"{root}/IMG_000{number}.png", Reason.NAME_TAKEN) for number in (1, 2)]


@pytest.mark.integration
def test_a_folder_of_pictures_with_links_beside_them(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, *(f"{number}.png" for number in range(6)))
    for name in ("README.md", ".cache", ".#0.png"):
        (tmp_path / name).symlink_to("/etc/hostname")
    states = [state for state, _, _ in Steps(place, local_folder=str(tmp_path)).ledger().values()]
    assert (states.count(State.UNLABELLED), states.count(State.SKIPPED)) == (6, 3)


@pytest.mark.integration
def test_a_folder_that_the_worker_does_not_have(place: Place, tmp_path: Path) -> None:
    refused(Steps(place, local_folder=str(tmp_path / "nowhere")).labelled, "LOCAL_FOLDER_NOT_FOUND")


@pytest.mark.integration
def test_a_step_that_is_run_again_continues(place: Place, tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png")
    steps = Steps(place, local_folder=str(tmp_path))
    staged = work(stage_files, steps.run)
    (shard,) = staged["shards"]
    assert work(upload_images, steps.run, staged, shard)["outcomes"] == {"uploaded": 2}
    again = work(upload_images, steps.run, staged, shard)
    assert again["outcomes"] == {"already there": 2}
    assert len(work(assign_labels, steps.run, staged, [again])) == 1


@pytest.mark.integration
def test_an_upload_is_cut_into_shards_that_lose_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, *(f"echo/{number}.png" for number in range(5)), "echo/notes.txt")
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_SHARD_SECONDS", "0.03")
    steps = Steps(place, local_folder=str(tmp_path))
    ledger = steps.ledger()
    assert [shard["stop"] - shard["start"] for shard in steps.staged["shards"]] == [2, 2, 2]
    assert sorted(key.rpartition("/")[2] for key in ledger) == [*(f"{number}.png" for number in range(5)), "notes.txt"]


@pytest.mark.integration
def test_images_of_known_size_are_not_read_again(place: Place) -> None:
    place.put("a.png", "b.png")
    run = Steps(place, upload_id="upload-1").run
    ledger = ImportRun.from_json(run).staged("labelled.parquet")
    size_bytes = place.s3.head_object(Bucket=place.images, Key="b.png")["ContentLength"]
    objects = ObjectPage(["a.png", "b.png"], [size_bytes] * 2, ["another", ""], ["2026-11-22T20:00:00"] * 2)
    page = LedgerPage(
        objects,
        [State.LABELLED, State.UNLABELLED],
        ["echo", None],
        [Reason.IN_LAST_SNAPSHOT] * 2,
        ["kept", ""],
        [640, 0],
        [480, 0],
    )
    session = ImportRun.from_json(run).s3
    write_ledger(session, ledger, [page])
    shard = {"shard": 0, "bucket": place.images, "ledger": str(ledger), "images": 2, "unread": 1, "old_versions": 0}
    (inspected,) = read_ledger(session, S3Uri.parse(work(inspect_images, run, shard)["ledger"]))
    # Read, the first would be CHANGED: its ETag is not what S3 has.
    assert inspected.states == page.states
    assert inspected.details == ["kept", ""]
    assert inspected.widths == [640, 64]
    # Where nothing has to be read, the ledger is handed on as it is.
    assert work(inspect_images, run, shard | {"unread": 0})["ledger"] == str(ledger)
