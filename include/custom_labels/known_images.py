"""What the last snapshot's ledger knows of images that have not changed since, so that they are not read again.

An image is unchanged when its key, its ETag and its size are the same. What was known of it then (its sides, or why
Rekognition would not read it) is known of it now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
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
    """Walks along a listing, page by page, beside an earlier ledger.

    :param pages: of the ledger, in key order, divided in any way
    """

    def __init__(self, pages: Iterable[LedgerPage]) -> None:
        self._pages = iter(pages)
        self._page = next(self._pages, None)
        self._at = 0
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
        at = 0
        while at < len(page):
            known = self._find(page.objects.keys[at])
            if known is None:
                at += 1
            elif (not at or not self._at) and (count := self._carry_run(moved, at, known)):
                at += count
                self._at += count
            else:
                self._carry_row(moved, at, known, place)
                at += 1
        return moved

    def _find(self, key: str) -> LedgerPage | None:
        """The page of the ledger that has the key, at `_at`; None where there is none."""
        while self._page is not None:
            keys = self._page.objects.keys
            while self._at < len(keys) and keys[self._at] < key:
                self._at += 1
            if self._at < len(keys):
                return self._page if keys[self._at] == key else None
            self._page, self._at = next(self._pages, None), 0
        return None

    def _carry_run(self, page: LedgerPage, at: int, known: LedgerPage) -> int:
        """Carry all rows that two pages have left at once, where nothing but sides is known of them; how many."""
        count = min(len(page) - at, len(known) - self._at)
        here, there = slice(at, at + count), slice(self._at, self._at + count)
        objects, before = page.objects, known.objects
        is_same = (
            before.keys[there] == objects.keys[here]
            and before.etags[there] == objects.etags[here]
            and before.sizes[there] == objects.sizes[here]
        )
        widths = known.widths[there]
        is_usual = (
            IN_MANIFEST.issuperset(page.states[here])
            and _BY_CONTENT.isdisjoint(known.reasons[there])
            and not any(known.details[there])
            and all(widths)
        )
        if not is_same or not is_usual:
            return 0
        page.widths[here], page.heights[here] = widths, known.heights[there]
        self.unchanged += count
        return count

    def _carry_row(self, page: LedgerPage, at: int, known: LedgerPage, place: Place | None) -> None:
        there, objects, before = self._at, page.objects, known.objects
        width, reason = known.widths[there], known.reasons[there]
        if page.reasons[at] is Reason.NEWER_THAN_AS_OF:
            if place is not None and width:
                page.states[at], page.labels[at], page.reasons[at] = place(objects.keys[at])
                page.details[at] = f"{Reason.NEWER_THAN_AS_OF}: taken as it is now"
            return
        is_same = (before.etags[there], before.sizes[there]) == (objects.etags[at], objects.sizes[at])
        if not is_same or page.states[at] not in IN_MANIFEST:
            return
        if reason in _BY_CONTENT:
            page.states[at], page.reasons[at], page.details[at] = State.QUARANTINED, reason, known.details[there]
        elif not width:
            return
        else:
            remarks = [part for part in known.details[there].split("; ") if part.startswith(_REMARKS)]
            page.details[at] = "; ".join(filter(None, [page.details[at], *remarks]))
        page.widths[at], page.heights[at] = width, known.heights[there]
        self.unchanged += 1
