"""Keys and labels where people read them."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with its line breaks, control characters and invisible ones written as escapes.

    They have no business in a log or on a terminal: they could move the cursor, hide text or turn its direction.
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
