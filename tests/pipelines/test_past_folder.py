"""Folders as they were, rebuilt from versions that a real object store kept, and what a past run cannot know."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.history import HISTORY_FOLDER, identity
from include.custom_labels.ledger import LedgerRow, State, ledger_rows
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.reasons import Reason
from include.object_store.tables import read_ledger
from include.pipelines import past_folder, runs
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest
from include.pipelines.past_folder import bring_versions, list_past
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.s3_folder import assign_labels, list_objects
from include.pipelines.shard_size import KNOWN_PER_S
from tests.fixtures.places import HOLDER, Place, end_of_second, picture

pytestmark = pytest.mark.integration

Bucket = dict[str, bytes]

KEYS = [
    f"alexa-devices/{name}"
    for name in (
        "loose.png",
        "echo/a.png",
        "echo/b.png",
        "echo/deep/c.png",
        "echo/deep-1.png",
        "echo-dot/a+b %41.png",
        "echo-dot/é.png",
        "spot/a.png",
    )
]


@pytest.fixture(autouse=True)
def one_client_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a client takes longer than all that these steps do with it."""
    monkeypatch.setattr(runs, "rekognition_hook", cache(runs.rekognition_hook))
    sessions = cache(runs.s3_session)
    for module in (runs, past_folder):
        monkeypatch.setattr(module, "s3_session", sessions)


