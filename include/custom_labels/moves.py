"""Images that lie elsewhere now, found among those that were added and those that were removed."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
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

    Of images without such a pair, one that is at the same key of another bucket is the same image: the images of a
    dataset lie in one bucket, and so move to another one all together. One to one: where several images of one content
    are gone, or new, nothing is said of them.

    :param before: identity, ETag and size of each image, sorted by identity
    :param after: the same of the images now
    :returns: the new identity by the old one
    """
    gone: dict[str, tuple[str, int]] = {}
    new: dict[str, tuple[str, int]] = {}
    older, newer = iter(before), iter(after)
    old, now = next(older, None), next(newer, None)
    while old is not None or now is not None:
        if old is not None and now is not None and old[0] == now[0]:
            old, now = next(older, None), next(newer, None)
        elif old is not None and (now is None or old[0] < now[0]):
            gone[old[0]] = old[1:]
            old = next(older, None)
        elif now is not None:
            new[now[0]] = now[1:]
            now = next(newer, None)
    if not gone or not new:
        return {}
    # Without an ETag nothing is known of the content.
    moves = _one_to_one(*({name: content for name, content in side.items() if content[0]} for side in (gone, new)))
    found = {*moves, *moves.values()}
    return moves | _one_to_one(*({name: key_of(name) for name in side if name not in found} for side in (gone, new)))


def key_of(identity: str) -> str:
    """The key of an image in its bucket, or in the one that it has left (`include.custom_labels.outcomes`)."""
    return identity.rpartition("s3://")[2].partition("/")[2]


def _one_to_one(gone: Mapping[str, Hashable], new: Mapping[str, Hashable]) -> dict[str, str]:
    """Pairs of what has the same mark, where both are the only ones with it."""
    old_places, places = _by_mark(gone), _by_mark(new)
    return {
        names[0]: places[mark][0]
        for mark, names in old_places.items()
        if len(names) == 1 and len(places.get(mark, ())) == 1
    }


def _by_mark(marks: Mapping[str, Hashable]) -> dict[Hashable, list[str]]:
    names: dict[Hashable, list[str]] = {}
    for name, mark in marks.items():
        names.setdefault(mark, []).append(name)
    return names


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
