"""Images that are added from a computer: an import overwrites and removes only what it brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.places import picture
from tests.refreshes.imports import FOLDER, Import, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


class Computer:
    """A folder of images, and its imports into the folder that people look at."""

    def __init__(self, imports: Imports, folder: Path) -> None:
        self.folder = folder
        self._imports = imports

    def put(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture() + name.encode())

    def upload(self, **conf: Any) -> Import:
        place = self._imports.place
        defaults = {"local_folder": str(self.folder), "destination": f"s3://{place.images}/{FOLDER}"}
        return self._imports.run("local_computer", **defaults | {"automatic_labeling": True} | conf)


@pytest.fixture
def computer(imports: Imports, tmp_path: Path) -> Computer:
    made = Computer(imports, tmp_path)
    made.put(*(f"echo/{number}.png" for number in range(4)))
    made.upload()
    return made


def forget(computer: Computer) -> None:
    for file in computer.folder.glob("*/*"):
        file.unlink()


def test_an_upload_that_overwrites_takes_only_the_work_on_its_own_images(computer: Computer, people: People) -> None:
    for number in range(3):
        people.draw(f"echo/{number}.png", "speaker", left=7)
    forget(computer)
    computer.put("dot/new.png")
    done = computer.upload(human_edits="overwrite")
    assert [people.boxes(f"echo/{number}.png") for number in range(3)] == [[7], [7], [7]]
    assert Risk.WORK_OVERWRITTEN not in done.risks
    assert done.rows[f"{FOLDER}echo/0.png"].entry


def test_overwriting_work_on_images_of_its_own_is_a_risk_with_a_number(
    imports: Imports, people: People, tmp_path: Path
) -> None:
    computer = Computer(imports, tmp_path)
    computer.put("echo/0.png", "echo/1.png", "dot/0.png")
    computer.upload(automatic_labeling=False)
    people.draw("echo/0.png", "speaker", left=7)
    people.draw("echo/1.png", "speaker", left=7)
    done = computer.upload(human_edits="overwrite")
    assert done.risks[Risk.WORK_OVERWRITTEN] == 2
    assert people.said() == {"echo/0.png": {"echo"}, "echo/1.png": {"echo"}, "dot/0.png": {"dot"}}
    folder = done.run.dataset.snapshot(done.published["snapshot_id"])
    assert people.place.read(str(folder.entries)).count(b'"left":7') == 2


def test_what_was_uploaded_stays_after_another_import_has_registered_the_dataset(
    computer: Computer, imports: Imports, people: People
) -> None:
    """The ledger of that import has no row of it, and the next upload is of other files."""
    people.place.put("birds/kite/1.png")
    people.label("echo/0.png", "speaker")
    imports.run(s3_folder=f"s3://{people.place.images}/birds")
    forget(computer)
    computer.put("echo/new.png")
    done = computer.upload(approval="never")
    assert (done.action, done.merged.removed.count) == ("update", 0)
    assert done.reasons[f"{FOLDER}echo/0.png"] == "registered KEPT_DATASET_ENTRY"
    assert done.reasons[f"{FOLDER}echo/1.png"] == "registered IN_LAST_SNAPSHOT"
    assert people.said() == {
        "echo/0.png": {"speaker"},
        **{f"echo/{name}.png": {"echo"} for name in (1, 2, 3, "new")},
        f"s3://{people.place.images}/birds/kite/1.png": {"kite"},
    }


def test_the_same_folder_again_changes_nothing(computer: Computer, people: People) -> None:
    people.draw("echo/0.png", "speaker", left=7)
    again = computer.upload()
    assert again.action == "unchanged"
    assert people.boxes("echo/0.png") == [7]
    assert computer.upload().changed is False


def test_a_person_works_between_two_uploads_and_a_third_finds_it(computer: Computer, people: People) -> None:
    people.label("echo/0.png", "speaker")
    forget(computer)
    computer.put("dot/1.png")
    computer.upload()
    computer.put("dot/2.png")
    computer.upload()
    assert people.said() == {
        "echo/0.png": {"speaker"},
        **{f"echo/{number}.png": {"echo"} for number in (1, 2, 3)},
        "dot/1.png": {"dot"},
        "dot/2.png": {"dot"},
    }
