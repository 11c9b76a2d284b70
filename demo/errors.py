"""The one exception of the demo."""

from __future__ import annotations

from pathlib import Path


class DemoError(Exception):
    """Something the person in front of the terminal has to know; its text is printed as it is.

    ``log`` is a file whose last lines say more.
    """

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log
