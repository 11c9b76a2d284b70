"""A manifest whose images move to another bucket: every image moves, and people's work with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from include.custom_labels.reasons import Reason
from include.custom_labels.risks import Risk
from tests.fixtures.annotation_samples import line, metadata
from tests.refreshes.imports import (
    FOLDER,
    DeathError,
    Import,
    Imports,
    die,
    refused,
    right_after,
)
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

NAMES = tuple(f"{number}.png" for number in range(6))


class Job:
    """A labeling job's manifest of the images in people's folder, which move to another bucket."""

    def __init__(self, imports: Imports, people: People) -> None:
        self._imports = imports
        self._people = people
        self._place = people.place
        self.other = f"{self._place.images}-other"
        self._place.aws.create_buckets(self.other)
        self.conf = {"manifest": f"s3://{self._place.images}/output.manifest"}

    def write(self, bucket: str, names: Iterable[str] = NAMES) -> None:
        lines = [
            line(bucket, FOLDER + name, species=number % 2, species_metadata=metadata(("echo", "dot")[number % 2]))
            for number, name in enumerate(names)
        ]
        self._place.s3.put_object(Bucket=self._place.images, Key="output.manifest", Body=b"".join(lines))

    def move(self, names: Iterable[str] = NAMES, *, prefix: str = "", is_written_again: bool = False) -> None:
        """Copy images to the other bucket, and name them there."""
        for name in names:
            body = self._people.body(name) + (b"written again" if is_written_again else b"")
            self._place.s3.put_object(Bucket=self.other, Key=FOLDER + prefix + name, Body=body)
        self.write(self.other, [prefix + name for name in names])

    def run(self, **conf: Any) -> Import:
        return self._imports.run("ground_truth", **self.conf, **conf)

    def split(self, **conf: Any) -> dict[str, Import]:
        return self._imports.split("ground_truth", **self.conf, **conf)

    def said(self, dataset_type: str = "train") -> dict[str, set[str]]:
        """The labels of each entry, by its image's name in the other bucket."""
        head = f"s3://{self.other}/{FOLDER}"
        return {ref.removeprefix(head): labels for ref, labels in self._people.said(dataset_type).items()}

    def boxes(self, name: str) -> list[int]:
        return self._people.boxes(f"s3://{self.other}/{FOLDER}{name}")


@pytest.fixture
def unregistered(imports: Imports, people: People) -> Job:
    people.put(*NAMES)
    job = Job(imports, people)
    job.write(people.place.images)
    return job


@pytest.fixture
def job(unregistered: Job) -> Job:
    unregistered.run()
    return unregistered


@pytest.mark.parametrize(
    ("case", "risks"),
    [("same keys", {}), ("other keys", {}), ("written again", {Risk.BOXES_ON_NEW_CONTENT: 1})],
)
def test_work_moves_to_another_bucket_with_its_images(
    job: Job, people: People, case: str, risks: dict[Risk, int]
) -> None:
    people.draw("0.png", "speaker", left=7)
    prefix = "deeper/" if case == "other keys" else ""
    job.move(prefix=prefix, is_written_again=case == "written again")
    done = job.run()
    assert (done.action, done.states, done.merged.moved) == ("replace", {"registered": 6}, 6)
    assert done.risks == risks
    assert job.said().keys() == {prefix + name for name in NAMES}
    assert job.boxes(f"{prefix}0.png") == [7]
    assert done.rows[f"{FOLDER}{prefix}0.png"].reason is Reason.KEPT_DATASET_ENTRY
    again = job.run()
    assert (again.action, again.states) == ("unchanged", {"registered": 6})


