"""The ledger: every object that was seen, in exactly one state, with a reason.

An object enters the ledger when it is listed (`include.custom_labels.labelling`), and each later step may only move
it on: nothing is ever taken out. Pages keep the order and the columns of the listing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice, repeat
from typing import Final, NamedTuple

from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason


class State(StrEnum):
    """What became of an object."""

    LABELLED = "labelled"
    """In the manifest with a label, not (yet) registered."""
    UNLABELLED = "unlabelled"
    """In the manifest, and in the dataset where one was registered, without a label."""
    REGISTERED = "registered"
    """In the dataset with its label."""
    SKIPPED = "skipped"
    """Not an image to import."""
    QUARANTINED = "quarantined"
    """An image by name that Rekognition would not read."""
    REJECTED = "rejected"
    """An image whose label Rekognition would not accept."""
    DROPPED = "dropped"
    """Sent, and not usable in the dataset afterwards."""
    HELD = "held"
    """Gone from the source, and still in the dataset."""
    REMOVED = "removed"
    """Gone from the source, and by this import from the dataset."""
    ASIDE = "aside"
    """Not in the dataset since an earlier import; a person's work on it is kept."""

    # Equal to its text, so it has the text's hash; that of Enum is computed in Python, for every row of a ledger.
    __hash__ = str.__hash__


IN_MANIFEST = frozenset({State.LABELLED, State.UNLABELLED, State.REGISTERED})
"""States whose objects have a line in the manifest."""

LABEL_SEPARATOR = "\n"

_PAGE_ROWS: Final = 1000

AT_FAULT = frozenset({State.QUARANTINED, State.REJECTED, State.DROPPED})
"""States of images that somebody wanted in the dataset and that are not."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Consecutive ledger rows as columns of one length, in the order of the listing.

    :ivar labels: the labels, or None; an entry with several has them joined with line breaks, which no label has
    :ivar details: what the reason says about this object, or empty
    :ivar widths: stored pixels, 0 where the image was not inspected
    :ivar heights: stored pixels, 0 where the image was not inspected
    :ivar entries: canonical manifest lines of the rows, with their line ends, where a source brought lines of its own;
        None where the line is made from key and label. In a closed ledger also a person's entries, see
        `include.custom_labels.outcomes`
    :ivar sent: digests of what this import last sent for the rows; None before the ledger is closed
    :ivar drawn_on: contents of the images that the boxes of people's entries were drawn on, as `content_of` writes them
    """

    objects: ObjectPage
    states: list[State]
    labels: list[str | None]
    reasons: list[Reason]
    details: list[str]
    widths: list[int]
    heights: list[int]
    entries: list[bytes | None] | None = None
    sent: list[bytes | None] | None = None
    drawn_on: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.states)


class LedgerRow(NamedTuple):
    """One row of a `LedgerPage`.

    :ivar place: the key under which the bytes lie now, where that is not `key`
    """

    key: str
    size_bytes: int
    etag: str = ""
    last_modified: str = ""
    state: State = State.UNLABELLED
    label: str | None = None
    reason: Reason = Reason.AT_FOLDER_LEVEL
    detail: str = ""
    width: int = 0
    height: int = 0
    entry: bytes | None = None
    place: str | None = None
    sent: bytes | None = None
    drawn_on: str | None = None


def content_of(etag: str, size_bytes: int) -> str:
    """What is in an image, as far as two images can be told apart by it; empty where nothing is known."""
    return f"{etag} {size_bytes}" if etag else ""


def ledger_rows(page: LedgerPage) -> Iterator[LedgerRow]:
    """The page row by row."""
    objects = page.objects
    columns = zip(
        objects.keys,
        objects.sizes,
        objects.etags,
        objects.last_modified,
        page.states,
        page.labels,
        page.reasons,
        page.details,
        page.widths,
        page.heights,
        page.entries or repeat(None, len(page)),
        objects.places or repeat(None, len(page)),
        page.sent or repeat(None, len(page)),
        page.drawn_on or repeat(None, len(page)),
        strict=True,
    )
    return map(LedgerRow._make, columns)


def ledger_pages(rows: Iterable[LedgerRow]) -> Iterator[LedgerPage]:
    """Rows as pages, in their order."""
    remaining = iter(rows)
    while page := list(islice(remaining, _PAGE_ROWS)):
        keys, sizes, etags, times, *rest = (list(column) for column in zip(*page, strict=True))
        states, labels, reasons, details, widths, heights, entries, places, sent, drawn_on = rest
        objects = ObjectPage(keys, sizes, etags, times, places if any(places) else None)
        lines = entries if any(entries) else None
        digests = sent if any(sent) else None
        contents = drawn_on if any(drawn_on) else None
        yield LedgerPage(objects, states, labels, reasons, details, widths, heights, lines, digests, contents)


@dataclass(slots=True)
class LedgerSummary:
    """Totals of a ledger; samples are capped, totals are true."""

    sample_size: int = 5
    objects: int = 0
    states: Counter[State] = field(default_factory=Counter)
    reasons: Counter[tuple[State, Reason]] = field(default_factory=Counter)
    images_per_label: Counter[str] = field(default_factory=Counter)
    samples: dict[tuple[State, Reason], list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Objects that are images, or pretend to be."""
        return self.objects - self.states[State.SKIPPED]

    @property
    def in_manifest(self) -> int:
        return sum(self.states[state] for state in IN_MANIFEST)

    @property
    def at_fault(self) -> int:
        return sum(self.states[state] for state in AT_FAULT)

    def add(self, page: LedgerPage) -> None:
        """Count a page."""
        self.objects += len(page)
        self.states.update(page.states)
        pairs = Counter(zip(page.states, page.reasons, strict=True))
        self.reasons.update(pairs)
        for (state, label), images in Counter(zip(page.states, page.labels, strict=True)).items():
            if label is not None and state in IN_MANIFEST:
                for each in label.split(LABEL_SEPARATOR):
                    self.images_per_label[each] += images
        for pair in pairs:
            samples = self.samples.setdefault(pair, [])
            if len(samples) < self.sample_size:
                self._sample(page, pair, samples)

    def _sample(self, page: LedgerPage, pair: tuple[State, Reason], samples: list[tuple[str, str]]) -> None:
        rows = zip(page.states, page.reasons, page.objects.keys, page.details, strict=True)
        for state, reason, key, detail in rows:
            if (state, reason) == pair:
                samples.append((key, detail))
                if len(samples) == self.sample_size:
                    return

    def add_all(self, pages: Iterable[LedgerPage]) -> None:
        """Count pages."""
        for page in pages:
            self.add(page)
