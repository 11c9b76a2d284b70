"""Counts of a dataset's images, and of those of a view."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cachetools import LRUCache

from include.custom_labels.codes import Code
from include.custom_labels.ledger import State
from include.custom_labels.reasons import Reason
from include.gallery.catalog import CHANGE_NAMES, Catalog, Changes
from include.gallery.messages import Bin, Count, LabelCount, Statistics, View
from include.gallery.views import condition_of

SIZE_BIN: Final = 128
"""Pixels of width and of height that count together."""

_KEPT: Final = 200
_CODES: Final[dict[str, Code]] = {str(code): code for code in Code}

_STATES: Final = {
    State.LABELLED: "In the manifest with a label; the dataset was not registered from it.",
    State.UNLABELLED: "In the manifest, and in the dataset where one was registered, without a label; label it.",
    State.REGISTERED: "In the dataset with its label.",
    State.SKIPPED: "No image to import.",
    State.QUARANTINED: "An image by name that Rekognition would not read; mend or remove it.",
    State.REJECTED: "An image with a label that Rekognition would not accept; mend the label.",
    State.DROPPED: "Sent, and not usable in the dataset afterwards; see its errors.",
    State.HELD: "Gone from the source, and still in the dataset until it is replaced.",
    State.REMOVED: "Gone from the source, and from the dataset.",
    State.ASIDE: "Removed earlier; a person's work on it is kept, and comes back with the image.",
}
_CHANGES: Final = {
    "added": "Not in the snapshot before.",
    "removed": "In the snapshot before, and not in this one.",
    "changed": "The same key with other bytes.",
    "relabelled": "Other labels or boxes than in the snapshot before.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCounts:
    """Counts of a whole dataset, whatever is filtered; the members of `include.gallery.messages.DatasetPage`."""

    shown_images: int
    labelled: int
    boxed: int
    with_errors: int
    labels: list[LabelCount]
    states: list[Count]
    reasons: list[Count]
    errors: list[Count]
    changes: list[Count]


class CountsReader:
    """Counts datasets and views, once for each state of a catalog."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statistics: LRUCache[tuple[Path, int, bytes], Statistics] = LRUCache(_KEPT)
        self._counts: LRUCache[tuple[Path, int], DatasetCounts] = LRUCache(_KEPT)

    def read(self, catalog: Catalog, revision: int) -> DatasetCounts:
        """The counts of the catalog at that revision."""
        key = (catalog.path, revision)
        with self._lock:
            found = self._counts.get(key)
        if found is None:
            found = _count(catalog)
            with self._lock:
                self._counts[key] = found
        return found

    def statistics(self, catalog: Catalog, revision: int, view: View) -> Statistics:
        """`read_statistics` of the catalog at that revision."""
        key = (catalog.path, revision, msgspec.json.encode(view))
        with self._lock:
            found = self._statistics.get(key)
        if found is None:
            found = read_statistics(catalog, view)
            with self._lock:
                self._statistics[key] = found
        return found


def _count(catalog: Catalog) -> DatasetCounts:
    with catalog.connection() as connection:
        groups = connection.execute("SELECT * FROM groups WHERE images > 0").fetchall()
        labels = connection.execute(
            "SELECT name, images, boxed FROM labels JOIN label_counts USING (label) WHERE images > 0"
        ).fetchall()
        errors = connection.execute(
            "SELECT code, count(*) FROM image_errors JOIN images USING (n) WHERE in_dataset GROUP BY code"
        ).fetchall()
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    shown = labelled = boxed = with_errors = 0
    for in_dataset, is_labelled, is_boxed, state, reason, flags, has_errors, count in groups:
        states[state] += count
        reasons[reason] += count
        shown += in_dataset * count
        labelled += (in_dataset and is_labelled) * count
        boxed += (in_dataset and is_boxed) * count
        with_errors += (in_dataset and has_errors) * count
        for name, flag in CHANGE_NAMES.items():
            # As many as the view of that change has.
            if flags & flag and (in_dataset or flag is Changes.REMOVED):
                changes[name] += count
    return DatasetCounts(
        shown_images=shown,
        labelled=labelled,
        boxed=boxed,
        with_errors=with_errors,
        labels=_label_counts(labels),
        states=[_counted(value, states[value], _STATES[State(value)]) for value in State if states[value]],
        reasons=[_counted(value, count, _explain_reason(value)) for value, count in _most(reasons.items())],
        errors=[_counted(code, count, _explain_code(code)) for code, count in _most(errors)],
        changes=[_counted(name, changes[name], _CHANGES[name]) for name in CHANGE_NAMES if changes[name]],
    )


def read_statistics(catalog: Catalog, view: View) -> Statistics:
    """Class balance and image sizes of the images of a view."""
    condition = condition_of(view)
    with catalog.connection() as connection:
        (unlabelled,) = connection.execute(
            f"SELECT count(*) FROM images WHERE {condition.text} AND NOT labelled", condition.parameters
        ).fetchone()
        # Counted here: SQLite would sort them all first.
        sizes = Counter(
            connection.execute(
                f"SELECT width / {SIZE_BIN}, height / {SIZE_BIN}, width > 0 AND height > 0 FROM images "
                f"WHERE {condition.text}",
                condition.parameters,
            )
        )
        labels = connection.execute(
            "SELECT name, images, boxed FROM labels JOIN (SELECT label, count(*) AS images, sum(boxed) AS boxed "
            f"FROM image_labels WHERE n IN (SELECT n FROM images WHERE {condition.text}) GROUP BY label) USING (label)",
            condition.parameters,
        ).fetchall()
    return Statistics(
        labels=_label_counts(labels),
        unlabelled=unlabelled,
        sizes=[
            Bin(
                width_from=width * SIZE_BIN,
                width_until=(width + 1) * SIZE_BIN,
                height_from=height * SIZE_BIN,
                height_until=(height + 1) * SIZE_BIN,
                images=count,
            )
            for (width, height, is_known), count in sorted(sizes.items())
            if is_known
        ],
        unknown_sizes=sum(count for (_, _, is_known), count in sizes.items() if not is_known),
    )


def _label_counts(rows: list[tuple[str, int, int]]) -> list[LabelCount]:
    """Labels from the one with the most images on."""
    rows.sort(key=lambda row: (-row[1], row[0]))
    return [LabelCount(label=name, images=images, boxed_images=boxed) for name, images, boxed in rows]


def _counted(value: str, count: int, explanation: str) -> Count:
    return Count(value=str(value), count=count, explanation=explanation)


def _most(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def _explain_reason(reason: str) -> str:
    return Reason(reason).explanation


def _explain_code(code: str) -> str:
    """What a code means and what to do; empty for one that only the service knows."""
    known = _CODES.get(code)
    return f"{known.message} {known.next_step}" if known else ""
