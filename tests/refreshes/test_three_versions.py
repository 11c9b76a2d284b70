"""What becomes of an image by what the source, the dataset and the last import say of it: row by row of the page."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from include.custom_labels.ledger import LedgerRow
from include.custom_labels.risks import Risk
from tests.fixtures.existing_datasets import labels_of
from tests.fixtures.places import picture
from tests.refreshes.imports import FOLDER, Import, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def row(done: Import, name: str) -> LedgerRow:
    return done.rows[FOLDER + name]


def kept(done: Import, name: str) -> set[str]:
    """What the entry says that the ledger keeps of an image."""
    return labels_of(msgspec.json.decode(row(done, name).entry or b"{}"))


def before(done: Import) -> bytes:
    """``entries.manifest`` of the run's snapshot; empty where it has none."""
    folder = done.run.dataset.snapshot(done.published["snapshot_id"])
    keys = done.run.s3.client.list_objects_v2(Bucket=folder.entries.bucket, Prefix=folder.entries.key)
    if not keys["KeyCount"]:
        return b""
    answer = done.run.s3.client.get_object(Bucket=folder.entries.bucket, Key=folder.entries.key)
    return answer["Body"].read()


def test_lines_are_sent_where_nobody_else_has_said_anything(registered: Imports, people: People) -> None:
    """A new image, entries of this import's own, entries that say the same, and a person's."""
    people.put("echo/new.png")
    people.label("dot/0.png", "polka dot")
    done = registered.run(label_aliases={"dot": "Dot"})
    assert people.said() == {
        **{f"echo/{name}.png": {"echo"} for name in (0, 1, 2, 3, "new")},
        **{f"dot/{number}.png": {"Dot"} for number in (1, 2, 3)},
        "dot/0.png": {"polka dot"},
    }
    assert done.merged.totals == {"new": 1, "same": 4, "changed": 3, "kept": 1}
    assert (row(done, "dot/0.png").reason, kept(done, "dot/0.png")) == ("KEPT_DATASET_ENTRY", {"polka dot"})
    usual = {each.reason for key, each in done.rows.items() if not key.endswith("dot/0.png")}
    assert len(usual) == 1
    assert "KEPT_DATASET_ENTRY" not in usual
    # Nothing was removed or overwritten.
    assert before(done) == b""


def test_what_gives_way_is_in_the_snapshot(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "speaker", left=7)
    done = registered.run(human_edits="overwrite")
    assert people.said()["echo/0.png"] == {"echo"}
    assert row(done, "echo/0.png").reason == "OVERWRITTEN_DATASET_ENTRY"
    assert b'"left":7' in before(done)
    assert len(before(done).splitlines()) == 8


@pytest.mark.parametrize("is_work", [False, True])
def test_an_image_that_cannot_be_read_keeps_its_entry(registered: Imports, people: People, is_work: bool) -> None:
    if is_work:
        people.label("echo/0.png", "speaker")
    people.put_body("echo/0.png", b"no longer a picture")
    done = registered.run(approval="never", max_removed_percent=0)
    assert people.said()["echo/0.png"] == ({"speaker"} if is_work else {"echo"})
    assert (done.action, row(done, "echo/0.png").reason) == ("unchanged", "NOT_PNG_OR_JPEG")
    assert kept(done, "echo/0.png") == ({"speaker"} if is_work else set())


def test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it(
    registered: Imports, people: People
) -> None:
    people.label("echo/0.png", "speaker")
    people.delete("echo/0.png", "dot/0.png")
    held = registered.run(removals="hold")
    assert {row(held, name).reason for name in ("echo/0.png", "dot/0.png")} == {"HELD_UNTIL_REPLACED"}
    assert (held.action, len(people.said()), before(held)) == ("unchanged", 8, b"")
    removed = registered.run()
    assert {row(removed, name).reason for name in ("echo/0.png", "dot/0.png")} == {"REMOVED_AT_SOURCE"}
    assert (removed.action, len(people.said()), len(before(removed).splitlines())) == ("replace", 6, 8)
    later = registered.run()
    assert (row(later, "echo/0.png").reason, kept(later, "echo/0.png")) == ("WORK_KEPT_ASIDE", {"speaker"})
    assert f"{FOLDER}dot/0.png" not in later.rows
    assert registered.run().reasons == later.reasons


