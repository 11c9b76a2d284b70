r"""Keys, labels and file names as people may see them.

They are hostile text: a line break, an escape sequence or a mark that turns the direction of writing around can make
a table, a log or a page say something else. Python's `str.isprintable` says which characters are nothing but a
character; every other one is shown as Python writes it, such as ``\n``, ``\xa0`` or ``\u202e``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby


def visible(text: str) -> str:
    """The text on one line, with everything in it that cannot be seen written out."""
    return "".join(run for run, _ in visible_runs(text))


def visible_runs(text: str) -> Iterator[tuple[str, bool]]:
    """The same in runs, and whether each of them is written out."""
    for is_printable, characters in groupby(text, str.isprintable):
        run = "".join(characters)
        yield (run, False) if is_printable else (ascii(run)[1:-1], True)


def shortened(text: str, characters: int) -> str:
    """At most so many characters of the text: its start, ``…`` and its end, which is where keys differ."""
    if len(text) <= characters:
        return text
    start = (characters - 1) // 2
    return f"{text[:start]}…{text[len(text) - (characters - 1 - start) :]}"