class Steps:
    """The steps of one run as of the past."""

    def __init__(self, place: Place, as_of: datetime, **conf: Any) -> None:
        request = S3FolderRequest.parse(place.conf(**conf))
        slug = f"run-{place.project}-{as_of:%H%M%S}"
        self.import_run = ImportRun(request=request, as_of=as_of, slug=slug, holder=HOLDER, is_past=True)
        self.run = self.import_run.to_json()

    def listed(self) -> dict[str, Any]:
        listed: dict[str, Any] = work(list_objects, self.run)
        return listed

    def labelled(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = work(assign_labels, self.run, self.listed())
        return shards

    def brought(self) -> list[dict[str, Any]]:
        return [bring_versions(self.import_run, shard) for shard in self.labelled()]

    def built(self) -> dict[str, Any]:
        inspected = [work(inspect_images, self.run, shard) for shard in self.labelled()]
        built: dict[str, Any] = work(build_manifest, self.run, inspected)
        return built

    def rows(self, shards: list[dict[str, Any]]) -> Iterator[LedgerRow]:
        for shard in shards:
            for page in read_ledger(self.import_run.s3, S3Uri.parse(shard["ledger"])):
                yield from ledger_rows(page)


def work(step: Callable[..., Any], *args: Any) -> Any:
    """The step's own function, without the task around it."""
    return step.__wrapped__(*args)  # type: ignore[attr-defined]


def refused(step: Callable[[], object], code: str) -> CustomLabelsError:
    with pytest.raises(CustomLabelsError) as caught:
        step()
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def change(place: Place, bucket: Bucket, chance: random.Random) -> None:
    """Put, overwrite, delete or rename a few objects."""
    for key in chance.sample(KEYS, 4):
        action = chance.choice(["put", "put", "delete", "rename"]) if key in bucket else "put"
        if action == "put":
            bucket[key] = picture()
            place.put(key, body=bucket[key])
        else:
            data = bucket.pop(key)
            place.s3.delete_object(Bucket=place.images, Key=key)
            if action == "rename":
                other = chance.choice(KEYS)
                bucket[other] = data
                place.put(other, body=data)


def digest(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()  # noqa: S324 (what an ETag is)


def test_any_instant_of_a_history_is_rebuilt_byte_for_byte(place: Place) -> None:
    chance = random.Random(20261122)
    bucket: Bucket = {}
    instants: list[tuple[datetime, Bucket]] = []
    for step in range(4):
        change(place, bucket, chance)
        if not step:
            place.s3.put_bucket_versioning(Bucket=place.images, VersioningConfiguration={"Status": "Enabled"})
        instants.append((end_of_second(), dict(bucket)))
    change(place, bucket, chance)

    for number, (as_of, then) in enumerate(instants):
        steps = Steps(place, as_of, history_folder=f"s3://{place.images}/history")
        pages = list(list_past(steps.import_run, S3FolderLocation(place.images, "alexa-devices/")))
        listed = {key: etag for page, _ in pages for key, etag in zip(page.keys, page.etags, strict=True)}
        assert listed == {key: digest(data) for key, data in then.items()}
        assert list(listed) == sorted(listed, key=str.encode)
        moved = {key for page, versions in pages for key, version in zip(page.keys, versions, strict=True) if version}
        assert moved == {key for key, data in then.items() if bucket.get(key) != data}
        if number % 2:
            check_manifest(place, steps, then, moved)


def check_manifest(place: Place, steps: Steps, then: Bucket, moved: set[str]) -> None:
    built = steps.built()
    lines = [json.loads(line) for line in place.read(built["manifest"]).splitlines()]
    head = f"s3://{place.images}/"
    found = {identity(line["source-ref"]): place.read(line["source-ref"]) for line in lines}
    assert found == {head + key: data for key, data in then.items()}
    copies = {identity(line["source-ref"]) for line in lines if f"/{HISTORY_FOLDER}/" in line["source-ref"]}
    assert copies == {head + key for key in moved}
    assert moved
    # A label is as old as the image, whenever its bytes were copied.
    dates = {line["label-0-metadata"]["creation-date"] for line in lines if "label-0-metadata" in line}
    assert max(dates) <= steps.import_run.as_of_second

    again = steps.built()
    assert again["manifest_sha256"] == built["manifest_sha256"]
    assert again["objects_sha256"] == built["objects_sha256"]


@pytest.fixture
def overwritten(versioned: Place) -> tuple[Place, datetime]:
    """A bucket in which one image of five was overwritten, one deleted and a text changed since an instant."""
    versioned.put(*(f"alexa-devices/echo/{name}.png" for name in "abcde"))
    versioned.put("alexa-devices/notes.txt", body=b"before")
    as_of = end_of_second()
    versioned.put("alexa-devices/echo/b.png")
    versioned.put("alexa-devices/notes.txt", body=b"after")
    versioned.s3.delete_object(Bucket=versioned.images, Key="alexa-devices/echo/d.png")
    return versioned, as_of


def test_only_images_of_the_manifest_are_copied_and_only_once(overwritten: tuple[Place, datetime]) -> None:
    place, as_of = overwritten
    steps = Steps(place, as_of, history_folder=f"s3://{place.images}/alexa-devices", exclude=["echo/e.png"])
    rows = {row.key.rpartition("/")[2]: row for row in steps.rows(steps.brought())}
    copies = {
        entry["Key"]: entry["LastModified"]
        for entry in place.s3.list_objects_v2(Bucket=place.images)["Contents"]
        if f"/{HISTORY_FOLDER}/" in f"/{entry['Key']}"
    }
    assert [name for name, row in rows.items() if row.place] == ["b.png", "d.png"]
    assert {row.place for row in rows.values() if row.place} == copies.keys()
    assert [row.state for row in rows.values()] == [*[State.LABELLED] * 4, State.SKIPPED, State.SKIPPED]
    assert rows["b.png"].last_modified <= steps.import_run.as_of_second
    assert min(copies.values()) > as_of

    # They lie in the folder that is imported, and are no images of it.
    steps.brought()
    versions = place.s3.list_object_versions(Bucket=place.images, Prefix=f"alexa-devices/{HISTORY_FOLDER}/")["Versions"]
    assert len(versions) == 2
    now = Steps(place, datetime.now(UTC) + timedelta(seconds=1))
    reasons = [row.reason for row in now.rows(now.labelled())]
    assert reasons.count(Reason.HISTORY_COPY) == 2
    present = ImportRun(request=now.import_run.request, as_of=now.import_run.as_of, slug="present", holder=HOLDER)
    shards = work(assign_labels, present.to_json(), work(list_objects, present.to_json()))
    assert [row.reason for row in now.rows(shards)] == reasons


def test_each_shard_brings_its_own(overwritten: tuple[Place, datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    place, as_of = overwritten
    monkeypatch.setattr("include.object_store.tables.PAGE_ROWS", 2)
    monkeypatch.setattr("include.pipelines.shards.MAX_SHARDS", 10**6)
    # Ten rows that are known already, or a hundredth of a copy.
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_SHARD_SECONDS", str(10 / KNOWN_PER_S))
    steps = Steps(place, as_of, history_folder=f"s3://{place.images}/history")
    shards = steps.labelled()
    assert [(shard["first_row"], shard["objects"], shard["old_versions"]) for shard in shards] == [
        (0, 2, 1),
        (2, 2, 1),
        (4, 2, 0),
    ]
    places = [row.place for row in steps.rows([bring_versions(steps.import_run, shard) for shard in shards])]
    assert [bool(each) for each in places] == [False, True, False, True, False, False]


def test_a_workspace_in_the_same_bucket_takes_the_copies(
    overwritten: tuple[Place, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, as_of = overwritten
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE", f"s3://{place.images}/work")
    steps = Steps(place, as_of)
    places = [row.place for row in steps.rows(steps.brought()) if row.place]
    assert len(places) == 2
    assert all(each.startswith(f"work/{HISTORY_FOLDER}/") for each in places)


def test_a_workspace_in_another_bucket_needs_a_history_folder(overwritten: tuple[Place, datetime]) -> None:
    place, as_of = overwritten
    error = refused(Steps(place, as_of).labelled, "HISTORY_FOLDER_NEEDED")
    assert "alexa-devices/echo/b.png" in error.message
    assert not place.s3.list_objects_v2(Bucket=place.images, Prefix=HISTORY_FOLDER).get("Contents")
    # Where only what is no image was overwritten, nothing has to be copied.
    assert Steps(place, as_of, exclude=["echo/b.png", "echo/d.png"]).labelled()


def test_what_cannot_be_copied_is_quarantined(overwritten: tuple[Place, datetime]) -> None:
    place, as_of = overwritten
    steps = Steps(place, as_of, history_folder=f"s3://{place.images}/{'long/' * 190}")
    reasons = {row.key.rpartition("/")[2]: (row.state, row.reason) for row in steps.rows(steps.brought())}
    assert reasons["b.png"] == reasons["d.png"] == (State.QUARANTINED, Reason.HISTORY_KEY_TOO_LONG)
    assert reasons["a.png"] == (State.LABELLED, Reason.IN_FOLDER)

    steps = Steps(place, as_of, history_folder=f"s3://{place.images}/")
    shards = steps.labelled()
    versions = place.s3.list_object_versions(Bucket=place.images, Prefix="alexa-devices/echo/d.png")["Versions"]
    place.s3.delete_object(Bucket=place.images, Key=versions[0]["Key"], VersionId=versions[0]["VersionId"])
    rows = {
        row.key.rpartition("/")[2]: row
        for row in steps.rows([bring_versions(steps.import_run, shard) for shard in shards])
    }
    assert (rows["d.png"].state, rows["d.png"].reason) == (State.QUARANTINED, Reason.VANISHED)
    assert rows["d.png"].detail.startswith("OBJECT_NOT_FOUND: ")
    assert rows["b.png"].place


def test_a_folder_that_was_empty_then(versioned: Place) -> None:
    as_of = end_of_second()
    versioned.put("alexa-devices/echo/a.png")
    error = refused(Steps(versioned, as_of).labelled, "FOLDER_EMPTY")
    assert as_of.isoformat() in error.message


@pytest.mark.parametrize("status", [None, "Suspended"])
def test_without_versions_the_run_says_what_it_cannot_know(
    place: Place, status: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if status:
        place.s3.put_bucket_versioning(Bucket=place.images, VersioningConfiguration={"Status": status})
    place.put("alexa-devices/echo/a.png", "alexa-devices/echo/b.png")
    as_of = end_of_second()
    place.put("alexa-devices/echo/b.png", "alexa-devices/echo/c.png")
    error = refused(Steps(place, as_of).listed, "VERSIONS_NEEDED")
    assert "2 objects were written later, such as 'alexa-devices/echo/b.png'" in error.message
    assert "deleted since cannot be known" in error.message
    assert "`unversioned`" in error.next_step

    steps = Steps(place, as_of, unversioned="accept")
    rows = {row.key.rpartition("/")[2]: row.reason for row in steps.rows(steps.labelled())}
    assert rows == {"a.png": Reason.IN_FOLDER, "b.png": Reason.NEWER_THAN_AS_OF, "c.png": Reason.NEWER_THAN_AS_OF}
    assert "2 objects were written later" in caplog.text
