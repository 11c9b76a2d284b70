"""The objects of a bucket as they were at a time, from the versions that it keeps.

Source: Amazon S3 User Guide, *Working with object versions* and *Managing delete markers*: versions of a key are
listed from the newest to the oldest; a delete marker is a version without content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from include.custom_labels.history import NULL_VERSION
from include.custom_labels.objects import ObjectPage


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Consecutive versions of a listing as columns: in key order, and from the newest to the oldest within a key.

    :ivar keys: raw, as in an `ObjectPage`
    :ivar sizes: bytes; None for a delete marker
    :ivar etags: without quotes; empty for a delete marker
    :ivar last_modified: UTC as ``YYYY-MM-DDTHH:MM:SS``, fractions cut off
    :ivar are_latest: whether the key itself is this version now
    """

    keys: list[str]
    sizes: list[int | None]
    etags: list[str]
    last_modified: list[str]
    version_ids: list[str]
    are_latest: list[bool]

    def __len__(self) -> int:
        return len(self.keys)

    def slice(self, start: int, stop: int) -> VersionPage:
        """Versions ``start`` to ``stop`` (exclusive) as a page of their own."""
        return VersionPage(
            self.keys[start:stop],
            self.sizes[start:stop],
            self.etags[start:stop],
            self.last_modified[start:stop],
            self.version_ids[start:stop],
            self.are_latest[start:stop],
        )

    def unrecorded(self, as_of: str) -> int:
        """Versions written after ``as_of`` while none were kept: what they took the place of is not known."""
        if NULL_VERSION not in self.version_ids:
            return 0
        rows = zip(self.version_ids, self.last_modified, self.sizes, strict=True)
        return sum(version_id == NULL_VERSION and written > as_of and bool(size) for version_id, written, size in rows)


class ObjectsAsOf(NamedTuple):
    """:ivar version_ids: one an object: the version that its bytes have to be brought from, or None where its key has
    them still
    """

    objects: ObjectPage
    version_ids: list[str | None]


def objects_as_of(pages: Iterable[VersionPage], as_of: str) -> Iterator[ObjectsAsOf]:
    """Of each key the newest version written at or before ``as_of``, unless that is a delete marker.

    :param pages: of one listing, in its order; a key's versions may go on from one page to the next
    :param as_of: ``YYYY-MM-DDTHH:MM:SS`` UTC; S3 tells versions apart by the second, and that second counts
    """
    decided = ""
    for page in pages:
        chosen: list[int] = []
        for at, (key, written) in enumerate(zip(page.keys, page.last_modified, strict=True)):
            if written <= as_of and key != decided:
                decided = key
                if page.sizes[at] is not None:
                    chosen.append(at)
        if chosen:
            yield ObjectsAsOf(
                ObjectPage(
                    [page.keys[at] for at in chosen],
                    [page.sizes[at] or 0 for at in chosen],
                    [page.etags[at] for at in chosen],
                    [page.last_modified[at] for at in chosen],
                ),
                [None if page.are_latest[at] else page.version_ids[at] for at in chosen],
            )
