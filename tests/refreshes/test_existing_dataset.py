"""Copies of another dataset: what people do to the copies stays, and what is gone at the source goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.existing_datasets import boxed, image_level, make_dataset
from tests.fixtures.places import Place, picture
from tests.refreshes.imports import FOLDER, Import, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


NAMES = tuple("abcdef")


class Source:
    """A dataset of labelled images, and copies of it, whose images people see in their folder."""

    def __init__(self, place: Place, imports: Imports) -> None:
        self.place = place
        self.project = f"{place.project}-source"
        self._imports = imports
        self.bucket = f"{place.images}-source"
        place.aws.create_buckets(self.bucket)
        for name in NAMES:
            self.put(name)
        self.make(*NAMES)

    def ref(self, name: str) -> str:
        return f"s3://{self.bucket}/{name}.png"

    def put(self, name: str, size: tuple[int, int] = (64, 64)) -> None:
        self.place.s3.put_object(Bucket=self.bucket, Key=f"{name}.png", Body=picture(size=size) + name.encode())

    def move(self, old: str, new: str) -> None:
        source = {"Bucket": self.bucket, "Key": f"{old}.png"}
        self.place.s3.copy_object(Bucket=self.bucket, Key=f"{new}.png", CopySource=source)
        self.place.s3.delete_object(**source)

    def make(self, *names: str) -> None:
        """Make the dataset of these images, in place of the one that is there."""
        lines: list[Mapping[str, Any]] = [image_level(self.ref(name), "echo") for name in names]
        (found,) = self.place.rekognition.describe_projects(ProjectNames=[self.project])["ProjectDescriptions"] or [{}]
        for dataset in found.get("Datasets", ()):
            self.place.rekognition.delete_dataset(DatasetArn=dataset["DatasetArn"])
            while self._exists(dataset["DatasetArn"]):
                pass
        self.arn = make_dataset(self.place, self.project, "train", lines)

    def _exists(self, arn: str) -> bool:
        (found,) = self.place.rekognition.describe_projects(ProjectNames=[self.project])["ProjectDescriptions"]
        return any(dataset["DatasetArn"] == arn for dataset in found["Datasets"])

    def copy(self, name: str = "", **conf: Any) -> Import:
        defaults = {"source_dataset": name or f"{self.project}/train", "max_removed_percent": 100}
        return self._imports.run("existing_dataset", **defaults | conf)

    def copy_images(self, **conf: Any) -> Import:
        """A copy with images of its own, in the people's folder."""
        return self.copy(image_destination=f"s3://{self.place.images}/{FOLDER}", **conf)

    def name(self, name: str) -> str:
        """How people call a copied image."""
        return f"{self.bucket}/{name}.png"


@pytest.fixture
def source(place: Place, imports: Imports) -> Source:
    return Source(place, imports)


def test_a_source_in_two_notations_is_one_source(source: Source, people: People) -> None:
    source.copy()
    source.make(*NAMES[:5])
    by_arn = source.copy(source.arn)
    assert (by_arn.action, by_arn.merged.removed.count) == ("replace", 1)
    source.make(*NAMES[:4])
    by_project = source.copy(source.project)
    assert (by_project.action, by_project.merged.removed.count) == ("replace", 1)
    assert len(people.entries()) == 4


def test_a_removal_is_applied_after_another_import_in_between(source: Source, people: People) -> None:
    source.copy()
    source.place.s3.put_object(Bucket=source.bucket, Key="more/dot/1.png", Body=picture())
    source._imports.run(s3_folder=f"s3://{source.bucket}/more")
    source.make(*NAMES[:5])
    done = source.copy()
    assert done.merged.removed.count == 1
    assert done.merged.totals["other"] == 1
    assert len(people.entries()) == 6


def test_a_copy_whose_image_was_overwritten_at_the_source_stays_with_its_box(source: Source, people: People) -> None:
    source.copy_images()
    people.draw(source.name("b"), "echo", left=7)
    source.put("b")
    done = source.copy_images(approval="never")
    assert people.boxes(source.name("b")) == [7]
    assert done.action == "unchanged"
    row = done.rows[FOLDER + source.name("b")]
    assert (row.state, row.reason) == ("quarantined", "COPY_CONFLICT")
    assert "REMOVED" not in row.detail


def test_an_image_that_is_renamed_at_the_source_keeps_the_box_of_its_copy(source: Source, people: People) -> None:
    source.copy_images()
    people.draw(source.name("b"), "echo", left=7)
    source.move("b", "renamed")
    source.make("a", "renamed", *NAMES[2:])
    done = source.copy_images(approval="never")
    assert people.boxes(source.name("renamed")) == [7]
    assert (done.merged.moved, done.merged.removed.count) == (1, 0)
    assert len(people.entries()) == 6


def test_an_image_that_is_missing_at_the_source_is_removed_and_its_box_kept_aside(
    source: Source, people: People
) -> None:
    source.copy_images()
    people.draw(source.name("b"), "echo", left=7)
    source.place.s3.delete_object(Bucket=source.bucket, Key="b.png")
    done = source.copy_images()
    assert done.risks[Risk.WORK_REMOVED] == 1
    row = done.rows[FOLDER + source.name("b")]
    assert row.reason == "IMAGE_NOT_FOUND"
    assert "removed from the dataset" in row.detail
    assert json.loads(row.entry or b"")["bounding-box"]["annotations"][0]["left"] == 7


def test_what_people_drew_at_the_source_arrives_where_nobody_has_worked_on_the_copy(
    source: Source, people: People
) -> None:
    source.copy_images()
    people.label(source.name("a"), "speaker")
    line = json.dumps(boxed(source.ref("b"), "echo", left=9))
    source.place.rekognition.update_dataset_entries(DatasetArn=source.arn, Changes={"GroundTruth": line.encode()})
    source.place.wait_until_ready(source.arn)
    source.copy_images()
    assert people.boxes(source.name("b")) == [9]
    assert people.said()[source.name("a")] == {"speaker"}
