"""A dataset that is deleted and created again: its entries are named until a run has verified what took their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from include.object_store.registration_journal import Journal
from tests.fixtures.existing_datasets import boxed, image_level
from tests.refreshes.imports import (
    FOLDER,
    DeathError,
    Import,
    Imports,
    before_a_write,
    die,
    refused,
    right_after,
    right_before,
)
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

IMAGE = "echo/0.png"


@pytest.fixture
def losing(registered: Imports, people: People) -> Imports:
    """Work on an image that stays and on one that goes, of the half of the images that are gone."""
    people.draw(IMAGE, "echo", left=7)
    people.draw("dot/0.png", "dot", left=9)
    people.delete("dot/0.png", "dot/1.png", "dot/2.png")
    return registered


def test_a_dataset_that_somebody_else_made_meanwhile_is_not_taken_for_ours(losing: Imports, people: People) -> None:
    def somebody() -> None:
        people.create_dataset(image_level(people.ref("echo/1.png"), "theirs"))

    run = losing.begin().plan_it()
    with before_a_write(somebody, "create"), refused("DATASET_TAKEN") as caught:
        run.register()
    assert people.said() == {"echo/1.png": {"theirs"}}
    replacement = run.end("failed").journal.replacement
    assert replacement is not None
    assert str(run.run.dataset.registration) in caught.value.next_step
    assert replacement.count == 8
    done = losing.run()
    assert people.boxes(IMAGE) == [7]
    assert people.said()["echo/1.png"] == {"theirs"}
    assert len(people.said()) == 5
    assert done.rows[f"{FOLDER}dot/0.png"].entry
    assert done.journal == Journal()


def test_an_empty_dataset_that_somebody_made_meanwhile_is_not_taken_for_ours(losing: Imports, people: People) -> None:
    def somebody() -> None:
        (project,) = people.place.rekognition.describe_projects(ProjectNames=[people.place.project])[
            "ProjectDescriptions"
        ]
        people.place.rekognition.create_dataset(ProjectArn=project["ProjectArn"], DatasetType="TRAIN")

    run = losing.begin().plan_it()
    with before_a_write(somebody, "create"), refused("DATASET_TAKEN"):
        run.register()
    run.end("failed")
    losing.run()
    assert people.boxes(IMAGE) == [7]
    assert len(people.said()) == 5


def test_a_replacement_that_cannot_be_created_leaves_what_is_left_and_keeps_the_rest_aside(
    losing: Imports, people: People
) -> None:
    people.place.aws.faults("CreateDataset", "fail", message="Too many labels.", code="CLIENT_ERROR")
    run = losing.begin().plan_it()
    with refused("REPLACEMENT_FAILED"):
        run.register()
    assert people.boxes(IMAGE) == [7]
    assert len(people.said()) == 5
    replacement = run.end("failed").journal.replacement
    assert replacement is not None
    exported = [json.loads(line) for line in people.place.read(replacement.entries).splitlines()]
    assert boxed(people.ref("dot/0.png"), "dot", left=9)["bounding-box"] in [
        entry.get("bounding-box") for entry in exported
    ]
    done = losing.run()
    assert people.boxes(IMAGE) == [7]
    assert b'"left":9' in (done.rows[f"{FOLDER}dot/0.png"].entry or b"")
    assert done.journal == Journal()


@pytest.mark.parametrize(
    ("message", "code", "remedy"),
    [
        ("Too many labels.", "CLIENT_ERROR", "Correct the manifest as the explanation says."),
        ("The manifest file has too many labels.", "CLIENT_ERROR", "Use at most 250 different labels."),
        ("Try again.", "SERVICE_ERROR", "Try again later"),
    ],
)
def test_after_a_restoration_the_error_says_what_there_is_and_what_to_do_about_the_cause(
    losing: Imports, people: People, message: str, code: str, remedy: str
) -> None:
    people.place.aws.faults("CreateDataset", "fail", message=message, code=code)
    with refused("REPLACEMENT_FAILED") as caught:
        losing.run()
    assert message.rstrip(".") in caught.value.message
    assert f"restored as {people.place.dataset_arn()}, which has 5 of its 8 entries" in caught.value.message
    assert caught.value.next_step.startswith(remedy)
    assert "Delete" not in str(caught.value)


def test_where_nothing_is_left_to_restore_the_error_says_so(losing: Imports, people: People) -> None:
    """All images are gone, and others have come."""
    people.delete(*people.said())
    people.put("echo/new.png", "dot/new.png")
    people.place.aws.faults("CreateDataset", "fail", message="Too many labels.", code="CLIENT_ERROR")
    run = losing.begin().plan_it()
    with refused("REPLACEMENT_FAILED") as caught:
        run.register()
    assert people.place.dataset_arn() is None
    replacement = run.end("failed").journal.replacement
    assert replacement is not None
    assert f"It was deleted, and none of its images is left; all of its entries are in {replacement.entries}" in (
        caught.value.message
    )
    done = losing.run()
    assert len(people.said()) == 2
    assert b'"left":7' in (done.rows[f"{FOLDER}{IMAGE}"].entry or b"")


def test_a_replacement_that_can_neither_be_created_nor_undone_is_made_good_by_the_next_run(
    losing: Imports, people: People
) -> None:
    people.place.aws.faults("CreateDataset", "fail", calls=2, message="Too many labels.", code="CLIENT_ERROR")
    run = losing.begin().plan_it()
    with refused("RESTORE_FAILED") as caught:
        run.register()
    assert "Delete" not in str(caught.value)
    run.end("failed")
    done = losing.run()
    assert people.boxes(IMAGE) == [7]
    assert len(people.said()) == 5
    assert b'"left":9' in (done.rows[f"{FOLDER}dot/0.png"].entry or b"")


def test_unchanged_is_never_said_over_a_dataset_that_lost_its_entries(losing: Imports, people: People) -> None:
    done = losing.run()
    people.delete_dataset()
    (project,) = people.place.rekognition.describe_projects(ProjectNames=[people.place.project])["ProjectDescriptions"]
    people.place.rekognition.create_dataset(ProjectArn=project["ProjectArn"], DatasetType="TRAIN")
    again = losing.run()
    assert again.action == "update"
    assert len(people.said()) == len(done.rows) - 3
    assert people.boxes(IMAGE) == [7]


def test_a_dataset_that_vanishes_during_an_update_is_not_a_success(registered: Imports, people: People) -> None:
    people.draw(IMAGE, "echo", left=7)
    run = registered.begin(label_aliases={"dot": "Dot"}).plan_it()
    with before_a_write(people.delete_dataset), refused("DATASET_VANISHED"):
        run.register()
    run.end("failed")
    people.put("echo/new.png")
    registered.run()
    assert len(people.said()) == 9


def test_a_dataset_of_a_part_of_our_lines_is_not_taken_for_ours(registered: Imports, people: People) -> None:
    people.draw("dot/1.png", "dot", left=7)
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    theirs = [image_level(people.ref(name), name.partition("/")[0]) for name in ("echo/0.png", "dot/2.png")]
    with before_a_write(lambda: people.create_dataset(*theirs), "create"), refused("DATASET_TAKEN"):
        run.register()
    assert run.journal.replacement
    run.end("failed")
    registered.run()
    assert people.boxes("dot/1.png") == [7]


def test_a_dataset_of_most_of_our_lines_is_not_taken_for_ours(registered: Imports, people: People) -> None:
    """All but the one that a person has drawn a box in."""
    people.draw("dot/1.png", "dot", left=7)
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    names = [*(f"echo/{number}.png" for number in range(4)), "dot/2.png", "dot/3.png"]
    theirs = [image_level(people.ref(name), name.partition("/")[0]) for name in names]
    with before_a_write(lambda: people.create_dataset(*theirs), "create"), refused("DATASET_TAKEN"):
        run.register()
    run.end("failed")
    done = registered.run()
    assert people.boxes("dot/1.png") == [7]
    assert (len(people.said()), done.journal) == (7, Journal())


def test_a_dataset_of_our_images_that_somebody_labelled_is_not_taken_for_ours(
    registered: Imports, people: People
) -> None:
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    names = [*(f"echo/{number}.png" for number in range(4)), *(f"dot/{number}.png" for number in range(1, 4))]
    theirs = [image_level(people.ref(name), name.partition("/")[0]) for name in names[:-1]]

    def somebody() -> None:
        people.create_dataset(*theirs, image_level(people.ref(names[-1]), "theirs"))

    with before_a_write(somebody, "create"), refused("DATASET_TAKEN") as caught:
        run.register()
    assert "Run again, which loses nothing in either case" in caught.value.next_step
    run.end("failed")
    registered.run()
    assert people.said()[names[-1]] == {"theirs"}


@contextmanager
def creation_not_noted(run: Import, people: People) -> Iterator[None]:
    """The worker dies right after the dataset was asked for; the block runs before the next try."""
    with right_after(run.run.rekognition.conn, "CreateDataset", die), pytest.raises(DeathError):
        run.register()
    assert people.place.wait_until_ready(str(people.place.dataset_arn()))["Status"] == "CREATE_COMPLETE"
    yield
    run.finish()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_an_edit_of_a_dataset_whose_creation_was_not_noted_is_kept(
    registered: Imports, people: People, is_replaced: bool
) -> None:
    people.draw(IMAGE, "echo", left=7)
    if is_replaced:
        people.delete("dot/0.png")
    else:
        registered.run()
        people.delete_dataset()
    run = registered.begin().plan_it()
    with creation_not_noted(run, people):
        people.label("echo/1.png", "speaker")
        people.put("added.png")
        people.send(image_level(people.ref("added.png"), "a person's"))
    assert run.action == ("replace" if is_replaced else "create")
    assert run.reasons[f"{FOLDER}echo/1.png"] == "registered KEPT_DATASET_ENTRY"
    assert run.journal == Journal()
    again = registered.run()
    assert people.boxes(IMAGE) == [7]
    assert people.said()["echo/1.png"] == {"speaker"}
    assert people.said()["added.png"] == {"a person's"}
    assert again.reasons[f"{FOLDER}echo/1.png"] == "registered KEPT_DATASET_ENTRY"


@pytest.mark.parametrize(
    "edit",
    [
        lambda people: people.draw(IMAGE, "echo", left=8),
        lambda people: people.send(*(image_level(people.ref(name), "speaker") for name in people.said())),
    ],
    ids=["of earlier work", "of everything"],
)
def test_a_dataset_that_cannot_be_told_from_somebody_elses_is_merged_by_the_next_run(
    registered: Imports, people: People, edit: Callable[[People], None]
) -> None:
    people.draw(IMAGE, "echo", left=7)
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    with refused("DATASET_TAKEN") as caught, creation_not_noted(run, people):
        edit(people)
        said = people.entries()
    assert "somebody else has created it, or this run has" in caught.value.message
    assert str(run.run.dataset.registration) in caught.value.next_step
    replacement = run.end("failed").journal.replacement
    assert replacement is not None
    assert b'"left":7' in people.place.read(replacement.entries)
    done = registered.run()
    assert people.entries() == said
    assert done.journal == Journal()


def test_a_restored_dataset_whose_creation_was_not_noted_is_ours(losing: Imports, people: People) -> None:
    people.place.aws.faults("CreateDataset", "fail", message="Too many labels.", code="CLIENT_ERROR")
    run = losing.begin().plan_it()
    with ExitStack() as stack:
        creation = right_after(run.run.rekognition.conn, "CreateDataset", die)
        # The dataset that failed is deleted before.
        stack.enter_context(before_a_write(lambda: stack.enter_context(creation), "restore", skip=1))
        stack.enter_context(pytest.raises(DeathError))
        run.register()
    people.place.wait_until_ready(str(people.place.dataset_arn()))
    with refused("REPLACEMENT_FAILED") as caught:
        run.register()
    assert f"restored as {people.place.dataset_arn()}" in caught.value.message


def test_entries_that_the_service_has_dropped_are_sent_again(imports: Imports, people: People) -> None:
    people.put("echo/0.png", "echo/1.png", "dot/0.png")
    run = imports.begin().plan_it()

    def drop_one() -> None:
        bucket, _, key = run.plan.manifest.removeprefix("s3://").partition("/")
        lines = people.place.read(run.plan.manifest).splitlines(keepends=True)
        people.place.s3.put_object(Bucket=bucket, Key=key, Body=b"".join(lines[:-1]))

    with right_before(run.run.rekognition.conn, "CreateDataset", drop_one), refused("IMAGES_DROPPED"):
        run.finish()
    run.end("failed")
    assert len(people.said()) == 2
    again = imports.run()
    assert (again.action, again.states, len(people.said())) == ("update", {"registered": 3}, 3)


@pytest.fixture
def dead(registered: Imports, people: People) -> tuple[Imports, bytes]:
    """Another import's dataset, whose replacement died right after its creation; and the bytes of an image with a box
    that is gone everywhere, and that only the export knows of."""
    people.place.put("birds/kite/1.png", "birds/kite/2.png")
    people.draw("dot/0.png", "dot", left=9)
    body = people.body("dot/0.png")
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    with right_after(run.run.rekognition.conn, "CreateDataset", die), pytest.raises(DeathError):
        run.register()
    run.end("failed")
    people.place.wait_until_ready(str(people.place.dataset_arn()))
    return registered, body


def birds(people: People) -> dict[str, str]:
    return {"s3_folder": f"s3://{people.place.images}/birds"}


def left_boxes(done: Import, people: People) -> bytes:
    """The entries that the journal goes on naming after another import's run."""
    replacement = done.journal.replacement
    assert replacement is not None
    assert replacement.is_remainder
    return people.place.read(replacement.entries)


