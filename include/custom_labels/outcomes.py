"""The last move of each ledger row: what the merge with the dataset's entries, and the service, made of the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from include.custom_labels.dataset_entries import Entry
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.merge import MergedImage, Outcome
from include.custom_labels.reasons import Reason

REASON_OF_OUTCOME: Final = {
    Outcome.KEPT: Reason.KEPT_DATASET_ENTRY,
    Outcome.OVERWRITTEN: Reason.OVERWRITTEN_DATASET_ENTRY,
    Outcome.MISFIT: Reason.BOXES_DO_NOT_FIT,
    Outcome.HELD: Reason.HELD_UNTIL_REPLACED,
    Outcome.REMOVED: Reason.REMOVED_AT_SOURCE,
}
"""Outcomes that a ledger built from the source alone cannot tell."""
_STATE_OF_OUTCOME: Final = {
    Outcome.MISFIT: State.QUARANTINED,
    Outcome.HELD: State.HELD,
    Outcome.REMOVED: State.REMOVED,
}
_OUTCOME_OF_REASON: Final = {reason: outcome for outcome, reason in REASON_OF_OUTCOME.items()}


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the merge has to say about an image beyond what its source says.

    :ivar entry: the entry concerned: a person's that is kept aside, or one that is held
    """

    key: str
    outcome: Outcome
    detail: str = ""
    is_labelled: bool = False
    entry: str | None = None
    etag: str = ""
    size_bytes: int = 0


def outcome_of_image(image: MergedImage) -> OutcomeRow | None:
    """The row of a merged image; None where the source's own ledger says it all."""
    if image.outcome not in REASON_OF_OUTCOME:
        return None
    entry = image.aside or (image.line if image.outcome is Outcome.HELD else None)
    return OutcomeRow(
        key=image.identity.split("/", 3)[3],
        outcome=image.outcome,
        detail=image.detail,
        is_labelled=image.is_labelled,
        entry=entry.decode() if entry is not None else None,
        etag=image.etag,
        size_bytes=image.size_bytes,
    )


def outcome_of_row(row: LedgerRow) -> OutcomeRow | None:
    """The same from a closed ledger, where nothing has changed since."""
    outcome = _OUTCOME_OF_REASON.get(row.reason)
    # Of an image that is gone, the snapshot that lost it tells; later ones only keep a person's work.
    if outcome is None or (outcome is Outcome.REMOVED and row.entry is None):
        return None
    return OutcomeRow(
        key=row.key,
        outcome=outcome,
        detail=row.detail.partition("; ")[0],
        is_labelled=row.state is State.REGISTERED,
        entry=row.entry.decode() if row.entry is not None and outcome is not Outcome.KEPT else None,
        etag=row.etag,
        size_bytes=row.size_bytes,
    )


def aside_of_row(row: LedgerRow) -> bytes | None:
    """A person's entry that a closed ledger keeps aside."""
    return row.entry if row.state in (State.QUARANTINED, State.REJECTED, State.SKIPPED, State.REMOVED) else None


def close_pages(
    pages: Iterable[LedgerPage],
    outcomes: Iterable[OutcomeRow],
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
            yield _gone(outcome)
            outcome = next(remaining, None)
        if outcome is not None and outcome.key == row.key:
            moved, outcome = _with_outcome(row, outcome), next(remaining, None)
        else:
            moved = row if row.state in IN_MANIFEST else row._replace(entry=None)
        yield _seen(moved, f"s3://{bucket}/{row.key}", entries, errors)
    while outcome is not None:
        yield _gone(outcome)
        outcome = next(remaining, None)


def _gone(outcome: OutcomeRow) -> LedgerRow:
    """An image that the source does not have."""
    return LedgerRow(
        key=outcome.key,
        size_bytes=outcome.size_bytes,
        etag=outcome.etag,
        state=_STATE_OF_OUTCOME[outcome.outcome],
        reason=REASON_OF_OUTCOME[outcome.outcome],
        detail=outcome.detail,
        entry=outcome.entry.encode() if outcome.entry is not None else None,
    )


def _with_outcome(row: LedgerRow, outcome: OutcomeRow) -> LedgerRow:
    entry = outcome.entry.encode() if outcome.entry is not None else None
    if row.state not in IN_MANIFEST and outcome.outcome is Outcome.HELD:
        detail = "; ".join(filter(None, [f"in this import: {row.reason}", row.detail]))
        return row._replace(state=State.HELD, reason=Reason.HELD_UNTIL_REPLACED, detail=detail, entry=entry)
    if row.state not in IN_MANIFEST:
        # The source's own reason says why the image is gone from the manifest.
        detail = "; ".join(filter(None, [row.detail, f"{REASON_OF_OUTCOME[outcome.outcome]}: {outcome.detail}"]))
        return row._replace(detail=detail.removesuffix(": "), entry=entry)
    state = _STATE_OF_OUTCOME.get(outcome.outcome)
    if state is None:
        state = State.REGISTERED if outcome.is_labelled else State.UNLABELLED
    return row._replace(
        state=state,
        reason=REASON_OF_OUTCOME[outcome.outcome],
        detail="; ".join(filter(None, [outcome.detail, row.detail])),
        entry=entry if state is State.QUARANTINED else row.entry,
    )


def _seen(row: LedgerRow, identity: str, entries: Mapping[str, Entry] | None, errors: Mapping[str, Entry]) -> LedgerRow:
    """What the service made of a row that was sent."""
    if row.state not in IN_MANIFEST:
        return row
    if entries is not None and identity not in entries:
        return row._replace(state=State.DROPPED, reason=Reason.DROPPED_BY_SERVICE)
    found = errors.get(identity)
    if found is not None and row.reason is not Reason.ERRORS_AT_SOURCE:
        detail = "; ".join(filter(None, [", ".join(found.errors), row.detail]))
        return row._replace(state=State.DROPPED, reason=Reason.ENTRY_ERROR, detail=detail)
    return row._replace(state=State.REGISTERED) if row.state is State.LABELLED else row