def test_images_that_change_their_names_with_the_bucket_are_known_by_their_content(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    people.move({"0.png": "swap.png", "1.png": "0.png"})
    people.move({"swap.png": "1.png"})
    job.move()
    done = job.run()
    assert (job.boxes("1.png"), job.boxes("0.png")) == ([7], [])
    assert Risk.BOXES_ON_NEW_CONTENT not in done.risks


def test_a_run_that_holds_entries_does_not_move_a_dataset_to_another_bucket(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    before = people.entries()
    job.move()
    with refused("ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS") as caught:
        job.run(removals="hold")
    assert "Set `removals` to `replace`" in caught.value.next_step
    assert people.entries() == before
    assert job.run().action == "replace"


def test_an_image_that_does_not_move_along_is_removed_and_its_work_comes_back_with_it(job: Job, people: People) -> None:
    people.draw("0.png", "speaker", left=7)
    job.move(NAMES[1:])
    done = job.run()
    assert done.risks.keys() == {Risk.REMOVED_SHARE, Risk.WORK_REMOVED, Risk.VANISHED_LABELS}
    # Its key alone would be one of the bucket that the others are in.
    assert done.reasons[people.ref("0.png")] == "removed REMOVED_AT_SOURCE"
    assert done.states == {"registered": 5, "removed": 1}
    job.move(NAMES[1:4])
    later = job.run()
    assert later.reasons[people.ref("0.png")] == "aside WORK_KEPT_ASIDE"
    assert later.reasons[f"{FOLDER}5.png"] == "removed REMOVED_AT_SOURCE"
    job.move()
    back = job.run()
    assert back.states == {"registered": 6}
    assert job.boxes("0.png") == [7]


def test_an_image_that_the_other_bucket_has_damaged_keeps_the_dataset_where_it_is(job: Job, people: People) -> None:
    """Its entry stays, since the image is not gone, and a dataset's images lie in one bucket."""
    people.draw("0.png", "speaker", left=7)
    before = people.entries()
    job.move()
    people.place.s3.put_object(Bucket=job.other, Key=f"{FOLDER}0.png", Body=b"no picture")
    with refused("ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS") as caught:
        job.run()
    assert "at fault" in caught.value.next_step
    assert people.entries() == before
    job.move()
    job.run()
    assert job.boxes("0.png") == [7]


def test_entries_of_another_import_keep_the_dataset_in_their_bucket(job: Job, imports: Imports, people: People) -> None:
    people.place.put("birds/kite/1.png")
    imports.run(s3_folder=f"s3://{people.place.images}/birds")
    before = people.entries()
    job.move()
    with refused("ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS"):
        job.run()
    assert people.entries() == before


def test_a_dataset_stays_in_its_bucket_when_an_import_of_another_one_begins(
    job: Job, imports: Imports, people: People
) -> None:
    before = people.entries()
    people.place.s3.put_object(Bucket=job.other, Key="birds/kite/1.png", Body=people.body("0.png"))
    with refused("ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS"):
        imports.run(s3_folder=f"s3://{job.other}/birds")
    assert people.entries() == before


def test_two_works_on_one_image_are_kept_where_a_worker_dies_on_the_way_to_another_bucket(
    job: Job, imports: Imports, people: People
) -> None:
    people.draw("0.png", "speaker", left=7)
    job.move()
    run = imports.begin("ground_truth", **job.conf).plan_it()
    with right_after(run.run.rekognition.conn, "CreateDataset", die), pytest.raises(DeathError):
        run.register()
    run.end("failed")
    people.place.wait_until_ready(str(people.place.dataset_arn()))
    people.send(
        {**people.entries()[f"s3://{job.other}/{FOLDER}1.png"], "source-ref": f"s3://{job.other}/{FOLDER}0.png"}
    )
    done = job.run()
    assert job.said()["0.png"] == {"dot"}
    assert done.states == {"registered": 6, "removed": 1}
    assert b'"left":7' in (done.rows[people.ref("0.png")].entry or b"")


@pytest.mark.parametrize("distribution", ["content", "rekognition"])
@pytest.mark.parametrize("is_written_again", [False, True])
def test_images_of_a_split_stay_on_their_sides_in_another_bucket(
    unregistered: Job, people: People, distribution: str, is_written_again: bool
) -> None:
    job = unregistered
    job.split(distribution=distribution)
    # What Rekognition has moved to the test dataset is this import's there from the next run on.
    job.split(distribution=distribution)
    train, test = people.said(), people.said("test")
    assert test
    for name in NAMES:
        people.label(name, f"a person's {name}", dataset_type="test" if name in test else "train")
    job.move(is_written_again=is_written_again)
    done = job.split(distribution=distribution)
    assert (job.said().keys(), job.said("test").keys()) == (train.keys(), test.keys())
    assert job.said() | job.said("test") == {name: {f"a person's {name}"} for name in NAMES}
    assert [each.merged.removed.count for each in done.values()] == [0, 0]
