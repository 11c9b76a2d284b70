"""What a listing says about objects, as columns.

One page holds about a thousand objects. Columns instead of one value an object: a listing has millions of
objects, and every step works on whole pages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """Consecutive objects of a listing, in the order of their keys' UTF-8 bytes; columns of one length.

    :ivar keys: object keys, raw: never percent-encoded, trimmed, normalized or case-folded
    :ivar sizes: bytes
    :ivar etags: without the quotes that S3 puts around them
    :ivar last_modified: UTC as ``YYYY-MM-DDTHH:MM:SS``, fractions cut off
    :ivar places: the key under which an object's bytes lie now, or None where that is its own key; None as a whole
        where that is so for all (`include.custom_labels.history`)
    """

    keys: list[str]
    sizes: list[int]
    etags: list[str]
    last_modified: list[str]
    places: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def slice(self, start: int, stop: int) -> ObjectPage:
        """Objects ``start`` to ``stop`` (exclusive) as a page of their own."""
        return ObjectPage(
            self.keys[start:stop],
            self.sizes[start:stop],
            self.etags[start:stop],
            self.last_modified[start:stop],
            None if self.places is None else self.places[start:stop],
        )

    def stored_keys(self, start: int = 0, stop: int | None = None) -> list[str]:
        """The keys under which the bytes of objects ``start`` to ``stop`` (exclusive) lie now."""
        keys = self.keys[start:stop]
        if self.places is None:
            return keys
        return [place or key for place, key in zip(self.places[start:stop], keys, strict=True)]
