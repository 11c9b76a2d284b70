"""Both ledgers of a split import have every object, and say everything once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.ledger import AT_FAULT, IN_MANIFEST, LedgerPage, LedgerSummary, State
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.custom_labels.sides import PreviousSides, Side
from include.custom_labels.split import SplitRules, Splitter
from include.custom_labels.split_ledger import ledger_of

ROWS = {
    State.LABELLED: (Reason.IN_FOLDER, "echo"),
    State.UNLABELLED: (Reason.AT_FOLDER_LEVEL, None),
    State.SKIPPED: (Reason.FOLDER_MARKER, None),
    State.QUARANTINED: (Reason.NOT_PNG_OR_JPEG, "echo"),
    State.REJECTED: (Reason.LABEL_TOO_LONG, "l" * 256),
}


def page_of(states: list[State], start: int = 0) -> LedgerPage:
    numbers = range(start, start + len(states))
    return LedgerPage(
        ObjectPage(
            [f"{n:03}.png" for n in numbers],
            [1000] * len(states),
            [f"e{n}" for n in numbers],
            [""] * len(states),
        ),
        states,
        [ROWS[state][1] for state in states],
        [ROWS[state][0] for state in states],
        ["GIF" if state is State.QUARANTINED else "" for state in states],
        [64] * len(states),
        [64] * len(states),
        [b"{}\n" if state in IN_MANIFEST else None for state in states],
    )


def summary(pages: Iterable[LedgerPage]) -> LedgerSummary:
    counted = LedgerSummary()
    counted.add_all(pages)
    return counted


@given(st.lists(st.sampled_from(list(ROWS)), max_size=40), st.integers(1, 40))
def test_the_two_ledgers_are_whole_and_count_everything_once(states: list[State], rows: int) -> None:
    pages = [page_of(states[start : start + rows], start) for start in range(0, len(states), rows)]
    splitter = Splitter(SplitRules(test_share=0.4), "example-images")
    for page in pages:
        splitter.add(page)
    done = splitter.split()
    whole = summary(pages)
    ledgers = {side: list(ledger_of(side, pages, done.sides)) for side in (Side.TRAIN, Side.TEST)}
    train, test = summary(ledgers[Side.TRAIN]), summary(ledgers[Side.TEST])

    assert [page.objects for page in ledgers[Side.TRAIN]] == [page.objects for page in pages]
    assert [page.objects for page in ledgers[Side.TEST]] == [page.objects for page in pages]
    assert (train.in_manifest, test.in_manifest) == (done.report.train_images, done.report.test_images)
    assert train.in_manifest + test.in_manifest == whole.in_manifest
    assert (train.at_fault, test.at_fault) == (whole.at_fault, 0)
    assert train.images_per_label + test.images_per_label == whole.images_per_label
    assert train.reasons[State.SKIPPED, Reason.IN_TEST_DATASET] == test.in_manifest
    assert test.reasons[State.SKIPPED, Reason.IN_TRAIN_DATASET] == train.in_manifest

    at = 0
    for before, mine, other in zip(pages, ledgers[Side.TRAIN], ledgers[Side.TEST], strict=True):
        for row, state in enumerate(before.states):
            kept = [
                page for page in (mine, other) if page.states[row] is state and page.labels[row] == before.labels[row]
            ]
            if state in IN_MANIFEST:
                assert kept == [mine if done.sides[at] == Side.TRAIN else other]
                at += 1
            for page in (mine, other):
                if page not in kept:
                    assert page.states[row] is State.SKIPPED
                    assert (page.labels[row], page.entries and page.entries[row]) == (None, None)
                    # Somebody who looks into this ledger alone sees whether the image is at fault.
                    was = "" if state in IN_MANIFEST else f"{state}: {before.reasons[row]}"
                    assert page.details[row] == was
            if state in AT_FAULT:
                assert mine.reasons[row] is before.reasons[row]
                assert other.reasons[row] is Reason.IN_TRAIN_LEDGER


@given(st.lists(st.sampled_from(list(ROWS)), max_size=40), st.sampled_from([Side.TRAIN, Side.TEST]))
def test_each_ledger_alone_remembers_both_sides(states: list[State], side: Side) -> None:
    page = page_of(states)
    splitter = Splitter(SplitRules(test_share=0.4), "example-images")
    splitter.add(page)
    done = splitter.split()
    previous = PreviousSides()
    for kept in ledger_of(side, [page], done.sides):
        previous.add(side, "example-images", kept)
    again = Splitter(SplitRules(test_share=0.4, seed="another"), "example-images", previous)
    again.add(page)
    repeated = again.split()
    assert repeated.sides == done.sides
    assert repeated.report.new_units == 0


def test_withheld_images_are_explained_in_the_train_datasets_ledger() -> None:
    page = page_of([State.LABELLED] * 3)
    sides = bytes([Side.TRAIN, Side.TEST, Side.NEITHER])
    (train,), (test,) = ledger_of(Side.TRAIN, [page], sides), ledger_of(Side.TEST, [page], sides)
    assert train.reasons == [Reason.IN_FOLDER, Reason.IN_TEST_DATASET, Reason.LINKED_TO_FROZEN_TEST]
    assert test.reasons == [Reason.IN_TRAIN_DATASET, Reason.IN_FOLDER, Reason.IN_TRAIN_LEDGER]
    previous = PreviousSides()
    previous.add(Side.TRAIN, "example-images", train)
    previous.add(Side.TEST, "example-images", test)
    again = Splitter(SplitRules(), "example-images", previous)
    again.add(page)
    assert again.split().report.new_units == 1


@pytest.mark.parametrize(("sides", "said"), [(b"\x01", "more than 1"), (b"\x01\x01\x01", "fewer than 3")])
def test_other_pages_than_were_split_are_refused(sides: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(ledger_of(Side.TRAIN, [page_of([State.LABELLED, State.SKIPPED, State.UNLABELLED])], sides))


def test_a_page_is_not_changed_by_its_ledgers() -> None:
    page = page_of([State.LABELLED, State.QUARANTINED])
    list(ledger_of(Side.TEST, [page], bytes([Side.TRAIN])))
    assert page == page_of([State.LABELLED, State.QUARANTINED])
