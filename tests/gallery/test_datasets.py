"""Datasets as the routes answer for them, from snapshots in S3 and entries in Rekognition."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.history import image_id
from include.custom_labels.ledger import State
from include.custom_labels.reasons import Reason
from include.gallery import live_entries
from include.gallery.datasets import Datasets
from include.gallery.messages import RunPage
from include.gallery.save_lease import SaveLease
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal
from include.object_store.streams import put_bytes
from tests.custom_labels.manifest_lines import boxes_pair
from tests.gallery.worlds import ARN, BUCKET, NAME, World, app_of, entry, row, unavailable

BASE = "/api/datasets/example/train"


def request(app: FastAPI, path: str, query: dict[str, Any], caller: str | None) -> httpx.Response:
    async def ask() -> httpx.Response:
        headers = {"authorization": caller} if caller else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gallery") as client:
            # Beside those that the path has already.
            return await client.get(path, params=query or None, headers=headers)

    return asyncio.run(ask())


class Browser:
    """A person who looks at a world."""

    def __init__(self, world: World, folder: Path) -> None:
        self.app, self.datasets = app_of(world, folder)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, path: str, **query: Any) -> httpx.Response:
        return request(self.app, path, query, "viewer")

    def page(self, **query: Any) -> Any:
        return self.get(BASE, **query)

    def rows(self, **query: Any) -> dict[str, Any]:
        return {each["key"]: each for each in self.get(f"{BASE}/images", **query)["images"]}

    def keys(self, **query: Any) -> list[str]:
        return list(self.rows(**query))

    def image(self, key: str, **query: Any) -> Any:
        return self.get(f"{BASE}/images/{id_of(key)}", **query)

    def until(self, condition: Callable[[Any], bool], deadline_s: float = 10) -> Any:
        """The dataset's page once it is as it should be."""
        give_up = time.monotonic() + deadline_s
        while not condition(page := self.page()):
            assert time.monotonic() < give_up, page
            Event().wait(0.01)
        return page


def id_of(key: str) -> str:
    return image_id(f"s3://{BUCKET}/{key}")


