"""Where to cut a range of keys that is only partly known, so that both sides can be listed at the same time.

S3 tells neither how many keys a range holds nor where they are. But it lists from any text onwards, and keys are
spelled alike: counters, dates, hashes. The spelling of the keys seen so far, position by position, makes numbers of
keys; how far apart the first and the last key of a page are is the measure for the rest. A guess that is wrong costs a
request and no key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_KEY_BYTES = 1024
_DEPTH = 96
"""Characters of a key that are looked at, from where keys begin to differ."""
_CLASSES = tuple(map(frozenset, ("0123456789", "abcdef", "ABCDEF")))
_ALPHABETS = tuple(map(frozenset, ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")))
_DIGITS = _CLASSES[0]
_FAR = 3
"""How many times as far each further outlook is."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place between keys in the order of their UTF-8 bytes, which is the order of Python's strings.

    :ivar is_behind: whether a key that is ``text`` itself lies before the cut
    """

    text: str
    is_behind: bool

    def index(self, keys: Sequence[str]) -> int:
        """How many of the sorted keys lie before the cut."""
        return bisect_right(keys, self.text) if self.is_behind else bisect_left(keys, self.text)

    def is_before(self, key: str) -> bool:
        return key > self.text if self.is_behind else key >= self.text


def successor(text: str) -> str:
    """The text behind everything that begins with ``text``, as short as can be; "" where there is none."""
    for at in range(len(text) - 1, -1, -1):
        code = ord(text[at]) + 1
        if code <= 0x10FFFF:
            return text[:at] + chr(0xE000 if code == 0xD800 else code)
    return ""


def is_possible(text: str) -> bool:
    """Whether S3 takes the text for a place to list from."""
    return 0 < len(text) <= MAX_KEY_BYTES and len(text.encode()) <= MAX_KEY_BYTES


class KeySpace:
    """The keys of one listing as numbers; not for several threads at once."""

    def __init__(self) -> None:
        self._seen: list[set[str]] = []
        self._alphabets: dict[int, str] = {}
        # What may stand where digits stand: a hash has letters there, a counter has none.
        self._beside_digits: set[str] = set(_DIGITS)

    def observe(self, key: str) -> None:
        """Learn from a key how keys are spelled."""
        self._seen += [set() for _ in range(len(key) - len(self._seen))]
        for at, character in enumerate(key):
            seen = self._seen[at]
            if character in seen:
                continue
            seen.add(character)
            self._alphabets.pop(at, None)
            for letters in _CLASSES[1:]:
                is_hash = len(seen & letters) > 1 and not seen.isdisjoint(_DIGITS) and seen <= _DIGITS | letters
                if is_hash and not letters <= self._beside_digits:
                    self._beside_digits |= letters
                    self._alphabets.clear()

    def pages_between(self, page: tuple[str, str], after: str, stop: str | None, prefix: str) -> float | None:
        """How many pages the keys from ``after`` to ``stop`` would fill.

        :param page: the first and the last key of such a page
        :param stop: None for the end of what begins with ``prefix``
        :returns: None where that cannot be told
        """
        scale = self._scale(page, after, stop, prefix)
        return None if scale is None else scale.pages

    def cut_after(
        self, page: tuple[str, str], after: str, stop: str | None, prefix: str, *, pages: float
    ) -> str | None:
        """A text so many such pages behind ``after``; None where there is none before ``stop``."""
        scale = self._scale(page, after, stop, prefix)
        if scale is None:
            return None
        number = scale.after + max(1, int(scale.width * pages))
        text = page[0][: scale.start] + self._spelled(number, scale.start, scale.depth)
        return text if after < text and (stop is None or text < stop) and is_possible(text) else None

    def outlooks(self, page: tuple[str, str], after: str, prefix: str, *, pages: float) -> Iterator[str]:
        """Texts behind ``after`` that are further and further away: the ends of ever larger groups of keys.

        :param pages: the first of them is at least so many pages away
        """
        scale = self._scale(page, after, None, prefix)
        least = pages
        last = page[1]
        for at in range(len(last) - 1, len(prefix) - 1, -1):
            if at > len(prefix) and self._is_fixed(at) and self._is_fixed(at - 1):
                # Words change at their beginnings.
                continue
            text = successor(last[: at + 1])
            if text <= after or not text.startswith(prefix) or not is_possible(text):
                continue
            if scale is not None:
                distance = (self._number(text, scale.start, scale.depth) - scale.after) / scale.width
                if distance < least:
                    continue
                least = distance * _FAR
            yield text

    def _is_fixed(self, at: int) -> bool:
        return len(self._alphabet(at)) == 1

    def _scale(self, page: tuple[str, str], after: str, stop: str | None, prefix: str) -> _Scale | None:
        first, last = page
        start = len(prefix) if stop is None else shared(first, stop)
        depth = min(max(len(first), len(last), len(after)) - start, _DEPTH)
        if depth <= 0:
            return None
        width = self._number(last, start, depth) - self._number(first, start, depth)
        if width <= 0:
            return None
        number = self._number(after, start, depth)
        end = self._number(stop, start, depth) if stop is not None else self._end(start, depth)
        return _Scale(start, depth, number, width, (end - number) / width)

    def _alphabet(self, at: int) -> str:
        """The characters that keys have at a position, in order, those included that their class makes probable."""
        alphabet = self._alphabets.get(at)
        if alphabet is None:
            seen = self._seen[at] if at < len(self._seen) else set()
            probable = _completed(seen)
            if not _DIGITS.isdisjoint(seen):
                probable |= self._beside_digits
            alphabet = self._alphabets[at] = "".join(sorted(probable))
        return alphabet

    def _number(self, key: str, start: int, depth: int) -> int:
        """A number of mixed radix; keys never have larger ones than the keys behind them."""
        number = 0
        is_known = True
        for at in range(start, start + depth):
            alphabet = self._alphabet(at)
            digit = 0
            if is_known and at < len(key):
                digit = bisect_left(alphabet, key[at])
                # Behind a character that is in no key so far there is nothing to measure with.
                is_known = digit < len(alphabet) and alphabet[digit] == key[at]
            number = number * max(len(alphabet), 1) + digit
        return number

    def _end(self, start: int, depth: int) -> int:
        number = 1
        for at in range(start, start + depth):
            number *= max(len(self._alphabet(at)), 1)
        return number

    def _spelled(self, number: int, start: int, depth: int) -> str:
        digits: list[int] = []
        for at in range(start + depth - 1, start, -1):
            number, digit = divmod(number, max(len(self._alphabet(at)), 1))
            digits.append(digit)
        text = ""
        for at, digit in enumerate([number, *reversed(digits)], start):
            alphabet = self._alphabet(at)
            if digit >= len(alphabet):
                return text + (successor(alphabet[-1]) if alphabet else "")
            text += alphabet[digit]
        return text


class _Scale(NamedTuple):
    start: int
    depth: int
    after: int
    width: int
    pages: float


def _completed(seen: set[str]) -> set[str]:
    """With one digit come all; with two letters those of a hash, or the whole alphabet where it is none."""
    probable = set(seen)
    if not seen.isdisjoint(_DIGITS):
        probable |= _DIGITS
    for hexadecimal, letters in zip(_CLASSES[1:], _ALPHABETS, strict=True):
        found = seen & letters
        if len(found) > 1:
            probable |= hexadecimal if found <= hexadecimal else letters
    return probable


def shared(one: str, other: str) -> int:
    """How many characters two keys begin with that are the same."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
