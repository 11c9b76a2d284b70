"""The batches of an update: no more labels than allowed after any of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.errors import ManifestError
from include.custom_labels.quotas import MAX_LABELS, SAFE_UPDATE_BYTES
from include.custom_labels.update_batches import BatchPlan, Change, Verdict, plan_batches, transition_error
from include.rekognition.entry_batches import InlineEntries, entry_batches

LIMIT = MAX_LABELS.value
LINE_BYTES = 370


def named(count: int, prefix: str = "old") -> list[str]:
    return [f"{prefix} {at:03}" for at in range(count)]


def renamed(images_per_label: dict[str, int], size_bytes: int = LINE_BYTES) -> list[Change]:
    """Every label gets another name, the images of all labels in turn, as where names come before folders."""
    changes = [
        (place, Change(size_bytes, (label,), (f"new {label}",)))
        for label, images in images_per_label.items()
        for place in range(images)
    ]
    return [change for _, change in sorted(changes, key=lambda each: each[0])]


def counted(changes: Iterable[Change], others: Iterable[str] = ()) -> Counter[str]:
    """The dataset's labels before: of the entries that are replaced, and of one that is not for each of the others."""
    return Counter([label for change in changes for label in change.before]) + Counter(others)


def labels_after_batches(
    labels: Counter[str], changes: Sequence[Change], plan: BatchPlan, size_bytes: int
) -> list[int]:
    """The number of labels after each batch, from lines that are really cut, and entries that are really replaced."""
    entries = {at: change.before for at, change in enumerate(changes)}
    others = labels - counted(changes)
    lines = [f"{at}".ljust(changes[at].line_size_bytes - 1).encode() + b"\n" for at in plan.order]
    found = []
    batches = list(entry_batches(InlineEntries(b"".join(lines)), max_batch_size_bytes=size_bytes, ends=plan.ends))
    for batch in batches:
        for line in batch.body.splitlines():
            entries[int(line)] = changes[int(line)].after
        found.append(len({label for each in entries.values() for label in each} | others.keys()))
    assert [batch.end for batch in batches] == list(plan.ends)
    return found


def test_renamed_labels_of_one_batch_need_no_order() -> None:
    changes = renamed(dict.fromkeys(named(140), 20))
    plan = plan_batches(counted(changes), changes)
    assert (plan.verdict, list(plan.ends), plan.max_labels) == ("as_given", [2_800 * LINE_BYTES], 140)


def test_140_renamed_labels_of_two_batches_are_renamed_one_after_the_other() -> None:
    changes = renamed(dict.fromkeys(named(140), 26), size_bytes=1_500)
    plan = plan_batches(counted(changes), changes)
    assert plan.verdict == "reordered"
    assert len(plan.ends) == 2
    assert sorted(plan.order) == list(range(len(changes)))
    after = labels_after_batches(counted(changes), changes, plan, SAFE_UPDATE_BYTES)
    assert max(after) == plan.max_labels <= 141


def test_250_labels_that_are_all_renamed_are_never_more() -> None:
    changes = renamed(dict.fromkeys(named(LIMIT), 100))
    plan = plan_batches(counted(changes), changes)
    assert plan.verdict == "reordered"
    assert labels_after_batches(counted(changes), changes, plan, SAFE_UPDATE_BYTES) == [LIMIT] * len(plan.ends)


@pytest.mark.parametrize(
    ("labels", "verdict", "batches"), [(125, "as_given", 2), (126, "as_given", 3), (200, "reordered", 2)]
)
def test_the_given_order_is_taken_as_long_as_it_will_do(labels: int, verdict: Verdict, batches: int) -> None:
    # After a full batch, every label has one image of the old name and one of the new.
    changes = renamed(dict.fromkeys(named(labels), 2), size_bytes=100)
    plan = plan_batches(counted(changes), changes, max_batch_bytes=100 * labels)
    assert (plan.verdict, len(plan.ends)) == (verdict, batches)
    after = labels_after_batches(counted(changes), changes, plan, 100 * labels)
    assert max(after) == plan.max_labels <= LIMIT


def test_a_label_of_many_batches_at_the_limit_needs_a_replacement() -> None:
    changes = [Change(100, ("old",), ("new",))] * 30
    others = named(LIMIT - 1, "other")
    plan = plan_batches(counted(changes, others), changes, max_batch_bytes=1_000)
    assert (plan.verdict, plan.max_labels, len(plan.ends)) == ("needs_replacement", LIMIT + 1, 3)
    assert plan_batches(counted(changes, others[1:]), changes, max_batch_bytes=1_000).verdict == "as_given"
    error = transition_error(plan)
    assert error.code == "ERROR_MANIFEST_TOO_MANY_LABELS"
    assert "3 batches, and between two of them the dataset would have 251 labels" in error.message


def test_labels_that_become_one_come_before_those_that_become_many() -> None:
    split = [Change(100, ("all",), (label,)) for label in named(120, "part") for _ in range(5)]
    joined = [Change(100, (label,), ("one",)) for label in named(120) for _ in range(5)]
    changes = [*split, *joined]
    labels = counted(changes, named(120, "other"))
    plan = plan_batches(labels, changes, max_batch_bytes=10_000)
    assert plan.verdict == "reordered"
    assert max(labels_after_batches(labels, changes, plan, 10_000)) <= LIMIT


def test_new_images_with_new_labels_come_last() -> None:
    added = [Change(100, (), (label,)) for label in named(200, "new")]
    relabelled = [Change(100, (label,), ("other 000",)) for label in named(200)]
    changes = [*added, *relabelled]
    labels = counted(changes, named(50, "other"))
    plan = plan_batches(labels, changes, max_batch_bytes=10_000)
    assert plan.verdict == "reordered"
    assert plan.order[0] >= 200
    assert max(labels_after_batches(labels, changes, plan, 10_000)) == LIMIT


