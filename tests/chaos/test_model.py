"""The model that random histories are judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.contents import Box, Said, content, read_line, says, write_line
from tests.chaos.model import EITHER, PERSON, Entry, Import, Listed, Truth, differences, find_source

A = Import(origin="a", folder="h/a/", as_of="2026-11-22T20:00:00")
HERE, ELSEWHERE = "h/a/echo/1.png", "h/a/echo/2.png"


def listed(**etags: str) -> dict[str, Listed]:
    return {
        f"h/a/{name.replace('_', '/')}.png": Listed(etag=etag, size=(64, 64), last_modified="2026-11-22T19:00:00")
        for name, etag in etags.items()
    }


def imported(bucket: dict[str, Listed], **chosen: Any) -> Truth:
    """The truth after a first run that found these images."""
    truth = Truth()
    run(truth, bucket, **chosen)
    return truth


def run(truth: Truth, bucket: dict[str, Listed], *, is_new: bool = False, **chosen: Any) -> dict[str, Said]:
    """A green run that does the first of what is accepted; what the dataset says then."""
    asked = Import(origin="a", folder="h/a/", as_of="2026-11-22T20:00:00", **chosen)
    source = find_source(asked, bucket)
    expected = truth.expect(asked, source)
    actual = {key: entry.said for key, entry in truth.entries.items()}
    for key, accepted in expected.accepted.items():
        said = min(accepted, key=str)
        if said is None:
            actual.pop(key, None)
        else:
            actual[key] = said
    assert differences(truth, expected, actual) == []
    truth.settle(asked, source, expected, actual, is_new=is_new)
    return actual


@pytest.mark.parametrize(
    ("chosen", "labels"),
    [
        ({}, {"echo_1": "echo", "loose": None}),
        ({"aliases": {"echo": "Echo"}}, {"echo_1": "Echo", "loose": None}),
        ({"automatic_labeling": False}, {"echo_1": None, "loose": None}),
        ({"exclude": frozenset(["echo"])}, {"loose": None}),
    ],
)
def test_images_are_labelled_by_the_first_folder(chosen: dict[str, Any], labels: dict[str, str | None]) -> None:
    asked = Import(origin="a", folder="h/a/", as_of="2026-11-22T20:00:00", **chosen)
    expected = {next(iter(listed(**{name: ""}))): says(*filter(None, [label])) for name, label in labels.items()}
    assert find_source(asked, listed(echo_1="1", loose="2")).images == expected


def test_what_cannot_be_read_and_what_is_newer_is_left_as_it_is() -> None:
    bucket = listed(echo_1="1", echo_2="2")
    bucket[HERE] = Listed(etag="x", size=None)
    bucket[ELSEWHERE] = Listed(etag="2", size=(64, 64), last_modified="2026-11-22T20:00:01")
    source = find_source(A, bucket)
    assert (dict(source.images), source.unsettled) == ({}, {HERE, ELSEWHERE})
    assert source.is_refused


def test_a_persons_entry_stays_and_outlives_a_deletion_once_a_run_has_seen_it() -> None:
    bucket = listed(echo_1="1", echo_2="2")
    truth = imported(bucket)
    truth.edit(HERE, says("white"))
    assert run(truth, bucket) == {HERE: says("white"), ELSEWHERE: says("echo")}
    truth.edit(ELSEWHERE, says("logo"))
    truth.delete({})
    assert truth.work == {HERE: says("white")}
    assert run(truth, bucket, is_new=True) == {HERE: says("white"), ELSEWHERE: says("echo")}


def test_what_a_person_did_while_a_run_was_under_way_need_not_be_in_its_ledger() -> None:
    bucket = listed(echo_1="1")
    truth = imported(bucket)
    source = find_source(A, bucket)
    edits = truth.edits
    truth.edit(HERE, says("white"))
    truth.settle(A, source, truth.expect(A, source), {HERE: says("white")}, is_new=False, edits=edits)
    truth.delete({})
    assert truth.work == {}


def test_a_removed_images_work_comes_back_with_it() -> None:
    bucket = listed(echo_1="1", echo_2="2")
    truth = imported(bucket)
    truth.edit(HERE, Said())
    assert run(truth, listed(echo_2="2")) == {ELSEWHERE: says("echo")}
    assert truth.work == {HERE: Said()}
    assert run(truth, bucket)[HERE] == Said()
    assert truth.entries[HERE].by == PERSON


def test_a_held_image_stays_until_a_run_replaces() -> None:
    truth = imported(listed(echo_1="1", echo_2="2"))
    truth.edit(HERE, says("white"))
    assert run(truth, listed(echo_2="2"), removals="hold")[HERE] == says("white")
    assert HERE not in run(truth, listed(echo_2="2"))
    assert truth.aside == {HERE: says("white")}


def test_work_follows_the_only_image_with_these_bytes() -> None:
    truth = imported(listed(echo_1="1", echo_2="2"))
    truth.edit(HERE, says("white"))
    moved = listed(dot_1="1", echo_2="2")
    assert truth.expect(A, find_source(A, moved)).accepted["h/a/dot/1.png"] == {says("white")}
    assert run(truth, moved) == {"h/a/dot/1.png": says("white"), ELSEWHERE: says("echo")}
    assert truth.aside == {}


def test_work_that_has_moved_and_given_way_is_not_missed_any_more() -> None:
    truth = imported(listed(echo_1="1", echo_2="2"))
    truth.edit(HERE, says("white"))
    asked, source = replace(A, human_edits="overwrite"), find_source(A, listed(dot_1="1", echo_2="2"))
    left = {"h/a/dot/1.png": says("dot"), ELSEWHERE: says("echo")}
    assert truth.settle(asked, source, truth.expect(asked, source), left, is_new=False) == {HERE: says("white")}
    assert truth.work == {}


def test_work_that_is_kept_aside_may_be_found_at_another_place() -> None:
    truth = imported(listed(echo_1="1", echo_2="2"))
    truth.edit(HERE, says("white"))
    run(truth, listed(echo_2="2"))
    expected = truth.expect(A, find_source(A, listed(dot_1="1", echo_2="2")))
    assert expected.accepted["h/a/dot/1.png"] == {says("white"), says("dot")}


def test_of_equal_images_either_may_have_moved() -> None:
    truth = imported(listed(echo_1="1", echo_2="1"))
    truth.edit(HERE, says("white"))
    expected = truth.expect(A, find_source(A, listed(dot_1="1", echo_2="1")))
    assert expected.accepted["h/a/dot/1.png"] == {says("white"), says("dot")}


def test_boxes_that_do_not_fit_are_kept_aside() -> None:
    bucket = listed(echo_1="1", echo_2="2")
    truth = imported(bucket)
    drawn = Said(boxes=frozenset([Box("logo", 1, 1, 20, 20)]), drawn_on=(64, 64))
    truth.edit(HERE, drawn)
    larger = bucket | {HERE: Listed(etag="3", size=(80, 64), last_modified="2026-11-22T19:00:00")}
    assert HERE not in run(truth, larger)
    assert truth.aside == {HERE: drawn}
    assert run(truth, bucket)[HERE] == drawn


def test_another_origins_entries_stay() -> None:
    truth = imported(listed(echo_1="1", echo_2="2"))
    asked = Import(origin="b", folder="h/b/", as_of="2026-11-22T20:00:00")
    bucket = {"h/b/dot/3.png": Listed(etag="3", size=(64, 64), last_modified="2026-11-22T19:00:00")}
    expected = truth.expect(asked, find_source(asked, bucket))
    assert expected.accepted["h/b/dot/3.png"] == {says("dot")}
    assert expected.accepted[HERE] == {says("echo")}


def test_what_a_run_sent_that_was_killed_is_not_a_persons() -> None:
    bucket = listed(echo_1="1")
    truth = imported(bucket)
    asked = Import(origin="a", folder="h/a/", as_of=A.as_of, aliases={"echo": "Echo"})
    source = find_source(asked, bucket)
    truth.observe(asked, source, truth.expect(asked, source), {HERE: says("Echo")}, {})
    assert truth.entries[HERE] == Entry(says("Echo"), "a")
    assert run(truth, bucket)[HERE] == says("echo")


def test_a_line_that_a_person_and_a_new_dataset_share_is_eithers() -> None:
    bucket = listed(echo_1="1")
    truth = imported(bucket)
    truth.edit(HERE, says("white"))
    run(truth, bucket, aliases={"echo": "white"}, is_new=True)
    assert truth.entries[HERE].by == EITHER
    assert truth.expect(A, find_source(A, bucket)).accepted[HERE] == {says("white"), says("echo")}


def test_a_line_says_what_was_written() -> None:
    said = Said(frozenset(["white"]), frozenset([Box("logo", 1, 2, 20, 30), Box("echo", 3, 4, 20, 20)]), (64, 64))
    assert read_line(write_line("s3://example-images/a.png", said)) == ("s3://example-images/a.png", said)
    assert read_line(write_line("s3://example-images/a.png", Said()))[1] == Said()


def test_no_two_contents_are_the_same() -> None:
    numbers = [*range(250), *range(-5, 0)]
    assert len({content(number).etag for number in numbers}) == len(numbers)
    assert [content(number).size for number in (1, 101, -1)] == [(64, 64), (80, 64), None]
