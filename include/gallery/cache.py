"""Files that the gallery makes once and keeps on local disk: indexes of datasets and of comparisons.

A file is made under another name and renamed when it is whole, in a thread of its own. The processes of one API server
share the folder: whoever takes the file's lock makes it, the others wait for it. A file that has not been used for
long goes when the folder becomes too large; readers that have it open still read it then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from include.custom_labels.errors import AccessError, CustomLabelsError

MAX_SIZE_BYTES: Final = 4 << 30
"""Size of the folder: some twenty datasets of 250,000 images."""

_FAILURE_S: Final = 30.0
_LEFTOVER_S: Final = 6 * 3600.0

Progress = Callable[[float], None]
"""Takes the share of the work that is done, from 0 to 1."""


class Building:
    """A file that is being made.

    :ivar progress: share of the work that is done, from 0 to 1
    """

    def __init__(self) -> None:
        self.progress = 0.0
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._failed_at = 0.0

    def report(self, progress: float) -> None:
        """Note how far it is."""
        self.progress = progress

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, within so many seconds.

        :raises CustomLabelsError: why the file could not be made
        """
        if not self._ended.wait(timeout_s):
            return False
        if self._failure is not None:
            raise self._failure
        return True

    @property
    def is_worth_another_try(self) -> bool:
        """Whether it failed, and long enough ago."""
        return self._failure is not None and time.monotonic() - self._failed_at > _FAILURE_S

    def end(self, failure: BaseException | None) -> None:
        """Say that it has ended."""
        self._failure, self._failed_at = failure, time.monotonic()
        self._ended.set()


class Cache:
    """A folder of files by name.

    :param folder: made for this user alone where there is none
    :raises AccessError: CACHE_FOLDER_UNUSABLE
    """

    def __init__(self, folder: Path, *, max_size_bytes: int = MAX_SIZE_BYTES) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner, is_open = folder.stat().st_uid, folder.stat().st_mode & 0o022
        except OSError as error:
            raise _unusable(folder, str(error)) from error
        if owner != os.getuid() or is_open:
            raise _unusable(folder, "others may write to it")
        self.folder = folder
        self._max_size_bytes = max_size_bytes
        self._lock = threading.Lock()
        self._buildings: dict[str, Building] = {}

    def find(self, name: str) -> Path | None:
        """The file of that name, which counts as used now; None where there is none."""
        path = self.folder / name
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def get(self, name: str, build: Callable[[Path, Progress], None]) -> Path | Building:
        """The file of that name, or its making, which begins now unless it is under way.

        :param build: makes the file at the path given to it, in a thread of its own
        :raises CustomLabelsError: why it could not be made, a moment ago
        """
        if path := self.find(name):
            return path
        with self._lock:
            building = self._buildings.get(name)
            if building is None or building.is_worth_another_try:
                building = self._buildings[name] = Building()
                threading.Thread(
                    target=self._build, args=(name, build, building), name=f"gallery {name}", daemon=True
                ).start()
        # What has ended between the two looks is there now.
        return (building.wait(0) and self.find(name)) or building

    def remove(self, name: str) -> None:
        """Remove a file that nobody is going to ask for."""
        (self.folder / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Of all files that are whole."""
        return [path.name for path in self.folder.iterdir() if path.suffix == ".sqlite"]

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of that name among all processes.

        :returns: whether it is held, which it always is with ``wait``
        """
        with (self.folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _build(self, name: str, build: Callable[[Path, Progress], None], building: Building) -> None:
        failure: BaseException | None = None
        part = self.folder / f"{name}.{os.getpid()}.part"
        try:
            with self.lock(name):
                if self.find(name) is None:
                    part.unlink(missing_ok=True)
                    build(part, building.report)
                    part.rename(self.folder / name)
            self._prune()
        # Whatever it is, those who wait for the file have to hear of it.
        except BaseException as error:
            failure = error
            if not isinstance(error, CustomLabelsError | OSError):
                raise
        finally:
            part.unlink(missing_ok=True)
            building.end(failure)
            if failure is None:
                with self._lock:
                    self._buildings.pop(name, None)

    def _prune(self) -> None:
        """Remove what others left unfinished, and what has not been used for longest, down to the size."""
        files: list[tuple[float, int, Path]] = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                if path.suffix == ".part" and time.time() - about.st_mtime > _LEFTOVER_S:
                    path.unlink()
                elif path.suffix == ".sqlite":
                    files.append((about.st_mtime, about.st_size, path))
        size_bytes = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if size_bytes <= self._max_size_bytes:
                return
            path.unlink(missing_ok=True)
            size_bytes -= size


def _unusable(folder: Path, why: str) -> AccessError:
    return AccessError(
        "CACHE_FOLDER_UNUSABLE",
        f"The gallery cannot keep its indexes in {folder}: {why}.",
        "Give it a folder that belongs to the API server's user alone.",
        location=str(folder),
    )
