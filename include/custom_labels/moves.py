"""Images that lie elsewhere now, found by their content among those that were added and those that were removed."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

_PARTS: Final = 256
_NAMES_MAX: Final = 5_000


class Moves:
    """Pairs of a removed and an added image with the same ETag and size, where both are the only ones with these.

    Kept are 8 bytes an image, a digest of ETag and size, and the names of the first 5,000 of either kind: of pairs
    that are beyond them, only the number is known. The digest is Python's keyed hash: among 500,000 images, two
    different contents are taken for the same with a chance of 1 to 100 million.
    """

    def __init__(self) -> None:
        self._removed, self._added = _Side(), _Side()

    def remove(self, identity: str, content: tuple[str, int] | None) -> None:
        """Note an image that is gone, by ETag and size; None where they are not known."""
        if content is not None:
            self._removed.add(identity, hash(content))

    def add(self, identity: str, content: tuple[str, int] | None) -> None:
        """Note an image that is new, by ETag and size; None where they are not known."""
        if content is not None:
            self._added.add(identity, hash(content))

    def count(self) -> int:
        """Number of pairs."""
        parts = zip(self._removed.parts, self._added.parts, strict=True)
        return sum(len(_only_ones(removed) & _only_ones(added)) for removed, added in parts)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Where images lay and where they lie now, as far as names were kept, in the order of their removal."""
        for digest, identity in self._removed.names.items():
            moved_to = self._added.names.get(digest)
            if moved_to is not None and self._removed.has_one(digest) and self._added.has_one(digest):
                yield identity, moved_to


def find_moves(before: Iterable[tuple[str, str, int]], after: Iterable[tuple[str, str, int]]) -> dict[str, str]:
    """Where images are now that were elsewhere before: the same content, gone from one place and new at another.

    One to one: where several images of one content are gone, or new, nothing is said of them.

    :param before: identity, ETag and size of each image, sorted by identity
    :param after: the same of the images now
    :returns: the new identity by the old one
    """
    gone: dict[tuple[str, int], list[str]] = {}
    new: dict[tuple[str, int], list[str]] = {}
    older, newer = iter(before), iter(after)
    old, now = next(older, None), next(newer, None)
    while old is not None or now is not None:
        if old is not None and now is not None and old[0] == now[0]:
            old, now = next(older, None), next(newer, None)
        elif old is not None and (now is None or old[0] < now[0]):
            gone.setdefault(old[1:], []).append(old[0])
            old = next(older, None)
        elif now is not None:
            new.setdefault(now[1:], []).append(now[0])
            now = next(newer, None)
    # Without an ETag nothing is known of the content.
    return {
        places[0]: new[content][0]
        for content, places in gone.items()
        if content[0] and len(places) == 1 and len(new.get(content, ())) == 1
    }


class _Side:
    """Digests, parted by their last bits so that counting them takes little memory at a time."""

    def __init__(self) -> None:
        self.parts = tuple(array("q") for _ in range(_PARTS))
        self.names: dict[int, str] = {}

    def add(self, identity: str, digest: int) -> None:
        self.parts[digest % _PARTS].append(digest)
        if len(self.names) < _NAMES_MAX:
            self.names.setdefault(digest, identity)

    def has_one(self, digest: int) -> bool:
        return self.parts[digest % _PARTS].count(digest) == 1


def _only_ones(digests: array[int]) -> set[int]:
    return {digest for digest, count in Counter(digests).items() if count == 1}
