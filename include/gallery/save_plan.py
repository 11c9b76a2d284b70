"""What a save is going to send: entries before and after, in a file, as many as there are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from include.custom_labels.quotas import SAFE_UPDATE_BYTES
from include.gallery.edits import ChangedEntry

_IN_MEMORY_BYTES: Final = 16 * 1024 * 1024


class ChangedEntries:
    """Entries in the order in which they were added; on disk where they are many. Closed as a context manager.

    :ivar total: how many
    """

    def __init__(self) -> None:
        self.total = 0
        # It lives as long as this object does.
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, entries: Iterable[ChangedEntry]) -> None:
        """Add some at the end."""
        self._file.seek(0, 2)
        for entry in entries:
            # Neither has a line end of its own.
            self._file.write(b"%b\n%b\n%b\n" % (entry.id.encode(), entry.before, entry.after))
            self.total += 1

    def __iter__(self) -> Iterator[ChangedEntry]:
        """From the first one on; nothing may be added meanwhile."""
        self._file.seek(0)
        lines = (line.removesuffix(b"\n") for line in self._file)
        for id in lines:
            yield ChangedEntry(id=id.decode(), before=next(lines), after=next(lines))

    def batches(self) -> Iterator[list[ChangedEntry]]:
        """As many at a time as fit into one request."""
        batch: list[ChangedEntry] = []
        size_bytes = 0
        for entry in self:
            line_bytes = len(entry.after) + 1
            if batch and size_bytes + line_bytes > SAFE_UPDATE_BYTES:
                yield batch
                batch, size_bytes = [], 0
            batch.append(entry)
            size_bytes += line_bytes
        if batch:
            yield batch
