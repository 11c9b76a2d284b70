"""The last move of each ledger row: what the merge with the dataset's entries, and the service, made of the image.

A closed ledger says whose work is where. Its column ``sent`` has the digest of what this import last sent for each
image. Its column ``entry`` has a person's entry in rows that are kept, held, withheld or removed, whether the dataset
still holds it or not (`remembered_work`), and of an overwritten image the entry that gave way. Its column ``drawn_on``
says on which content of the image the boxes of such an entry were drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.ledger import (
    AT_FAULT,
    IN_MANIFEST,
    LedgerPage,
    LedgerRow,
    State,
    ledger_pages,
    ledger_rows,
)
from include.custom_labels.merge import ENTRY_STAYS, MergedImage, Outcome
from include.custom_labels.reasons import Reason

REASON_OF_OUTCOME: Final = {
    Outcome.KEPT: Reason.KEPT_DATASET_ENTRY,
    Outcome.OVERWRITTEN: Reason.OVERWRITTEN_DATASET_ENTRY,
    Outcome.MISFIT: Reason.BOXES_DO_NOT_FIT,
    Outcome.HELD: Reason.HELD_UNTIL_REPLACED,
    Outcome.REMOVED: Reason.REMOVED_AT_SOURCE,
    Outcome.ASIDE: Reason.WORK_KEPT_ASIDE,
}
"""Outcomes that a ledger built from the source alone cannot tell, and that are reasons of their own."""
_STATE_OF_OUTCOME: Final = {
    Outcome.MISFIT: State.QUARANTINED,
    Outcome.HELD: State.HELD,
    Outcome.REMOVED: State.REMOVED,
    Outcome.ASIDE: State.ASIDE,
}
_OUTCOME_OF_REASON: Final = {reason: outcome for outcome, reason in REASON_OF_OUTCOME.items()}
_TOLD: Final = frozenset({*REASON_OF_OUTCOME, Outcome.WITHHELD})

# What follows the source's own reason for an image that is not in the manifest.
_FOLLOWS: Final = {
    Outcome.REMOVED: "therefore removed from the dataset",
    Outcome.ASIDE: "a person's entry is kept aside",
    Outcome.WITHHELD: "",
    Outcome.OVERWRITTEN: "",
    Outcome.KEPT: "",
    Outcome.MISFIT: "",
}
# Of images in these states, the dataset has no entry that their rows would repeat.
_WITHOUT_ENTRY: Final = frozenset({State.QUARANTINED, State.REJECTED, State.SKIPPED, State.REMOVED, State.ASIDE})
# Images at fault for other reasons are at the source. Of a repeated image, its first row tells.
_NO_IMAGE: Final = frozenset({Reason.IMAGE_NOT_FOUND, Reason.REPEATED_IMAGE})


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the merge has to say about an image beyond what its source says.

    :ivar key: as of `ledger_key`
    :ivar entry: the entry concerned: a person's, or one that is held
    :ivar sent: digest of what this import last sent for the image
    :ivar drawn_on: content of the image that the boxes of `entry` were drawn on; None where that is not known
    """

    key: str
    outcome: Outcome
    detail: str = ""
    is_labelled: bool = False
    entry: str | None = None
    etag: str = ""
    size_bytes: int = 0
    sent: bytes | None = None
    drawn_on: str | None = None


def ledger_key(identity: str, bucket: str) -> str:
    """The key of an image in the ledger of a bucket; the whole address of one that was in another bucket."""
    head = f"s3://{bucket}/"
    return identity.removeprefix(head) if identity.startswith(head) else identity[identity.rfind("s3://") :]


def outcome_of_image(image: MergedImage, bucket: str) -> OutcomeRow | None:
    """The row of a merged image; None where the source's own ledger says it all.

    :param bucket: of the ledger
    """
    if image.outcome not in _TOLD:
        return None
    entry = image.work or (image.line if image.outcome is Outcome.HELD else None)
    return OutcomeRow(
        key=ledger_key(image.identity, bucket),
        outcome=image.outcome,
        detail=image.detail,
        is_labelled=image.is_labelled,
        entry=entry.decode() if entry is not None else None,
        etag=image.etag,
        size_bytes=image.size_bytes,
        sent=image.sent,
        drawn_on=image.drawn_on or None,
    )


