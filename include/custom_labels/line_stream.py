"""The lines of a manifest that comes in pieces, one by one or, where two manifests have the same, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.quotas import MAX_JSON_LINE_LENGTH

_SLICE_BYTES: Final = 1 << 18
# A character has at most four bytes.
_LONGEST_LINE_BYTES: Final = 4 * MAX_JSON_LINE_LENGTH.value
_FIRST_STEP_BYTES: Final = 1 << 10


class LineStream:
    r"""A manifest as far as it has been read.

    :param name: what errors call it
    :param chunks: its bytes, cut anywhere; a last line without ``\n`` counts
    :ivar line: the line at hand, without its line end; None at the end
    :ivar number: of the line at hand, counted from 1
    :raises ManifestError: ERROR_JSON_LINE_TOO_LONG, also when it goes on
    """

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self._name = name
        self._chunks = _slices(chunks)
        self._data = b""
        self._at = 0
        self.number = 1
        self.line = self._find_line()

    @property
    def place(self) -> str:
        """Where the line at hand stands, for errors."""
        return f"Line {self.number:,} of the {self._name} manifest"

    def step(self) -> None:
        """Go on to the next line."""
        if self.line is not None:
            self._at += len(self.line) + 1
            self.number += 1
            self.line = self._find_line()

    def skip(self, block: bytes) -> None:
        """Go on behind whole lines that `common_block` gave."""
        self._at += len(block)
        self.number += block.count(b"\n")
        self.line = self._find_line()

    def common_block(self, other: LineStream) -> bytes:
        """Whole lines at hand that the other stream has too, with their line ends; of what both have read."""
        # Steps grow while the bytes are the same; what they differ in is then looked for within the last one.
        ours, start = self._data, self._at
        theirs, shift = other._data, other._at - start
        end = min(len(ours), len(theirs) - shift)
        at, step = start, _FIRST_STEP_BYTES
        while at < end:
            stop = min(at + step, end)
            if ours[at:stop] != theirs[at + shift : stop + shift]:
                break
            at = stop
            step *= 2
        while step > 1 and at < end:
            step //= 2
            stop = min(at + step, end)
            if ours[at:stop] == theirs[at + shift : stop + shift]:
                at = stop
        return ours[start : ours.rfind(b"\n", start, at) + 1]

    def _find_line(self) -> bytes | None:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            if not self._refill():
                return None
            end = self._data.index(b"\n")
        return self._data[self._at : end]

    def _refill(self) -> bool:
        parts = [self._data[self._at :]]
        size = len(parts[0])
        self._data, self._at = b"", 0
        for chunk in self._chunks:
            parts.append(chunk)
            if b"\n" in chunk:
                self._data = b"".join(parts)
                return True
            size += len(chunk)
            if size > _LONGEST_LINE_BYTES:
                code = Code.ERROR_JSON_LINE_TOO_LONG
                message = f"{self.place} is too long. {code.message}"
                raise ManifestError(code, message, code.next_step, manifest=self._name, line_number=self.number)
        if size:
            self._data = b"".join(parts) + b"\n"
        return size > 0


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            yield chunk[start : start + _SLICE_BYTES]
