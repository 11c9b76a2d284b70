"""Saves: what is sent and what is not, against the local Rekognition service and the runs of Dags."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from include.gallery import save_plan
from include.gallery.messages import Save
from include.gallery.save_lease import HOLDER, LEASE
from include.gallery.save_work import SaveRecord
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal, Journal, read_journal
from include.object_store.streams import put_json
from tests.fixtures.airflow_database import RunDag
from tests.fixtures.existing_datasets import boxed, labels_of
from tests.fixtures.places import Place, picture
from tests.gallery.saving import Gallery, assigned, box
from tests.gallery.visitors import ANONYMOUS, EDITOR, VIEWER

pytestmark = pytest.mark.integration

HOSTILE = "<img src=x onerror=alert(1)>\u202e\"'"


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [(ANONYMOUS, (401, 401)), (VIEWER, (403, 403)), ({"authorization": "stranger"}, (403, 403)), (EDITOR, (404, 404))],
)
async def test_only_editors_save(
    place: Place, tmp_path: Path, headers: dict[str, str], statuses: tuple[int, int]
) -> None:
    found = Gallery(place, tmp_path / "cache")
    async with found.visited(headers) as client:
        posted = await client.post(found.path, json={"edits": [assigned(["0" * 16], "echo")]})
        read = await client.get(f"{found.path}/20261124T180000Z-{'0' * 16}")
    assert (posted.status_code, read.status_code) == statuses
    assert found.services.datasets().updates == []


async def test_labels_boxes_and_names_are_saved(gallery: Gallery) -> None:
    save = await gallery.save(
        assigned(gallery.ids("a.png", "c/<img src=x onerror=alert(1)>.png"), "white", HOSTILE),
        {"kind": "renaming", "old": "echo", "new": "echo plus"},
        gallery.redrawing("b.png", ["white"], box("dot"), box(HOSTILE, 0, 0, 64, 64)),
    )
    assert (save.state, save.sent, save.total, save.conflicts, save.refusals) == ("saved", 4, 4, [], [])
    assert gallery.said() == {
        "a.png": {"echo plus", "white", HOSTILE},
        "b.png": {"white", "dot", HOSTILE},
        "c/<img src=x onerror=alert(1)>.png": {"white", HOSTILE},
        "d.png": {"echo plus"},
    }
    drawn = gallery.entries()["b.png"]["bounding-box"]
    assert drawn["image_size"] == [{"width": 64, "height": 64, "depth": 3}]
    # What was there before is in the workspace, and so is what became of the save.
    before = [json.loads(line) for line in gallery.place.read(save.record).splitlines()]
    assert sorted(labels_of(line) == {"echo"} for line in before) == [False, False, True, True]
    record = msgspec.json.decode(gallery.place.read(save.record.replace(".manifest", ".json")), type=SaveRecord)
    assert (record.save, record.user) == (save, "editor")
    assert read_journal(gallery.services.s3(), gallery.folder) == Journal()
    # The gallery shows it at once.
    live = gallery.datasets.live(gallery.name)
    assert live.freshness().state == "current"
    (found,) = gallery.datasets.catalog(gallery.name).find(gallery.ids("a.png"))
    assert found.line is not None
    assert labels_of(json.loads(found.line)) == {"echo plus", "white", HOSTILE}


async def test_what_changes_nothing_is_not_sent(gallery: Gallery) -> None:
    save = await gallery.save(assigned(gallery.ids("a.png"), "echo"), gallery.redrawing("a.png", ["echo"]))
    assert (save.state, save.total, save.record) == ("saved", 0, "")
    assert gallery.services.datasets().updates == []


async def test_a_drawing_of_an_entry_that_became_another_one_is_a_conflict(gallery: Gallery) -> None:
    seen = gallery.seen("b.png")
    arn = str(gallery.place.dataset_arn())
    theirs = json.dumps(boxed(gallery.ref("b.png"), "theirs", left=3)).encode()
    gallery.place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": theirs})
    gallery.place.wait_until_ready(arn)
    edits = (gallery.redrawing("b.png", [], box("mine"), seen=seen), assigned(gallery.ids("a.png", "b.png"), "white"))
    save = await gallery.save(*edits)
    (conflict,) = save.conflicts
    assert (save.state, save.sent, conflict.key) == ("saved", 1, "b.png")
    assert conflict.theirs_boxes == [box("theirs", 3, 1, 20, 20)]
    assert gallery.said()["b.png"] == {"theirs"}
    assert gallery.said()["a.png"] == {"echo", "white"}
    looked_at = await gallery.save(edits[0] | {"seen": conflict.seen})
    assert (looked_at.sent, gallery.said()["b.png"]) == (1, {"mine"})
    forced = await gallery.save(gallery.redrawing("b.png", [], box("forced"), seen=seen, force=True))
    assert (forced.sent, gallery.said()["b.png"]) == (1, {"forced"})


async def test_what_cannot_be_saved_is_refused_and_the_rest_is_saved(gallery: Gallery) -> None:
    gallery.place.put("d.png", body=b"text")
    save = await gallery.save(
        gallery.redrawing("a.png", [], box("out", 50)),
        gallery.redrawing("d.png", [], box("echo")),
        assigned(["f" * 16], "white"),
        assigned(gallery.ids("b.png"), "white"),
    )
    assert (save.state, save.sent, save.refused) == ("saved", 1, 3)
    assert {(refusal.key, refusal.problem.code) for refusal in save.refusals} == {
        ("a.png", "ERROR_INVALID_BOUNDING_BOX"),
        ("d.png", "PICTURE_UNREADABLE"),
        ("", "IMAGE_NOT_IN_DATASET"),
    }


async def test_too_many_labels_stop_the_save(gallery: Gallery) -> None:
    edits = [assigned(gallery.ids("a.png"), *(f"label {n}" for n in range(at, at + 50))) for at in range(0, 250, 50)]
    save = await gallery.save(*edits)
    assert save.state == "failed"
    assert save.problem is not None
    assert save.problem.code == "ERROR_MANIFEST_TOO_MANY_LABELS"
    assert gallery.services.datasets().updates == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b'{"edits":[]}',
        b'{"edits":[{"kind":"other"}]}',
        b'{"edits":[{"kind":"assignment","ids":[]}]}',
        b'{"edits":[{"kind":"assignment","ids":["s3://example-images/a.png"]}]}',
        b'{"edits":[{"kind":"assignment","ids":["0123456789abcdef"],"more":1}]}',
        b'{"edits":[{"kind":"renaming","old":"a","new":"a\\nb"}]}',
        b'{"edits":[{"kind":"renaming","old":"a","new":"a\\r"}]}',
        b'{"edits":[{"kind":"renaming","old":"a","new":""}]}',
        b'{"edits":[{"kind":"redrawing","id":"0123456789abcdef","seen":"","labels":[],"boxes":[{"label":"a"}]}]}',
        b'{"edits":[{"kind":"redrawing","id":"0123456789abcdef","seen":"","labels":[],"boxes":[{"label":"a","left":1e9,'
        b'"top":0,"width":1,"height":1}]}]}',
        b"[" * 100_000,
    ],
)
async def test_other_demands_are_refused(place: Place, tmp_path: Path, body: bytes) -> None:
    found = Gallery(place, tmp_path / "cache")
    async with found.visited() as client:
        answer = await client.post(found.path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "DEMAND_INVALID")


async def test_many_entries_go_in_batches(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save_plan, "SAFE_UPDATE_BYTES", 400)
    keys = list(gallery.entries())
    save = await gallery.save(assigned(gallery.ids(*keys), "white"))
    assert (save.state, save.sent) == ("saved", 4)
    updates = gallery.services.datasets().updates
    assert len(updates) > 1
    assert all(len(update) <= 400 or update.count(b"\n") == 1 for update in updates)
    assert all("white" in labels for labels in gallery.said().values())


async def test_what_rekognition_refuses_fails_the_save_and_frees_the_dataset(gallery: Gallery) -> None:
    gallery.services.datasets().refuse = True
    save = await gallery.save(assigned(gallery.ids("a.png"), "white"))
    assert save.state == "failed"
    assert save.problem is not None
    assert save.problem.code == "REKOGNITION_ACCESS_DENIED"
    assert gallery.place.read(save.record).count(b"\n") == 1
    assert read_journal(gallery.services.s3(), gallery.folder).lease is None


async def test_a_server_that_dies_holds_nothing_up_for_long(gallery: Gallery, tmp_path: Path) -> None:
    save_id = f"20261124T180000Z-{'0' * 16}"
    died_at = datetime(2026, 11, 24, 18, tzinfo=UTC)
    s3 = gallery.services.s3()
    HeldJournal.take(s3, gallery.folder, Holder(HOLDER, save_id), now=died_at, has_ended=lambda _: False, lease=LEASE)
    under_way = Save(save_id=save_id, state="sending", sent=1, total=3)
    put_json(
        s3,
        gallery.folder.save(save_id),
        SaveRecord(save=under_way, user="editor", begun_at=died_at, updated_at=died_at),
    )
    soon = Gallery(gallery.place, tmp_path / "soon", lambda: died_at + LEASE / 2)
    later = Gallery(gallery.place, tmp_path / "later", lambda: died_at + LEASE + timedelta(seconds=1))
    async with soon.visited() as client:
        # As another process of the API server sees it.
        assert (await client.get(f"{soon.path}/{save_id}")).json()["state"] == "sending"
        begun = await soon.begun(client, assigned(soon.ids("a.png"), "white"))
        assert (await soon.waits(client, begun)).cause == "save"
    async with later.visited() as client:
        found = (await client.get(f"{later.path}/{save_id}")).json()
        assert (found["state"], found["problem"]["code"], found["sent"]) == ("failed", "SAVE_INTERRUPTED", 1)
    assert (await later.save(assigned(later.ids("a.png"), "white"))).state == "saved"


async def test_a_save_of_another_dataset_is_not_told(gallery: Gallery) -> None:
    save = await gallery.save(assigned(gallery.ids("a.png"), "white"))
    async with gallery.visited() as client:
        for path in (gallery.path.replace("/train/", "/test/"), "/api/datasets/another-project/train/saves"):
            assert (await client.get(f"{path}/{save.save_id}")).json()["code"] == "SAVE_NOT_FOUND"
        assert (await client.get(f"{gallery.path}/..%2Fcurrent")).status_code in (404, 422)


async def test_saves_of_one_person_are_limited(place: Place, tmp_path: Path) -> None:
    found = Gallery(place, tmp_path / "cache")
    async with found.visited() as client:
        statuses = [(await client.post(found.path, content=b"{}")).status_code for _ in range(31)]
        refused = await client.post(found.path, content=b"{}")
    assert statuses == [400] * 30 + [429]
    assert "retry-after" in refused.headers


async def test_edits_of_people_survive_the_next_refresh(place: Place, tmp_path: Path, run_dag: RunDag) -> None:
    place.put("alexa-devices/echo/a.png", "alexa-devices/echo/b.png", "alexa-devices/dot/c.png")
    assert run_dag("import_s3_folder", place.conf()).state == "success"
    found = Gallery(place, tmp_path / "cache")
    a, b, c = (f"alexa-devices/{name}.png" for name in ("echo/a", "echo/b", "dot/c"))
    save = await found.save(
        assigned(found.ids(a), "white", remove=("echo",)), found.redrawing(b, ["echo"], box("logo"))
    )
    assert (save.state, save.sent) == ("saved", 2)
    assert found.said() == {a: {"white"}, b: {"echo", "logo"}, c: {"dot"}}
    # The source changes as well, so that the dataset is deleted and made again.
    place.s3.delete_object(Bucket=place.images, Key=c)
    place.put("alexa-devices/dot/d.png", body=picture())
    conf = place.conf(accept_risks=["NEW_LABELS", "REMOVED_SHARE"])
    assert run_dag("import_s3_folder", conf).state == "success"
    assert found.said() == {a: {"white"}, b: {"echo", "logo"}, "alexa-devices/dot/d.png": {"dot"}}


async def test_a_save_is_taken_back_by_sending_what_was_there_before(gallery: Gallery) -> None:
    before = gallery.entries()
    save = await gallery.save(
        assigned(gallery.ids("a.png"), "white", remove=("echo",)), gallery.redrawing("b.png", ["white"], box("dot"))
    )
    assert (save.state, gallery.said()["a.png"]) == ("saved", {"white"})
    arn = str(gallery.place.dataset_arn())
    changes = gallery.place.read(save.record)
    gallery.place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": changes})
    assert gallery.place.wait_until_ready(arn)["Status"] == "UPDATE_COMPLETE"
    assert gallery.said() == {name: labels_of(entry) for name, entry in before.items()}
    assert {name: entry.get("bounding-box") for name, entry in gallery.entries().items()} == {
        name: entry.get("bounding-box") for name, entry in before.items()
    }