def outcome_of_row(row: LedgerRow) -> OutcomeRow | None:
    """The same from a closed ledger, where nothing has changed since."""
    outcome = _OUTCOME_OF_REASON.get(row.reason)
    if outcome is None and row.state not in IN_MANIFEST and row.state is not State.DROPPED:
        # A row with the source's own reason says by its entry or its digest that the dataset was concerned.
        if row.entry is None and row.sent is None:
            return None
        outcome = Outcome.WITHHELD if is_withheld(row) else Outcome.ASIDE
    # Of an image that is gone, the snapshot that lost it tells; later ones only keep a person's work.
    if outcome is None or (outcome in (Outcome.REMOVED, Outcome.ASIDE) and row.entry is None):
        return None
    return OutcomeRow(
        key=row.key,
        outcome=Outcome.ASIDE if outcome is Outcome.REMOVED else outcome,
        detail=_entry_stays(row) if outcome is Outcome.WITHHELD else row.detail.partition("; ")[0],
        is_labelled=row.state is State.REGISTERED,
        entry=row.entry.decode() if row.entry is not None else None,
        etag=row.etag,
        size_bytes=row.size_bytes,
        sent=row.sent,
        drawn_on=row.drawn_on,
    )


def is_withheld(row: LedgerRow) -> bool:
    """Whether the source has the image, and it cannot be imported as it is: its entry is then left alone.

    Only an image that is gone at its source is removed, never one that could not be read, copied or labelled, nor one
    that is newer than the import.
    """
    if row.reason is Reason.IN_TRAIN_LEDGER:
        # The state and reason are in the ledger of the train dataset, and in the detail of this one.
        is_at_fault = row.detail.startswith(tuple(AT_FAULT)) and not any(reason in row.detail for reason in _NO_IMAGE)
        return is_at_fault or Reason.NEWER_THAN_AS_OF in row.detail
    return row.reason is Reason.NEWER_THAN_AS_OF or (row.state in AT_FAULT and row.reason not in _NO_IMAGE)


def aside_of_row(row: LedgerRow) -> bytes | None:
    """A person's entry that a closed ledger keeps aside: the dataset has another one, or none."""
    return row.entry if row.state in _WITHOUT_ENTRY and not _entry_stays(row) else None


def _entry_stays(row: LedgerRow) -> str:
    return ENTRY_STAYS if ENTRY_STAYS in row.detail else ""


def remembered_work(row: LedgerRow) -> bytes | None:
    """A person's entry that a closed ledger remembers, whether the dataset held it or not."""
    if row.entry is None or row.reason is Reason.KEPT_DATASET_ENTRY:
        return row.entry
    if row.state in (State.HELD, State.DROPPED):
        # These rows have an entry in any case; it is a person's unless it says what was sent.
        return row.entry if read_entry(row.entry)[1].content != row.sent else None
    return row.entry if row.state in _WITHOUT_ENTRY else None


class SentColumn:
    """Digests by key, in the order of the keys, to be taken along beside a ledger.

    :param pages: keys, and what was last sent for each
    """

    def __init__(self, pages: Iterable[tuple[list[str], list[bytes | None]]]) -> None:
        self._pages = iter(pages)
        self._keys: list[str] = []
        self._digests: list[bytes | None] = []
        self._at = 0

    def take(self, keys: list[str]) -> list[bytes | None] | None:
        """The digests of the keys, which come in order over all calls; None where none of them has one."""
        self._load()
        stop = self._at + len(keys)
        if self._keys[self._at : stop] == keys:
            taken = self._digests[self._at : stop]
            self._at = stop
        else:
            taken = [self._find(key) for key in keys]
        return taken if any(taken) else None

    def _find(self, key: str) -> bytes | None:
        while self._load():
            if self._keys[self._at] == key:
                return self._digests[self._at]
            if self._keys[self._at] > key:
                return None
            self._at += 1
        return None

    def _load(self) -> bool:
        while self._at >= len(self._keys):
            page = next(self._pages, None)
            if page is None:
                return False
            self._keys, self._digests = page
            self._at = 0
        return True


def close_pages(
    pages: Iterable[LedgerPage],
    outcomes: Iterable[OutcomeRow],
    sent: SentColumn,
    entries: Mapping[str, Entry] | None,
    errors: Mapping[str, Entry],
    bucket: str,
) -> Iterator[LedgerPage]:
    """A registered ledger in its last state: `close_rows` page by page, and at once where nothing is said of a page."""
    remaining = iter(outcomes)
    outcome = next(remaining, None)

    def up_to(last: str | None) -> Iterator[OutcomeRow]:
        nonlocal outcome
        while outcome is not None and (last is None or outcome.key <= last):
            yield outcome
            outcome = next(remaining, None)

    for page in pages:
        last = page.objects.keys[-1]
        page = replace(page, sent=sent.take(page.objects.keys))
        if entries is None and not errors and (outcome is None or outcome.key > last):
            yield _registered(page)
        else:
            yield from ledger_pages(close_rows(ledger_rows(page), up_to(last), entries, errors, bucket))
    yield from ledger_pages(close_rows((), up_to(None), entries, errors, bucket))


