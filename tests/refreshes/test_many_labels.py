"""Datasets with nearly as many labels as they may have: what people added counts, and so does every moment between."""

from __future__ import annotations

from functools import partial

import pytest

from include.custom_labels.quotas import MAX_LABELS
from include.custom_labels.update_batches import plan_batches
from include.pipelines import registration
from tests.refreshes.imports import FOLDER, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def test_140_labels_are_renamed_in_two_batches(
    imports: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"label-{number:03}" for number in range(140)]
    people.place.put(*(f"{FOLDER}{label}/{name}.png" for label in labels for name in "ab"))
    imports.run()
    monkeypatch.setattr(registration, "plan_batches", partial(plan_batches, max_batch_bytes=50_000))
    done = imports.run(label_aliases={label: f"new {label}" for label in labels})
    assert done.action == "update"
    assert len(done.reconciled["plan"]["batch_ends"]) >= 2
    assert done.merged.labels == {f"new {label}": 2 for label in labels}
    assert people.said()["label-000/a.png"] == {"new label-000"}


def test_a_label_too_many_is_refused_before_the_first_write_and_a_persons_is_named(
    imports: Imports, people: People
) -> None:
    """The source has 249 labels, a person has added one, and the source gets its 250th."""
    people.place.put(*(f"{FOLDER}{number:03}/a.png" for number in range(MAX_LABELS.value - 1)), f"{FOLDER}000/b.png")
    imports.run()
    people.label("000/b.png", "of a person")
    people.put("000/new.png")
    assert len(imports.run().merged.labels) == MAX_LABELS.value
    before = people.place.wait_until_ready(str(people.place.dataset_arn()))
    people.put("new/a.png")
    for _ in ("update", "replace"):
        with refused("ERROR_MANIFEST_TOO_MANY_LABELS") as caught:
            imports.run()
        assert caught.value.details["labels"] == MAX_LABELS.value + 1
        assert "of a person" in str(caught.value)
        assert people.place.wait_until_ready(str(people.place.dataset_arn())) == before
        people.delete("000/new.png")


def fill(imports: Imports, people: People, persons: str = "") -> None:
    """Make a dataset of 250 labels, whose source has then lost an image `old` and has got an image `new`.

    :param persons: a label that a person has added
    """
    labels = [f"{number:03}" for number in range(MAX_LABELS.value - (2 if persons else 1))]
    people.put(*(f"{label}/{name}.png" for label in labels for name in "ab"), "old/a.png")
    imports.run()
    if persons:
        people.label("000/a.png", persons)
    people.delete("old/a.png")
    people.put("new/a.png")


def test_a_label_too_many_of_images_that_are_held_is_refused_and_a_replacement_is_named(
    imports: Imports, people: People
) -> None:
    fill(imports, people)
    before = people.said()
    with refused("ERROR_MANIFEST_TOO_MANY_LABELS") as caught:
        imports.run(removals="hold")
    assert people.said() == before
    assert caught.value.message.endswith("1 of them is only on images that `removals: hold` keeps in the dataset: old.")
    assert caught.value.next_step == (
        "Let the run replace the dataset with `removals: replace`, which removes these images."
    )
    assert imports.run().action == "replace"
    del before["old/a.png"]
    assert people.said() == before | {"new/a.png": {"new"}}


def test_where_a_person_has_added_a_label_too_both_ways_out_are_named(imports: Imports, people: People) -> None:
    fill(imports, people, persons="of a person")
    with refused("ERROR_MANIFEST_TOO_MANY_LABELS") as caught:
        imports.run(removals="hold")
    assert "keeps in the dataset: old." in caught.value.message
    assert "from people or other imports: of a person." in caught.value.message
    assert "`removals: replace`" in caught.value.next_step
    assert "in the gallery" in caught.value.next_step


def test_a_label_that_images_have_which_stay_is_not_too_many_because_of_those_that_are_held(
    imports: Imports, people: People
) -> None:
    fill(imports, people, persons="of a person")
    people.put("old/b.png")
    with refused("ERROR_MANIFEST_TOO_MANY_LABELS") as caught:
        imports.run(removals="hold")
    assert "of a person" in caught.value.message
    assert "removals" not in str(caught.value)


def test_where_no_order_of_batches_will_do_the_dataset_is_replaced(
    imports: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label of three images is renamed in three batches, between which the dataset would have both names."""
    others = [f"{number:03}/a.png" for number in range(MAX_LABELS.value - 1)]
    people.place.put(*(f"{FOLDER}{name}" for name in (*others, "old/1.png", "old/2.png", "old/3.png")))
    imports.run()
    people.draw("000/a.png", "000", left=7)
    before, arn = people.said(), people.place.dataset_arn()
    monkeypatch.setattr(registration, "plan_batches", partial(plan_batches, max_batch_bytes=300))
    renamed = {"label_aliases": {"old": "new"}}
    with refused("ERROR_MANIFEST_TOO_MANY_LABELS"):
        imports.run(removals="hold", **renamed)
    assert (people.said(), people.place.dataset_arn()) == (before, arn)
    done = imports.run(**renamed)
    assert done.action == "replace"
    assert people.said() == before | {f"old/{number}.png": {"new"} for number in (1, 2, 3)}
    assert people.boxes("000/a.png") == [7]
