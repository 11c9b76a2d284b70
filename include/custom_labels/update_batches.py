"""The batches of an update, chosen for the number of labels that the dataset has after each of them.

An update is sent in batches, and each is an update of its own: between two of them, the dataset has the labels of the
entries that were replaced and of those that were not. 140 labels that are all renamed are 280 in between, and a
dataset may have 250. AWS does not say when it counts labels; the local service counts them after each batch, and
planning for that is on the safe side.

The given order with full batches is taken where it will do. Otherwise a batch ends at the last place at which the
dataset has few enough labels, which at most doubles the number of batches, in the first of three orders in which every
batch has such a place: the given one; one that takes up the old labels one by one, always the one that is gone at the
cost of the fewest new labels; and one that does the same backwards, from the new label that appears last. Where none
of them has, the dataset has to be replaced: a replacement has nothing in between.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_limit import check_labels
from include.custom_labels.quotas import MAX_LABELS, SAFE_UPDATE_BYTES

Verdict = Literal["as_given", "reordered", "needs_replacement"]


class Change(NamedTuple):
    """A line to be sent.

    :ivar line_size_bytes: with its line end
    :ivar before: labels of the entry that it replaces, none where it is a new one
    :ivar after: labels of the line
    """

    line_size_bytes: int
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How to send the changes.

    :ivar verdict: ``needs_replacement`` where no order was found in which the dataset never has too many labels
    :ivar order: places of the changes, counted from 0, in the order in which to send them
    :ivar ends: in bytes of all lines in that order, where each batch ends
    :ivar max_labels: the most labels that the dataset has after a batch; of ``needs_replacement``, in the given order
    """

    verdict: Verdict
    order: Sequence[int]
    ends: Sequence[int]
    max_labels: int


def plan_batches(
    labels: Mapping[str, int],
    changes: Iterable[Change],
    *,
    max_batch_bytes: int = SAFE_UPDATE_BYTES,
    source_labels: Iterable[str] | None = None,
) -> BatchPlan:
    """Choose order and batches of an update.

    For 250,000 changes it takes about a second, and some 40 bytes a change.

    :param labels: number of the dataset's entries with each label, before the update
    :param changes: each about another entry
    :param max_batch_bytes: upper bound of a batch
    :param source_labels: that the import's source has, to tell whose labels are too many
    :raises ManifestError: ERROR_MANIFEST_TOO_MANY_LABELS where the dataset would have too many labels in the end;
        ERROR_JSON_LINE_TOO_LONG where a line fits into no batch
    :raises ValueError: ``labels`` do not count the entries that are replaced
    """
    update = _Update(labels, changes, max_batch_bytes)
    check_labels(update.labels_after.keys(), None if source_labels is None else frozenset(source_labels))
    given = range(len(update.sizes))
    usual = update.batches(given, is_full=True)
    if usual.max_labels <= MAX_LABELS.value:
        return BatchPlan(verdict="as_given", order=given, ends=usual.ends, max_labels=usual.max_labels)
    for order_of in (lambda: given, update.in_order_of_old_labels, update.in_order_of_new_labels):
        order = order_of()
        cut = update.batches(order, is_full=False)
        if cut.max_labels <= MAX_LABELS.value:
            verdict: Verdict = "as_given" if order is given else "reordered"
            return BatchPlan(verdict=verdict, order=order, ends=cut.ends, max_labels=cut.max_labels)
    return BatchPlan(verdict="needs_replacement", order=given, ends=usual.ends, max_labels=usual.max_labels)


def transition_error(plan: BatchPlan) -> ManifestError:
    """Why an update that needs a replacement cannot be sent, for a run that may not replace the dataset."""
    return ManifestError(
        Code.ERROR_MANIFEST_TOO_MANY_LABELS,
        f"The update needs {len(plan.ends):,} batches, and between two of them the dataset would have "
        f"{plan.max_labels:,} labels, old and new ones; {MAX_LABELS.value} is the maximum. It has few enough labels "
        "before the update and after it.",
        "Let the run replace the dataset with `removals: replace`, or rename fewer labels at a time.",
        labels=plan.max_labels,
    )


class _Batches(NamedTuple):
    ends: list[int]
    max_labels: int


class _Kind(NamedTuple):
    """What a change means for labels that the dataset loses or gets by the update.

    :ivar old: labels that no entry has in the end
    :ivar new: labels that no entry has in the beginning
    """

    old: frozenset[str]
    new: frozenset[str]