def test_an_entry_without_a_label_of_another_import_gives_way_to_a_label(registered: Imports, people: People) -> None:
    people.put("plain/0.png", "plain/1.png", "plain/2.png")
    folder = f"s3://{people.place.images}/{FOLDER}plain/"
    registered.run(s3_folder=folder, automatic_labeling=False)
    # A person may say the same of an image on purpose.
    people.label("plain/1.png", "speaker")
    people.label("plain/1.png")
    people.label("plain/2.png", "speaker")
    registered.run(s3_folder=folder, automatic_labeling=False)
    assert people.said()["plain/0.png"] == set()
    done = registered.run()
    assert people.said()["plain/0.png"] == {"plain"}
    assert people.said()["plain/2.png"] == {"speaker"}
    assert row(done, "plain/2.png").reason == "KEPT_DATASET_ENTRY"


def test_an_image_of_another_import_is_none_of_this_ones_objects(
    registered: Imports, people: People, tmp_path: Path
) -> None:
    (tmp_path / "kite").mkdir()
    (tmp_path / "kite/1.png").write_bytes(picture())
    destination = f"s3://{people.place.images}/{FOLDER}"
    registered.run("local_computer", local_folder=str(tmp_path), automatic_labeling=True, destination=destination)
    people.delete("kite/1.png")
    done = registered.run(max_removed_percent=0, approval="never")
    assert people.said()["kite/1.png"] == {"kite"}
    assert f"{FOLDER}kite/1.png" not in done.rows


def test_work_whose_content_has_changed_with_its_name_is_asked_about(registered: Imports, people: People) -> None:
    """Nobody can tell that it is the same image."""
    people.draw("echo/0.png", "echo", left=7)
    people.draw("echo/1.png", "echo", left=7)
    people.delete("echo/0.png", "echo/1.png")
    people.put("echo/renamed.png", "echo/renamed too.png")
    done = registered.run(max_removed_percent=100)
    assert done.risks == {Risk.WORK_REMOVED: 2}
    assert people.boxes("echo/renamed.png") == []
    assert {kept(done, name) == {"echo"} for name in ("echo/0.png", "echo/1.png")} == {True}


@pytest.mark.parametrize("code", ["FOLDER_EMPTY", "ERROR_EMPTY_MANIFEST"])
def test_an_import_without_any_image_changes_nothing(registered: Imports, people: People, code: str) -> None:
    before = people.entries()
    if code == "FOLDER_EMPTY":
        people.delete(*before)
    with refused(code):
        registered.run(exclude=["*"])
    assert people.entries() == before


def test_work_follows_an_image_whose_name_changes_its_case(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.move({"echo/0.png": "ECHO/0.PNG"})
    done = registered.run(max_removed_percent=0, accept_risks=["NEW_LABELS", "LOOKALIKE_LABELS"], approval="never")
    assert people.boxes("ECHO/0.PNG") == [7]
    assert (done.merged.moved, done.merged.removed.count) == (1, 0)


def test_work_follows_an_image_that_a_split_gives_to_the_other_dataset(registered: Imports, people: People) -> None:
    """A renamed test image whose content is in the training dataset, too, becomes a training image."""
    people.copy("echo/0.png", "dot/copy.png")
    others = [f"*{name}" for name in (*(f"echo/{n}.png" for n in range(4)), *(f"dot/{n}.png" for n in range(4)))]
    registered.run(dataset_type="test", exclude=others)
    assert people.said("test").keys() == {"dot/copy.png"}
    people.label("dot/copy.png", "speaker", dataset_type="test")
    people.move({"dot/copy.png": "dot/renamed.png"})
    people.put("spot/0.png", "spot/1.png", "spot/2.png", "spot/3.png")
    registered.split()
    assert people.said()["dot/renamed.png"] == {"speaker"}
    assert not people.said().keys() & people.said("test").keys()
