"""Manifests of labeling jobs: people's work stays, and only images that the manifest lost are removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.annotation_samples import line, metadata
from tests.fixtures.places import Place
from tests.refreshes.imports import FOLDER, Import, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

NAMES = tuple(f"{number}.png" for number in range(6))


class Job:
    """A labeling job's manifest of images in people's folder, which gets lost or labelled otherwise."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    @property
    def _place(self) -> Place:
        return self._imports.place

    def write(self, labels: Mapping[str, str], *more: bytes) -> None:
        lines = [
            line(self._place.images, FOLDER + name, species=0, species_metadata=metadata(label))
            for name, label in labels.items()
        ]
        self._place.s3.put_object(Bucket=self._place.images, Key="output.manifest", Body=b"".join([*lines, *more]))

    def run(self, **conf: Any) -> Import:
        return self._imports.run("ground_truth", manifest=f"s3://{self._place.images}/output.manifest", **conf)


@pytest.fixture
def job(imports: Imports, people: People) -> Job:
    people.put(*NAMES)
    made = Job(imports)
    made.write(dict.fromkeys(NAMES, "echo"))
    made.run()
    return made


def test_a_job_that_labels_otherwise_leaves_a_persons_labels(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    job.write(dict.fromkeys(NAMES, "dot"))
    done = job.run()
    assert people.said() == {name: {"dot"} for name in NAMES} | {"0.png": {"speaker"}}
    assert done.merged.totals == {"changed": 5, "kept": 1}


def test_an_image_that_the_manifest_names_twice_stays(job: Job, people: People) -> None:
    """Only one of its lines is imported, and it is neither withheld nor removed."""
    people.draw("1.png", "speaker", left=7)
    again = line(people.place.images, f"{FOLDER}0.png", species=0, species_metadata=metadata("dot"))
    job.write(dict.fromkeys(NAMES, "echo"), again)
    done = job.run()
    assert done.action == "unchanged"
    assert people.said() == {name: {"echo"} for name in NAMES} | {"1.png": {"speaker"}}


def test_an_image_that_a_new_manifest_names_twice_is_imported_once(imports: Imports, people: People) -> None:
    people.put(*NAMES)
    job = Job(imports)
    again = line(people.place.images, f"{FOLDER}0.png", species=0, species_metadata=metadata("dot"))
    job.write(dict.fromkeys(NAMES, "echo"), again)
    job.run()
    assert people.said() == {name: {"echo"} for name in NAMES}


def test_an_image_that_the_manifest_lost_is_removed_and_its_work_is_a_risk(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    job.write(dict.fromkeys(NAMES[1:], "echo"))
    done = job.run()
    assert done.risks == {Risk.REMOVED_SHARE: 1, Risk.WORK_REMOVED: 1, Risk.VANISHED_LABELS: 1}
    assert "0.png" not in people.said()
    job.write(dict.fromkeys(NAMES, "echo"))
    job.run()
    assert people.boxes("0.png") == [7]


def test_an_image_whose_line_became_unusable_stays_as_it_is(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    unusable = line(people.place.images, f"{FOLDER}0.png", species="zero", species_metadata={"type": "unknown"})
    job.write(dict.fromkeys(NAMES[1:], "echo"), unusable)
    done = job.run(approval="never")
    assert done.action == "unchanged"
    assert people.boxes("0.png") == [7]