@pytest.fixture
def browser(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    # Each answer asks anew.
    monkeypatch.setattr(live_entries, "CHECK_S", 0.0)
    monkeypatch.setattr(live_entries, "REREAD_S", 0.2)
    return Browser(here, tmp_path / "cache")


def reason_of(row: dict[str, Any]) -> tuple[str, str, bool]:
    return row["state"], row["reason"], row["is_in_dataset"]


def test_a_dataset_that_nobody_has_changed_is_its_snapshot_and_nothing_is_listed(here: World, browser: Browser) -> None:
    id = here.publish(row("a.png"), row("b.png", None), row("c.txt", state=State.SKIPPED, reason=Reason.EXCLUDED))
    page = browser.page()
    assert (page["snapshot_id"], page["shown_images"], page["labelled"], page["unlabelled"]) == (id, 2, 1, 1)
    assert page["freshness"]["state"] == "current"
    assert "entries" not in here.service.calls
    assert page["labels"] == [{"label": "echo", "images": 1, "boxed_images": 0}]
    assert {count["value"]: count["count"] for count in page["states"]} == {
        "registered": 1,
        "unlabelled": 1,
        "skipped": 1,
    }
    assert page["card"]["is_registered"]
    assert page["card"]["last_run"] == {"dag_id": "import_s3_folder", "run_id": "run-21"}
    assert [card["is_current"] for card in page["snapshots"]] == [True]
    assert browser.keys() == ["a.png", "b.png"]
    # What is not in the dataset is shown to those who ask for it.
    assert browser.keys(state="skipped") == ["c.txt"]
    assert browser.keys(reason="EXCLUDED") == ["c.txt"]


def test_a_persons_edit_is_shown_once_the_entries_have_been_read(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"))
    version = browser.page()["version"]
    here.service.change(entry("a.png", "dot"))
    here.service.gate = Event()
    page = browser.page()
    assert page["freshness"]["state"] == "reading"
    # The snapshot's entries are known, and are shown until then.
    assert browser.rows()["a.png"]["labels"] == ["echo"]
    here.service.gate.set()
    page = browser.until(lambda page: page["freshness"]["state"] == "current")
    assert page["version"] != version
    assert browser.rows()["a.png"]["labels"] == ["dot"]
    assert browser.keys(label="dot") == ["a.png"]
    image = browser.image("a.png")
    assert (image["before"], json.loads(image["line"])["label-0-metadata"]["class-name"]) == (None, "dot")
    # Only one index is kept of a dataset as it is.
    files = [path.name for path in browser.datasets._cache.folder.glob("*-live-*.sqlite")]
    assert len(files) == 1


def test_an_entry_that_no_import_brought(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    here.service.change(entry("z/Elsewhere.png", "echo", "dot"), entry("z/plain.png"))
    browser.until(lambda page: page["freshness"]["state"] == "current")
    rows = browser.rows()
    assert reason_of(rows["z/Elsewhere.png"]) == ("registered", "ADDED_ELSEWHERE", True)
    assert reason_of(rows["z/plain.png"]) == ("unlabelled", "ADDED_ELSEWHERE", True)
    assert rows["z/Elsewhere.png"]["labels"] == ["dot", "echo"]
    assert browser.keys(reason="ADDED_ELSEWHERE", key="ELSEWHERE") == ["z/Elsewhere.png"]
    assert "console" in browser.image("z/plain.png")["explanation"]


def test_an_image_that_the_dataset_lost(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"))
    here.service.change()
    del here.service.entries_by_ref[f"s3://{BUCKET}/b.png"]
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert browser.keys() == ["a.png"]
    assert reason_of(browser.rows(state="registered")["b.png"]) == ("registered", "IN_FOLDER", False)
    assert browser.get(f"{BASE}/ids", state="registered")["ids"] == [id_of("a.png")]


def test_errors_of_entries_and_of_the_ledger(here: World, browser: Browser) -> None:
    nested = boxes_pair()
    nested["bounding-box"]["annotations"][0]["cl-errors"] = [{"code": "ERROR_INVALID_BOUNDING_BOX"}]
    dropped = {"state": State.DROPPED, "reason": Reason.ENTRY_ERROR, "detail": "ERROR_INVALID_IMAGE, in this import"}
    rejected = {
        "state": State.REJECTED,
        "reason": Reason.UNUSABLE_ANNOTATION,
        "detail": "ERROR_MISSING_SOURCE_REF: x",
    }
    here.publish(
        row("a.png"),
        row("b.png"),
        row("c.png"),
        closed=(row("b.png", **dropped), row("d.png", **rejected)),
    )
    assert browser.rows()["b.png"]["errors"] == ["ERROR_INVALID_IMAGE"]
    assert [(each["value"], each["count"]) for each in browser.page()["errors"]] == [("ERROR_INVALID_IMAGE", 1)]
    assert browser.rows(state="rejected")["d.png"]["errors"] == ["ERROR_MISSING_SOURCE_REF"]
    here.service.change(
        entry("b.png", "echo"),
        entry("a.png", "echo", errors=[{"code": "ERROR_INVALID_IMAGE", "message": "…"}]),
        entry("c.png", **nested),
    )
    page = browser.until(lambda page: page["freshness"]["state"] == "current")
    rows = browser.rows()
    assert [rows[key]["errors"] for key in rows] == [["ERROR_INVALID_IMAGE"], [], ["ERROR_INVALID_BOUNDING_BOX"]]
    assert browser.keys(error="*") == ["a.png", "c.png"]
    assert browser.keys(error="ERROR_INVALID_BOUNDING_BOX") == ["c.png"]
    assert {each["value"]: each["explanation"] != "" for each in page["errors"]} == {
        "ERROR_INVALID_BOUNDING_BOX": True,
        "ERROR_INVALID_IMAGE": True,
    }


def test_boxes_of_an_entry(here: World, browser: Browser) -> None:
    here.publish(row("a.png", None, entry=entry("a.png", **boxes_pair()) + b"\n"), row("b.png"))
    image = browser.image("a.png")
    assert image["image"]["box_labels"] == ["Echo", "Echo Dot"]
    assert [(box["label"], box["left"], box["top"]) for box in image["boxes"]] == [
        ("Echo Dot", 399, 251),
        ("Echo", 86.0, 65.5),
    ]
    assert browser.keys(boxed=True) == browser.keys(labelled="true", label="Echo") == ["a.png"]
    assert browser.page()["boxed"] == 1
    statistics = browser.get(f"{BASE}/statistics")
    assert statistics["sizes"] == [
        {"width_from": 640, "width_until": 768, "height_from": 384, "height_until": 512, "images": 2}
    ]
    assert browser.get(f"{BASE}/statistics", boxed=False)["labels"] == [
        {"label": "echo", "images": 1, "boxed_images": 0}
    ]


CHANGES = [row("a.png"), row("b.png"), row("c.png"), row("d.png")]


def changed() -> list[Any]:
    return [row("a.png"), row("b.png", "dot"), row("c.png", etag="other bytes"), row("e.png")]


@pytest.mark.parametrize("names_base", [True, False])
def test_what_the_snapshot_changed(here: World, browser: Browser, names_base: bool) -> None:
    first = here.publish(*CHANGES, base="" if names_base else None)
    browser.page()
    gone = row("d.png", None, state=State.REMOVED, reason=Reason.REMOVED_AT_SOURCE)
    here.publish(*changed(), closed=(gone,), base=first if names_base else None)
    page = browser.until(lambda page: page["base_snapshot_id"] == first)
    changes = {each["value"]: each["count"] for each in page["changes"]}
    assert changes == {"added": 1, "removed": 1, "changed": 1, "relabelled": 1}
    for change, keys in {
        "added": ["e.png"],
        "removed": ["d.png"],
        "changed": ["c.png"],
        "relabelled": ["b.png"],
    }.items():
        rows = browser.rows(change=change)
        assert list(rows) == keys
        assert {each["change"] for each in rows.values()} == {change}
    assert browser.keys(change=["added", "removed"]) == ["d.png", "e.png"]
    assert browser.image("b.png")["before"] == ["echo"]
    assert browser.image("a.png")["before"] == ["echo"]
    assert browser.image("e.png")["before"] is None
    assert browser.image("d.png")["before"] == ["echo"]
    # The snapshot before is a view of its own.
    assert browser.keys(snapshot=first) == ["a.png", "b.png", "c.png", "d.png"]
    assert browser.page(snapshot=first)["snapshot_id"] == first
    assert {each["change"] for each in browser.rows(snapshot=first).values()} == {"added"}


def test_two_snapshots_compared(here: World, browser: Browser) -> None:
    first = here.publish(*CHANGES)
    second = here.publish(*changed()[:-1], row("moved.png", etag="etag of d.png"))
    found = browser.get(f"{BASE}/comparison", before=first, after=second)
    assert found["counts"] == {"added": 1, "removed": 1, "changed": 1, "relabelled": 1, "moved": 1}
    assert [(each["key"], each["changes"]) for each in found["differences"]] == [
        ("b.png", ["relabelled"]),
        ("c.png", ["changed"]),
        ("d.png", ["removed"]),
        ("moved.png", ["added"]),
    ]
    by_key = {each["key"]: each for each in found["differences"]}
    assert (by_key["b.png"]["before"], by_key["b.png"]["after"]) == (["echo"], ["dot"])
    assert (by_key["c.png"]["before"], by_key["c.png"]["after_version"]) == (["echo"], "other bytes")
    assert (by_key["d.png"]["after"], by_key["d.png"]["moved_to"]) == (None, "moved.png")
    assert found["labels"] == [{"label": "dot", "before": 0, "after": 1}, {"label": "echo", "before": 4, "after": 3}]
    page = browser.get(f"{BASE}/comparison", before=first, after=second, change=["removed", "added"], limit=1, offset=1)
    assert (page["total"], [each["key"] for each in page["differences"]]) == (2, ["moved.png"])
    assert browser.get(f"{BASE}/comparison", before=first, after=second, key="B.P")["total"] == 1
    from_nothing = browser.get(f"{BASE}/comparison", after=first)
    assert (from_nothing["counts"]["added"], from_nothing["total"]) == (4, 4)


def test_what_was_saved_is_shown_at_once_and_nothing_is_read_again(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"))
    version = browser.page()["version"]
    files = set(browser.datasets._cache.names())
    line = entry("a.png", "dot")
    browser.datasets.live(NAME).put([line + b"\n"], **here.service.save(line))
    page = browser.page()
    assert page["version"] != version
    assert page["freshness"]["state"] == "current"
    assert page["labels"] == [
        {"label": "dot", "images": 1, "boxed_images": 0},
        {"label": "echo", "images": 1, "boxed_images": 0},
    ]
    assert browser.rows()["a.png"]["labels"] == ["dot"]
    assert (browser.keys(label="echo"), browser.keys(label="dot")) == (["b.png"], ["a.png"])
    assert "entries" not in here.service.calls
    assert set(browser.datasets._cache.names()) == files
    # Another process of the same server sees it as well.
    other = Browser(here, browser.datasets._cache.folder)
    assert other.rows()["a.png"]["labels"] == ["dot"]
    assert other.page()["version"] == page["version"]


def test_what_was_saved_while_the_entries_were_listed_is_kept(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"), row("c.png"))
    browser.page()
    here.service.change(entry("b.png", "changed by another"))
    here.service.gate = Event()
    assert browser.page()["freshness"]["state"] == "reading"
    line = entry("a.png", "saved meanwhile")
    browser.datasets.live(NAME).put([line], **here.service.save(line))
    here.service.gate.set()
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert {key: each["labels"] for key, each in browser.rows().items()} == {
        "a.png": ["saved meanwhile"],
        "b.png": ["changed by another"],
        "c.png": ["echo"],
    }


@pytest.mark.parametrize("is_noticed_by", ["the save", "the time of the last change"])
def test_a_change_of_another_beside_a_save_is_read(here: World, browser: Browser, is_noticed_by: str) -> None:
    here.publish(row("a.png"), row("b.png"))
    browser.page()
    line = entry("a.png", "saved")
    if is_noticed_by == "the save":
        # Another operation was seen: the save's own end says nothing of it.
        times = here.service.save(line) | {"until": ""}
        here.service.entries_by_ref[f"s3://{BUCKET}/b.png"] = entry("b.png", "theirs").decode()
    else:
        # It came before the save, behind the gallery's back.
        here.service.change(entry("b.png", "theirs"))
        times = here.service.save(line)
    browser.datasets.live(NAME).put([line], **times)
    assert browser.rows()["a.png"]["labels"] == ["saved"]
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert {key: each["labels"] for key, each in browser.rows().items()} == {"a.png": ["saved"], "b.png": ["theirs"]}


def test_entries_that_turn_out_to_be_others_are_read_again(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"))
    assert browser.page()["freshness"]["state"] == "current"
    # Within one tick of the service's clock.
    here.service.entries_by_ref[f"s3://{BUCKET}/b.png"] = entry("b.png", "theirs").decode()
    live = browser.datasets.live(NAME)
    live.doubt()
    assert live.ensure_current(5).snapshot_id == ""
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert browser.rows()["b.png"]["labels"] == ["theirs"]


def test_a_save_of_a_new_image_adds_it(here: World, browser: Browser) -> None:
    here.publish(row("b.png"))
    browser.page()
    line = entry("a.png", "dot")
    browser.datasets.live(NAME).put([line], **here.service.save(line))
    assert browser.keys() == ["a.png", "b.png"]
    assert browser.page()["shown_images"] == 2


def test_a_person_s_kept_edit_makes_the_manifest_another_thing_than_the_entries(here: World, browser: Browser) -> None:
    kept = row("a.png", reason=Reason.KEPT_DATASET_ENTRY)
    here.publish(row("a.png"), row("b.png"), closed=(kept,))
    here.service.entries_by_ref[f"s3://{BUCKET}/a.png"] = entry("a.png", "drawn by a person").decode()
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert "entries" in here.service.calls
    assert browser.rows()["a.png"]["labels"] == ["drawn by a person"]
    assert browser.image("a.png")["before"] is None


def test_what_a_person_was_left_is_shown_where_the_entries_are_not_known(here: World, browser: Browser) -> None:
    theirs = entry("a.png", "drawn by a person")
    kept = row("a.png", reason=Reason.KEPT_DATASET_ENTRY, entry=theirs + b"\n")
    here.publish(row("a.png"), row("b.png"), closed=(kept,))
    here.service.error = unavailable()
    assert browser.rows()["a.png"]["labels"] == ["drawn by a person"]
    image = browser.image("a.png")
    assert (json.loads(image["line"]), image["aside"]) == (json.loads(theirs), "")


@pytest.mark.parametrize("counted_by", ["the run", "the service"])
def test_entries_of_another_import_make_the_manifest_another_thing_than_the_dataset(
    here: World, browser: Browser, counted_by: str
) -> None:
    # The snapshot says that its lines are all there is; the other import's image is in none of its ledgers.
    here.publish(row("a.png"), entries=2 if counted_by == "the run" else 1)
    other = f"s3://{BUCKET}/other.png"
    here.service.entries_by_ref[other] = entry("other.png", "dot").decode()
    browser.until(lambda page: page["freshness"]["state"] == "current")
    assert "entries" in here.service.calls
    assert browser.keys() == ["a.png", "other.png"]


def test_a_manifest_whose_count_the_run_has_verified_is_the_dataset(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"), entries=2)
    assert browser.page()["freshness"]["state"] == "current"
    assert "entries" not in here.service.calls


def test_a_busy_dataset_is_not_taken_for_current(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    live = browser.datasets.live(NAME)
    assert live.ensure_current(5)
    here.service.status = "UPDATE_IN_PROGRESS"
    with pytest.raises(DatasetConflictError) as caught:
        live.ensure_current(5)
    assert (caught.value.code, caught.value.details["status"]) == ("DATASET_BUSY", "UPDATE_IN_PROGRESS")
    here.service.status = "UPDATE_COMPLETE"
    assert live.ensure_current(5)


def test_a_dataset_that_was_made_anew_is_found(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    live = browser.datasets.live(NAME)
    assert live.ensure_current(5).dataset_arn == ARN
    here.service.arn = ARN.replace("1790000000000", "1790000000001")
    here.service.change(entry("a.png", "dot"))
    assert live.ensure_current(5).dataset_arn == here.service.arn


def test_making_entries_current(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png"))
    live = browser.datasets.live(NAME)
    assert live.ensure_current(5).snapshot_id
    here.service.change(entry("a.png", "dot"))
    assert live.ensure_current(5).snapshot_id == ""
    (image,) = browser.datasets.catalog(NAME).find([id_of("a.png"), "0" * 16])
    assert image.line == entry("a.png", "dot")
    assert (image.source_ref, image.place, image.version) == (f"s3://{BUCKET}/a.png",) * 2 + ("etag of a.png",)
    here.service.change(entry("a.png", "echo"))
    here.service.gate = Event()
    with pytest.raises(Exception, match="ENTRIES_NOT_CURRENT"):
        live.ensure_current(0.05)
    here.service.gate.set()
    live.ensure_current(5)
    here.service.error = unavailable()
    with pytest.raises(Exception, match="SERVICE_UNAVAILABLE"):
        live.ensure_current(5)


def test_rekognition_out_of_reach(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    here.service.error = unavailable()
    page = browser.page()
    assert page["freshness"]["state"] == "unknown"
    assert page["freshness"]["problem"]["code"] == "SERVICE_UNAVAILABLE"
    assert page["shown_images"] == 1
    projects = browser.get("/api/projects")
    assert projects["problem"]["code"] == "SERVICE_UNAVAILABLE"
    assert [each["project"] for each in projects["projects"]] == ["example"]


def test_a_dataset_without_a_snapshot(here: World, browser: Browser) -> None:
    here.service.change(entry("a.png", "echo"))
    page = browser.until(lambda page: page["freshness"]["state"] == "current" and page["indexing"] is None)
    assert (page["snapshot_id"], page["shown_images"]) == ("", 1)
    assert browser.ask(f"{BASE}/downloads/manifest").status_code == 404


def test_projects(here: World, browser: Browser) -> None:
    here.publish(row("a.png"), row("b.png", None))
    holder = Holder("import_s3_folder", "run-9")
    HeldJournal.take(
        here.session, NAME.folder(here.workspace()), holder, now=datetime.now(UTC), has_ended=lambda _: False
    )
    here.seen()
    (project,) = browser.get("/api/projects")["projects"]
    (card,) = project["datasets"]
    assert (project["project"], card["dataset_type"], card["dataset_arn"]) == ("example", "train", ARN)
    assert (card["images"], card["labelled"], card["is_registered"]) == (2, 1, True)
    assert (card["working"], card["is_saving"]) == ({"dag_id": "import_s3_folder", "run_id": "run-9"}, False)


def test_a_save_under_way_is_no_run(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    SaveLease.take(
        here.session,
        NAME.folder(here.workspace()),
        "save",
        now=lambda: datetime.now(UTC),
        has_ended=lambda _: False,
    )
    card = browser.page()["card"]
    assert (card["working"], card["is_saving"]) == (None, True)


def test_downloads(here: World, browser: Browser) -> None:
    hostile = "=cmd|' /C calc'!A0.png"
    rows = [row(hostile), row("a.png", None, entry=entry("a.png", **boxes_pair()) + b"\n")]
    id = here.publish(*rows)
    answer = browser.ask(f"{BASE}/downloads/manifest")
    assert answer.headers["content-disposition"] == f'attachment; filename="example-train-{id}.manifest"'
    assert [json.loads(line)["source-ref"] for line in answer.text.splitlines()] == [
        f"s3://{BUCKET}/{each.key}" for each in rows
    ]
    table = list(csv.DictReader(io.StringIO(browser.ask(f"{BASE}/downloads/ledger.csv").text)))
    assert [each["key"] for each in table] == [f"'{hostile}", "a.png"]
    assert (table[0]["state"], table[0]["label"], table[0]["width"]) == ("registered", "echo", "640")
    assert browser.ask(f"{BASE}/downloads/ledger.parquet").content[:4] == b"PAR1"
    coco = browser.get(f"{BASE}/downloads/coco.json", snapshot=id)
    assert [(each["file_name"], each["width"], each.get("labels")) for each in coco["images"]] == [
        (hostile, 640, ["echo"]),
        ("a.png", 640, None),
    ]
    assert [each["bbox"] for each in coco["annotations"]] == [[399, 251, 155, 101], [86.0, 65.5, 220, 334]]


def test_runs(here: World, browser: Browser) -> None:
    here.airflow.pages["import_s3_folder", "run 1"] = RunPage(dag_id="import_s3_folder", run_id="run 1", is_ours=True)
    assert browser.get("/api/runs/import_s3_folder/run%201")["is_ours"]
    assert browser.ask("/api/runs/import_s3_folder/another").status_code == 404
    assert browser.ask("/api/runs/secret_dag/run%201").status_code == 403


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/datasets/nothing/train", 404, "DATASET_NOT_FOUND"),
        (f"{BASE}?snapshot=20261122T200000Z-00000000", 404, "SNAPSHOT_NOT_FOUND"),
        (f"{BASE}/images/0123456789abcdef", 404, "IMAGE_NOT_FOUND"),
        (f"{BASE}/images?limit=501", 400, "INVALID_VIEW"),
        (f"{BASE}/images?offset=-1", 400, "INVALID_VIEW"),
        (f"{BASE}/images?sort=n;drop", 400, "INVALID_VIEW"),
        (f"{BASE}/images?unknown=1", 400, "INVALID_VIEW"),
        (f"{BASE}/images?change=moved", 400, "INVALID_VIEW"),
        (f"{BASE}/images?snapshot=../../x", 404, "SNAPSHOT_NOT_FOUND"),
        (f"{BASE}/images/{'A' * 16}", 422, None),
        ("/api/datasets/exa%20mple/train", 422, None),
        ("/api/datasets/example/other", 422, None),
        (f"{BASE}/downloads/passwd", 422, None),
        (f"{BASE}/comparison?after=..", 422, None),
    ],
)
def test_what_is_not_there_and_what_is_no_address(
    here: World, browser: Browser, path: str, status: int, code: str | None
) -> None:
    here.publish(row("a.png"))
    answer = browser.ask(path)
    assert answer.status_code == status
    if code:
        assert answer.json()["code"] == code


def test_nobody_sees_anything_without_rights(here: World, browser: Browser) -> None:
    here.publish(row("a.png"))
    here.service.calls.clear()
    paths = ["/api/projects", BASE, "/api/runs/import_s3_folder/run-1"]
    after = "comparison?after=20261122T200000Z-00000000"
    for each in ("images", "ids", f"images/{id_of('a.png')}", "statistics", after, "downloads/manifest"):
        paths.append(f"{BASE}/{each}")
    for path in paths:
        assert request(browser.app, path, {}, None).status_code == 401, path
    assert here.service.calls == []


def test_a_dataset_is_indexed_once_for_all_who_ask(
    here: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.publish(row("a.png"))
    may_go_on, builds = Event(), []
    build = Datasets._build

    def slow(*arguments: Any) -> None:
        builds.append(arguments)
        assert may_go_on.wait(10)
        build(*arguments)

    monkeypatch.setattr(Datasets, "_build", slow)
    monkeypatch.setattr("include.gallery.datasets.INDEX_WAIT_S", 0.01)
    assert browser.page()["indexing"] == 0
    refused = browser.ask(f"{BASE}/images")
    assert (refused.status_code, refused.json()["code"]) == (503, "DATASET_INDEXING")
    assert refused.headers["retry-after"] == "1"
    may_go_on.set()
    assert browser.until(lambda page: page["indexing"] is None)["shown_images"] == 1
    assert len(builds) == 1


@pytest.mark.parametrize(("ledger", "code"), [(None, "DOCUMENT_MISSING"), (b"PAR1 no more", "DOCUMENT_DAMAGED")])
def test_a_damaged_snapshot_is_said(here: World, browser: Browser, ledger: bytes | None, code: str) -> None:
    folder = NAME.folder(here.workspace()).snapshot(here.publish(row("a.png")))
    del here.stub.objects[folder.ledger.key]
    here.seen()
    if ledger is not None:
        put_bytes(here.session, folder.ledger, ledger)
    for path in (BASE, f"{BASE}/images"):
        answer = browser.ask(path)
        assert (answer.status_code, answer.json()["code"]) == (502, code)


@pytest.mark.parametrize("manifest", [b"", b"{}\n"], ids=["empty", "another"])
def test_a_damaged_manifest_is_said(here: World, browser: Browser, manifest: bytes) -> None:
    folder = NAME.folder(here.workspace()).snapshot(here.publish(row("a.png")))
    put_bytes(here.session, folder.manifest, manifest)
    answer = browser.ask(f"{BASE}/images")
    assert (answer.status_code, answer.json()["code"]) == (502, "DOCUMENT_DAMAGED")


def test_pages_of_a_view_and_its_neighbours(here: World, browser: Browser) -> None:
    here.publish(*[row(f"{number:03}.png", size_bytes=1000 - number) for number in range(250)])
    page = browser.get(f"{BASE}/images", offset=240, limit=100)
    assert (page["total"], [each["key"] for each in page["images"]]) == (
        250,
        [f"{at:03}.png" for at in range(240, 250)],
    )
    image = browser.image("100.png", sort="size")
    assert (image["position"], image["total"]) == (149, 250)
    assert (image["previous_id"], image["next_id"]) == (id_of("101.png"), id_of("099.png"))
    assert browser.image("100.png", label="none")["position"] is None
    last = browser.image("249.png")
    assert (last["next_id"], last["previous_id"]) == ("", id_of("248.png"))
    assert len(browser.get(f"{BASE}/ids")["ids"]) == 250
