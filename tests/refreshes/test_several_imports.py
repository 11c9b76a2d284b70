"""Several imports of one dataset: each has a base of its own, and leaves alone what the others brought."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.custom_labels.risks import Risk
from include.object_store.registration_journal import Journal
from tests.fixtures.existing_datasets import image_level
from tests.fixtures.places import Place, picture
from tests.refreshes.imports import FOLDER, Imports, edited_before_verification
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


@pytest.fixture
def birds(place: Place) -> str:
    """Another folder of the same bucket, with other labels."""
    place.put("birds/kite/1.png", "birds/kite/2.png", "birds/owl/1.png")
    return f"s3://{place.images}/birds"


def test_a_folders_own_entries_follow_it_after_another_folder_was_imported(
    registered: Imports, people: People, birds: str
) -> None:
    other = registered.run(s3_folder=birds)
    assert (other.merged.removed.count, other.risks) == (0, {Risk.NEW_LABELS: 2})
    done = registered.run(label_aliases={"echo": "Echo"})
    assert done.risks == {Risk.NEW_LABELS: 1, Risk.VANISHED_LABELS: 1}
    assert (done.merged.totals["changed"], done.merged.totals["other"]) == (4, 3)
    assert people.said()["echo/0.png"] == {"Echo"}
    assert len(people.said()) == 11


def test_labels_of_an_upload_have_not_vanished_when_the_folder_is_refreshed(
    registered: Imports, people: People, tmp_path: Path
) -> None:
    (tmp_path / "kite").mkdir()
    (tmp_path / "kite/1.png").write_bytes(picture())
    destination = f"s3://{people.place.images}/uploads"
    registered.run("local_computer", local_folder=str(tmp_path), automatic_labeling=True, destination=destination)
    people.put("dot/new.png")
    done = registered.run(approval="never")
    assert done.merged.labels == {"dot": 5, "echo": 4, "kite": 1}


def test_an_upload_claims_no_image_that_it_only_carries(registered: Imports, people: People, tmp_path: Path) -> None:
    """Also one that a person has labelled since: the folder's images go when they are gone from the folder."""
    (tmp_path / "kite").mkdir()
    (tmp_path / "kite/1.png").write_bytes(picture())
    people.draw("echo/0.png", "speaker", left=7)
    destination = f"s3://{people.place.images}/uploads"
    registered.run("local_computer", local_folder=str(tmp_path), automatic_labeling=True, destination=destination)
    people.delete("echo/0.png", "echo/1.png")
    done = registered.run(max_removed_percent=100)
    assert done.merged.removed.count == 2
    assert not {"echo/0.png", "echo/1.png"} & people.said().keys()
    assert done.merged.totals["other"] == 1


def test_an_image_that_two_folders_brought_stays_as_long_as_one_of_them_has_it(
    registered: Imports, people: People
) -> None:
    """The inner folder is a part of the outer one, with a label of its own for the same images."""
    inner = f"s3://{people.place.images}/{FOLDER}echo"
    people.put("echo/plus/1.png", "echo/plus/2.png")
    registered.run(s3_folder=inner)
    assert people.said()["echo/plus/1.png"] == {"plus"}
    people.delete("echo/plus/1.png")
    registered.run()
    assert "echo/plus/1.png" in people.said()
    registered.run(s3_folder=inner)
    assert "echo/plus/1.png" not in people.said()


def test_work_on_another_imports_image_stays_when_that_is_removed_elsewhere(
    registered: Imports, people: People, birds: str
) -> None:
    registered.run(s3_folder=birds)
    people.draw("echo/0.png", "echo", left=7)
    people.place.s3.delete_object(Bucket=people.place.images, Key="birds/owl/1.png")
    done = registered.run(s3_folder=birds)
    assert (done.action, done.merged.removed.count) == ("replace", 1)
    assert people.boxes("echo/0.png") == [7]
    registered.run()
    assert people.boxes("echo/0.png") == [7]


def test_a_persons_edit_survives_both_imports_that_bring_the_same_images(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "speaker")
    for folder in (f"s3://{people.place.images}/", f"s3://{people.place.images}/{FOLDER}"):
        done = registered.run(s3_folder=folder)
        assert people.said()["echo/0.png"] == {"speaker"}
        assert done.rows[f"{FOLDER}echo/0.png"].reason == "KEPT_DATASET_ENTRY"


def test_what_a_dead_run_has_sent_is_its_imports_own_after_another_import_was_registered(
    registered: Imports, people: People, birds: str
) -> None:
    registered.run(s3_folder=birds)
    run = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    other = registered.run(s3_folder=birds, label_aliases={"owl": "Owl"})
    assert other.merged.totals == {"changed": 1, "other": 8, "same": 2}
    done = registered.run()
    assert (done.merged.totals["changed"], done.merged.totals.get("kept", 0)) == (4, 0)
    assert people.said()["echo/0.png"] == {"echo"}
    assert done.journal == Journal()


def test_what_a_dead_run_has_brought_is_not_removed_by_another_import(
    registered: Imports, people: People, birds: str
) -> None:
    """Both folders have the image; the run that would have said so did not come to it."""
    people.put("kite/1.png")
    run = registered.begin().plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    above = f"s3://{people.place.images}"
    registered.run(s3_folder=above)
    registered.run(s3_folder=above, exclude=[f"{FOLDER}kite/1.png"])
    assert "kite/1.png" in people.said()


@pytest.mark.parametrize("aliases", [{"alexa-devices": "echo"}, {}], ids=["the same", "something else"])
def test_an_image_that_another_import_brings_stays_whatever_that_says_of_it(
    registered: Imports, people: People, aliases: dict[str, str]
) -> None:
    registered.run(s3_folder=f"s3://{people.place.images}", label_aliases=aliases)
    registered.run(exclude=["echo/0.png"])
    assert "echo/0.png" in people.said()


def test_work_kept_aside_comes_back_to_an_image_that_another_import_brought_back(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    registered.run()
    people.put_body("echo/0.png", body)
    registered.run(s3_folder=f"s3://{people.place.images}", label_aliases={"echo": "Echo"})
    registered.run()
    assert people.boxes("echo/0.png") == [7]


def test_a_label_that_a_person_removes_stays_removed_where_another_import_had_sent_none(
    registered: Imports, people: People
) -> None:
    people.put("plain/0.png")
    registered.run(s3_folder=f"s3://{people.place.images}/{FOLDER}plain", automatic_labeling=False)
    registered.run()
    assert people.said()["plain/0.png"] == {"plain"}
    people.label("plain/0.png")
    registered.run()
    assert people.said()["plain/0.png"] == set()


def test_an_edit_of_another_imports_entry_while_this_one_registers_is_in_none_of_its_rows(
    registered: Imports, people: People, birds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered.run(s3_folder=birds)
    key = "birds/kite/1.png"
    run = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
    with edited_before_verification(monkeypatch, lambda: people.send(image_level(f"{birds[:-5]}{key}", "owl"))):
        run.finish()
    assert key not in run.reasons