def test_another_import_leaves_what_lost_its_image_in_the_export(dead: tuple[Imports, bytes], people: People) -> None:
    imports, _ = dead
    other = imports.run(**birds(people))
    assert (other.action, other.merged.totals) == ("update", {"left": 1, "new": 2, "other": 7})
    assert b'"left":9' in left_boxes(other, people)
    # It has nothing to close, and does not look at the dataset again.
    again = imports.run(**birds(people))
    assert (again.action, again.merged, again.journal) == ("unchanged", None, other.journal)
    done = imports.run()
    assert b'"left":9' in (done.rows[f"{FOLDER}dot/0.png"].entry or b"")
    assert done.reasons[f"{FOLDER}dot/0.png"] == "removed REMOVED_AT_SOURCE"
    assert (done.journal, len(people.said())) == (Journal(), 9)


def test_what_another_import_left_comes_back_with_its_image(dead: tuple[Imports, bytes], people: People) -> None:
    imports, body = dead
    imports.run(**birds(people))
    people.put_body("dot/0.png", body)
    done = imports.run()
    assert (people.boxes("dot/0.png"), done.journal) == ([9], Journal())


def test_another_import_creates_the_dataset_without_what_lost_its_image(losing: Imports, people: People) -> None:
    """And if its own replacement cannot be created, that is undone without it, too."""
    people.place.put("birds/kite/1.png", "birds/kite/2.png")
    run = losing.begin().plan_it()
    with before_a_write(die, "create"), pytest.raises(DeathError):
        run.register()
    run.end("failed")
    other = losing.run(**birds(people))
    assert (other.action, other.merged.totals) == ("create", {"left": 3, "new": 2, "other": 5})
    assert people.boxes(IMAGE) == [7]
    people.place.s3.delete_object(Bucket=people.place.images, Key="birds/kite/1.png")
    people.place.aws.faults("CreateDataset", "fail", message="Too many labels.", code="CLIENT_ERROR")
    failed = losing.begin(**birds(people)).plan_it()
    with refused("REPLACEMENT_FAILED"):
        failed.register()
    failed.end("failed")
    assert len(people.said()) == 6
    other = losing.run(max_removed_percent=100, **birds(people))
    assert b'"left":9' in left_boxes(other, people)
    done = losing.run()
    assert b'"left":9' in (done.rows[f"{FOLDER}dot/0.png"].entry or b"")
    assert (people.boxes(IMAGE), done.journal) == ([7], Journal())