class _Update:
    """All changes, without their labels: those are kept once for all changes that have the same.

    :ivar sizes: of the changes, in bytes
    :ivar labels_after: number of entries with each label in the end
    """

    def __init__(self, labels: Mapping[str, int], changes: Iterable[Change], max_batch_bytes: int) -> None:
        self._max_batch_bytes = max_batch_bytes
        self._labels = Counter({label: entries for label, entries in labels.items() if entries})
        self.sizes = array("q")
        self._alike = array("i")
        numbers: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        for size, before, after in changes:
            if size > max_batch_bytes:
                code = Code.ERROR_JSON_LINE_TOO_LONG
                detail = f"A line has {size:,} bytes, and a batch at most {max_batch_bytes:,}."
                raise ManifestError(code, f"{code.message} {detail}", code.next_step)
            self.sizes.append(size)
            self._alike.append(numbers.setdefault((before, after), len(numbers)))
        self._losses = [frozenset(before) - frozenset(after) for before, after in numbers]
        self._gains = [frozenset(after) - frozenset(before) for before, after in numbers]
        entries_after = self._labels.copy()
        for number, times in Counter(self._alike).items():
            entries_after.update(dict.fromkeys(self._gains[number], times))
            entries_after.subtract(dict.fromkeys(self._losses[number], times))
        if any(entries < 0 for entries in entries_after.values()):
            raise ValueError("More entries are replaced than have their labels.")
        self.labels_after = +entries_after

    def batches(self, order: Iterable[int], *, is_full: bool) -> _Batches:
        """Cut the changes in an order into batches.

        :param is_full: fill each batch; else end it at the last place where the dataset has few enough labels
        """
        labels, count = self._labels.copy(), len(self._labels)
        ends: list[int] = []
        start = end = most = 0
        # The last place in the batch at which it may end, and the number of labels there.
        good_end, good_count = start, count
        for at in order:
            size = self.sizes[at]
            while end + size - start > self._max_batch_bytes:
                if good_end == start:
                    good_end, good_count = end, count
                ends.append(good_end)
                most = max(most, good_count)
                start = good_end
            end += size
            number = self._alike[at]
            for label in self._losses[number]:
                labels[label] -= 1
                count -= not labels[label]
            for label in self._gains[number]:
                count += not labels[label]
                labels[label] += 1
            if is_full or count <= MAX_LABELS.value:
                good_end, good_count = end, count
        if end > start:
            ends.append(end)
        return _Batches(ends, max(most, count))

    def in_order_of_old_labels(self) -> Sequence[int]:
        """The changes in an order in which old labels are gone early."""
        return self._in_order(_order(self._kinds()))

    def in_order_of_new_labels(self) -> Sequence[int]:
        """The changes in an order in which new labels appear late."""
        backwards = _order([_Kind(old=kind.new, new=kind.old) for kind in self._kinds()])
        return self._in_order(reversed(backwards))

    def _kinds(self) -> list[_Kind]:
        old, new = self._labels.keys() - self.labels_after.keys(), self.labels_after.keys() - self._labels.keys()
        both = zip(self._losses, self._gains, strict=True)
        return [_Kind(old=losses & old, new=gains & new) for losses, gains in both]

    def _in_order(self, numbers: Iterable[int]) -> Sequence[int]:
        places = [array("l") for _ in self._losses]
        for at, number in enumerate(self._alike):
            places[number].append(at)
        order = array("l")
        for number in numbers:
            order.extend(places[number])
        return order


def _order(kinds: Sequence[_Kind]) -> list[int]:
    """The places of the kinds, in an order in which old labels are gone early and new ones appear late."""
    kinds_of: dict[str, list[int]] = {}
    needs: dict[str, set[str]] = {}
    for at, kind in enumerate(kinds):
        for label in kind.old:
            kinds_of.setdefault(label, []).append(at)
            needs.setdefault(label, set()).update(kind.new)
    # A dictionary keeps the order, and takes a kind with two old labels once.
    order: dict[int, None] = {}
    present: set[str] = set()
    while needs:
        label = min(needs, key=lambda each: (len(needs[each]), each))
        appearing = needs.pop(label)

        def brings(at: int, present: set[str] = present) -> tuple[int, list[str]]:
            return len(kinds[at].new - present), sorted(kinds[at].new)

        order.update(dict.fromkeys(sorted((at for at in kinds_of[label] if at not in order), key=brings)))
        present |= appearing
        for others in needs.values():
            others -= appearing
    # Changes without an old label: those of one new label together, and those that make no difference last.
    rest = (at for at in range(len(kinds)) if at not in order)
    return [*order, *sorted(rest, key=lambda at: (not kinds[at].new, sorted(kinds[at].new)))]