def test_an_order_that_is_only_found_backwards() -> None:
    # Each old label alone brings two new ones; from the end, each new label alone was two old ones.
    pairs = [(f"old {at:03}", f"new {(at + step) % 120:03}") for at in range(120) for step in (0, 1)]
    changes = [Change(100, (old,), (new,)) for old, new in pairs]
    labels = counted(changes, named(LIMIT - 122, "other"))
    plan = plan_batches(labels, changes, max_batch_bytes=1_000)
    assert plan.verdict != "needs_replacement"
    assert max(labels_after_batches(labels, changes, plan, 1_000)) <= LIMIT


@pytest.mark.parametrize(("added", "is_refused"), [(1, False), (2, True)])
def test_too_many_labels_in_the_end_are_refused_and_peoples_are_named(added: int, is_refused: bool) -> None:
    changes = [Change(100, (), (label,)) for label in named(added, "new")]
    labels = counted(changes, [*named(LIMIT - 2), "of a person"])
    source = [*named(LIMIT - 2), *named(added, "new")]
    if not is_refused:
        assert plan_batches(labels, changes, source_labels=source).max_labels == LIMIT
        return
    with pytest.raises(ManifestError) as refused:
        plan_batches(labels, changes, source_labels=source)
    assert refused.value.code == "ERROR_MANIFEST_TOO_MANY_LABELS"
    assert refused.value.message == (
        "The dataset would have 251 labels, and 250 is the maximum. "
        "1 of them is not in the source, but from people or other imports: of a person."
    )
    assert refused.value.details["labels_not_in_source"] == ["of a person"]
    with pytest.raises(ManifestError, match=r"250 is the maximum\. Use at most 250 labels"):
        plan_batches(labels, changes)
    with pytest.raises(ManifestError, match=r"250 is the maximum\. Use at most 250 labels"):
        plan_batches(labels, changes, source_labels=[*source, "of a person"])


def test_a_label_that_a_person_removed_everywhere_makes_room() -> None:
    changes = [Change(100, ("old",), ("other 000",)), Change(100, (), ("new",))]
    labels = counted(changes, named(LIMIT - 1, "other"))
    assert plan_batches(labels, changes).max_labels == LIMIT


def test_nothing_to_send() -> None:
    plan = plan_batches({"echo": 3, "gone": 0}, [])
    assert (plan.verdict, list(plan.order), list(plan.ends), plan.max_labels) == ("as_given", [], [], 1)


@pytest.mark.parametrize(("size_bytes", "fits"), [(1_000, True), (1_001, False)])
def test_a_line_that_fits_into_no_batch(size_bytes: int, fits: bool) -> None:
    changes = [Change(size_bytes, (), ("echo",))]
    if fits:
        assert list(plan_batches({}, changes, max_batch_bytes=1_000).ends) == [1_000]
        return
    with pytest.raises(ManifestError, match="ERROR_JSON_LINE_TOO_LONG"):
        plan_batches({}, changes, max_batch_bytes=1_000)


def test_labels_that_do_not_count_the_entries_are_an_error() -> None:
    with pytest.raises(ValueError, match="More entries are replaced"):
        plan_batches({"echo": 1}, [Change(100, ("echo",), ()), Change(100, ("echo",), ())])


label_sets = st.sets(st.sampled_from("abcdefgh"), max_size=3).map(lambda labels: tuple(sorted(labels)))
all_changes = st.lists(st.builds(Change, st.integers(5, 20), label_sets, label_sets), max_size=24)


@given(
    all_changes,
    st.integers(0, LIMIT),
    st.sampled_from([20, 40, 100]),
    st.sets(st.sampled_from("abcdefgh"), max_size=4),
)
@settings(deadline=None)
def test_what_is_planned_is_what_happens(
    changes: list[Change], others: int, size_bytes: int, staying: set[str]
) -> None:
    labels = counted(changes, [*named(others, "other"), *staying])
    final = {label for change in changes for label in change.after} | (labels - counted(changes)).keys()
    if len(final) > LIMIT:
        with pytest.raises(ManifestError, match="ERROR_MANIFEST_TOO_MANY_LABELS"):
            plan_batches(labels, changes, max_batch_bytes=size_bytes)
        return
    plan = plan_batches(labels, changes, max_batch_bytes=size_bytes)
    assert sorted(plan.order) == list(range(len(changes)))
    after = labels_after_batches(labels, changes, plan, size_bytes)
    assert plan.max_labels == max(after, default=len(labels))
    assert (plan.verdict == "needs_replacement") == (plan.max_labels > LIMIT)
    if plan.verdict != "reordered":
        assert list(plan.order) == list(range(len(changes)))


@given(st.dictionaries(st.sampled_from(named(30)), st.integers(1, 6), min_size=1), st.integers(0, 3), st.data())
@settings(deadline=None)
def test_renamed_labels_that_fit_into_a_batch_never_need_a_replacement(
    images: dict[str, int], room: int, data: st.DataObject
) -> None:
    changes = data.draw(st.permutations(renamed(images, size_bytes=10)))
    labels = counted(changes, named(LIMIT - len(images) - room, "other"))
    plan = plan_batches(labels, changes, max_batch_bytes=60)
    assert plan.verdict != "needs_replacement"
    assert len(plan.ends) <= 2 * (10 * len(changes) // 60) + 1


def test_a_quarter_of_a_million_changes_take_seconds() -> None:
    changes = renamed(dict.fromkeys(named(LIMIT), 1_000))
    labels = counted(changes)
    before = time.process_time()
    plan = plan_batches(labels, changes)
    assert time.process_time() - before < 10
    assert (plan.verdict, plan.max_labels) == ("reordered", LIMIT)