def _registered(page: LedgerPage) -> LedgerPage:
    states: list[State] = [State.REGISTERED if state is State.LABELLED else state for state in page.states]
    if page.entries is None:
        return replace(page, states=states)
    sent = zip(page.states, page.entries, strict=True)
    return replace(page, states=states, entries=[entry if state in IN_MANIFEST else None for state, entry in sent])


def close_rows(
    rows: Iterable[LedgerRow],
    outcomes: Iterable[OutcomeRow],
    entries: Mapping[str, Entry] | None,
    errors: Mapping[str, Entry],
    bucket: str,
) -> Iterator[LedgerRow]:
    """The rows of a registered ledger in their last state, with those of images that are gone in their places.

    :param rows: as built from the source, sorted by key
    :param outcomes: sorted by key
    :param entries: all entries of the dataset by identity, where its counts gave reason to look them up
    :param errors: entries that have errors, by identity
    """
    remaining = iter(outcomes)
    outcome = next(remaining, None)
    for row in rows:
        while outcome is not None and outcome.key < row.key:
            yield from _gone(outcome)
            outcome = next(remaining, None)
        if outcome is not None and outcome.key == row.key:
            moved, outcome = _with_outcome(row, outcome), next(remaining, None)
        else:
            moved = row if row.state in IN_MANIFEST else row._replace(entry=None)
        yield _seen(moved, f"s3://{bucket}/{row.key}", entries, errors)
    while outcome is not None:
        yield from _gone(outcome)
        outcome = next(remaining, None)


def _gone(outcome: OutcomeRow) -> Iterator[LedgerRow]:
    """An image that the source does not have; none where a person has edited an entry of another import."""
    if outcome.outcome is Outcome.KEPT:
        return
    kind = outcome.outcome if outcome.outcome in _STATE_OF_OUTCOME else Outcome.ASIDE
    yield LedgerRow(
        key=outcome.key,
        size_bytes=outcome.size_bytes,
        etag=outcome.etag,
        state=_STATE_OF_OUTCOME[kind],
        reason=REASON_OF_OUTCOME[kind],
        detail=outcome.detail,
        entry=outcome.entry.encode() if outcome.entry is not None else None,
        sent=outcome.sent,
        drawn_on=outcome.drawn_on,
    )


def _with_outcome(row: LedgerRow, outcome: OutcomeRow) -> LedgerRow:
    entry = outcome.entry.encode() if outcome.entry is not None else None
    row = row._replace(sent=outcome.sent, drawn_on=outcome.drawn_on)
    if row.state not in IN_MANIFEST and outcome.outcome is Outcome.HELD:
        detail = "; ".join(filter(None, [f"in this import: {row.reason}", row.detail]))
        return row._replace(state=State.HELD, reason=Reason.HELD_UNTIL_REPLACED, detail=detail, entry=entry)
    if row.state not in IN_MANIFEST:
        # The source's own reason says why the image is not in the manifest.
        detail = "; ".join(filter(None, [row.detail, _FOLLOWS[outcome.outcome], outcome.detail]))
        return row._replace(detail=detail, entry=entry)
    state = _STATE_OF_OUTCOME.get(outcome.outcome)
    if state is None:
        state = State.REGISTERED if outcome.is_labelled else State.UNLABELLED
    is_work = state is State.QUARANTINED or outcome.outcome in (Outcome.KEPT, Outcome.OVERWRITTEN)
    return row._replace(
        state=state,
        reason=REASON_OF_OUTCOME[outcome.outcome],
        detail="; ".join(filter(None, [outcome.detail, row.detail])),
        entry=entry if is_work else row.entry,
    )


def _seen(row: LedgerRow, identity: str, entries: Mapping[str, Entry] | None, errors: Mapping[str, Entry]) -> LedgerRow:
    """What the service made of a row that was sent."""
    if row.state not in IN_MANIFEST:
        return row
    if entries is not None and identity not in entries:
        return row._replace(state=State.DROPPED, reason=Reason.DROPPED_BY_SERVICE)
    found = errors.get(identity)
    if found is not None and row.reason not in (Reason.ERRORS_AT_SOURCE, Reason.KEPT_DATASET_ENTRY):
        detail = "; ".join(filter(None, [", ".join(found.errors), row.detail]))
        return row._replace(state=State.DROPPED, reason=Reason.ENTRY_ERROR, detail=detail)
    return row._replace(state=State.REGISTERED) if row.state is State.LABELLED else row
