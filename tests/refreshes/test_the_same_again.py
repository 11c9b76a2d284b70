"""The same import twice: for every source, and however it was typed, nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.annotation_samples import line, metadata
from tests.fixtures.existing_datasets import image_level, make_dataset
from tests.fixtures.places import Place, picture
from tests.refreshes.imports import FOLDER, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

NAMES = tuple(f"{number}.png" for number in range(5))


def local_computer(place: Place, folder: Path) -> dict[str, Any]:
    (folder / "echo").mkdir()
    for name in NAMES:
        (folder / "echo" / name).write_bytes(picture() + name.encode())
    return {"local_folder": str(folder), "destination": f"s3://{place.images}/{FOLDER}", "automatic_labeling": True}


def ground_truth(place: Place, _: Path) -> dict[str, Any]:
    body = b"".join(
        line(place.images, f"{FOLDER}echo/{name}", species=0, species_metadata=metadata("echo")) for name in NAMES
    )
    place.s3.put_object(Bucket=place.images, Key="output.manifest", Body=body)
    return {"manifest": f"s3://{place.images}/output.manifest"}


def existing_dataset(place: Place, _: Path) -> dict[str, Any]:
    project = f"{place.project}-source"
    lines: list[Mapping[str, Any]] = [image_level(f"s3://{place.images}/{FOLDER}echo/{name}", "echo") for name in NAMES]
    make_dataset(place, project, "train", lines)
    return {"source_dataset": f"{project}/train"}


SOURCES = {
    "s3_folder": lambda place, folder: {},
    "local_computer": local_computer,
    "ground_truth": ground_truth,
    "existing_dataset": existing_dataset,
}


@pytest.mark.parametrize("source", SOURCES)
def test_importing_the_same_thing_twice_changes_nothing(
    imports: Imports, people: People, tmp_path: Path, source: str
) -> None:
    if source != "local_computer":
        people.put(*(f"echo/{name}" for name in NAMES))
    conf = SOURCES[source](people.place, tmp_path)
    first = imports.run(source, **conf)
    assert (first.action, len(people.said())) == ("create", len(NAMES))
    before = people.place.wait_until_ready(str(people.place.dataset_arn()))
    again = imports.run(source, **conf)
    assert (again.action, again.changed) == ("unchanged", False)
    assert people.place.wait_until_ready(str(people.place.dataset_arn())) == before
    assert again.plan.origin == first.plan.origin


def test_a_folder_is_the_same_with_and_without_its_slash(registered: Imports, people: People) -> None:
    folder = f"s3://{people.place.images}/{FOLDER}".rstrip("/")
    people.delete("dot/0.png")
    removed = registered.run(s3_folder=folder, max_removed_percent=100)
    assert removed.merged.removed.count == 1
    assert registered.run(s3_folder=f"{folder}/").action == "unchanged"


def test_an_image_that_annotations_name_and_nobody_finds_is_removed(imports: Imports, people: People) -> None:
    people.put(*(f"echo/{name}" for name in (*NAMES, "gone.png")))
    names = [f"{FOLDER}echo/{name}" for name in (*NAMES, "gone.png")]
    body = b"".join(line(people.place.images, name, species=0, species_metadata=metadata("echo")) for name in names)
    people.place.s3.put_object(Bucket=people.place.images, Key="output.manifest", Body=body)
    manifest = f"s3://{people.place.images}/output.manifest"
    imports.run("ground_truth", manifest=manifest)
    people.delete("echo/gone.png")
    done = imports.run("ground_truth", manifest=manifest, max_removed_percent=100)
    assert (done.action, people.said().keys()) == ("replace", {f"echo/{name}" for name in NAMES})
