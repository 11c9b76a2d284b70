"""What the last snapshot's ledger knows of images that have not changed since, so that they are not read again.

An image is unchanged when its key, its ETag and its size are the same. What was known of it then (its sides, or why
Rekognition would not read it) is known of it now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerRow, State
from include.custom_labels.reasons import Reason

_BY_CONTENT: Final = frozenset(
    {
        Reason.EMPTY_OBJECT,
        Reason.NOT_PNG_OR_JPEG,
        Reason.DAMAGED_HEADER,
        Reason.FILE_TOO_LARGE,
        Reason.SIDE_TOO_SHORT,
        Reason.SIDE_TOO_LONG,
        Reason.ASPECT_TOO_EXTREME,
    }
)
"""Reasons that an object's bytes gave, which stand as long as these do."""
_REMARKS: Final = (Reason.NAME_CONTRADICTS_CONTENT, Reason.LARGE_FILE)

Place = Callable[[str], tuple[State, str | None, Reason]]
"""State, label and reason of a key, by name alone."""


class KnownImages:
    """Walks along a listing, page by page, beside the rows of an earlier ledger.

    :param rows: in key order
    """

    def __init__(self, rows: Iterable[LedgerRow]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)
        self.unchanged = 0

    def carry(self, page: LedgerPage, place: Place | None) -> LedgerPage:
        """The page with what is known of its objects.

        An image that was overwritten after the time that the run is as of is taken as it is now: the listing does not
        have its old bytes, and without them it would count as removed.

        :param page: pages are to come in key order
        :param place: None to leave such an image out
        """
        moved = replace(
            page,
            states=list(page.states),
            labels=list(page.labels),
            reasons=list(page.reasons),
            details=list(page.details),
            widths=list(page.widths),
            heights=list(page.heights),
        )
        for at, key in enumerate(page.objects.keys):
            known = self._find(key)
            if known is None:
                continue
            if page.reasons[at] is Reason.NEWER_THAN_AS_OF:
                if place is None or not known.width:
                    continue
                moved.states[at], moved.labels[at], moved.reasons[at] = place(key)
                moved.details[at] = f"{Reason.NEWER_THAN_AS_OF}: taken as it is now"
            elif (known.etag, known.size_bytes) == (page.objects.etags[at], page.objects.sizes[at]):
                self._carry_row(moved, at, known)
        return moved

    def _find(self, key: str) -> LedgerRow | None:
        while self._next is not None and self._next.key < key:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next.key == key else None

    def _carry_row(self, page: LedgerPage, at: int, known: LedgerRow) -> None:
        if page.states[at] not in IN_MANIFEST:
            return
        if known.reason in _BY_CONTENT:
            page.states[at], page.reasons[at], page.details[at] = State.QUARANTINED, known.reason, known.detail
        elif not known.width:
            return
        else:
            remarks = [part for part in known.detail.split("; ") if part.startswith(_REMARKS)]
            page.details[at] = "; ".join(filter(None, [page.details[at], *remarks]))
        page.widths[at], page.heights[at] = known.width, known.height
        self.unchanged += 1
