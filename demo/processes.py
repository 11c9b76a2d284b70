"""Background processes that outlive the command that started them, and end as a whole.

Each is started as the leader of a session of its own. Airflow's parts move themselves into other process groups
and live on when ``airflow standalone`` dies, but none of them leaves the session, so the session is what is ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from demo.errors import DemoError

END_DEADLINE_S = 20.0
KILL_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A session that we started. ``started_at`` (seconds since the epoch) tells a reused ``pid`` from ours."""

    name: str
    pid: int
    started_at: float
    ports: tuple[int, ...]
    log: str

    def is_running(self) -> bool:
        """Whether the leader lives."""
        leader = _process(self.pid)
        return leader is not None and self._started_then(leader) and not _is_zombie(leader)

    def members(self) -> list[psutil.Process]:
        """Every live process of the session, the leader's orphans included."""
        leader = _process(self.pid)
        if leader is not None and not self._started_then(leader):
            # The kernel gives a pid out again only when no session of that number is left.
            return []
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def _started_then(self, process: psutil.Process) -> bool:
        return abs(process.create_time() - self.started_at) < 1.0

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            return (
                os.getsid(process.pid) == self.pid
                and process.create_time() > self.started_at - 1.0
                and not _is_zombie(process)
            )
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            return False


class ProcessRegistry:
    """The processes of one demo, recorded in ``processes.json`` of its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "processes.json"

    def all(self) -> list[Process]:
        """Every recorded process, in the order of starting."""
        try:
            rows = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise DemoError(f"{self._file} cannot be read ({error}); it names what `make demo` started.") from error
        return [Process(**{**row, "ports": tuple(row["ports"])}) for row in rows]

    def find(self, name: str) -> Process | None:
        """The recorded process of that name."""
        return next((process for process in self.all() if process.name == name), None)

    def start(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], ports: Sequence[int], cwd: Path
    ) -> Process:
        """Start ``command`` in its own session, its output in ``<name>.log``, and record it at once."""
        logs = self._folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603  our own command
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(
            name=name,
            pid=child.pid,
            started_at=psutil.Process(child.pid).create_time(),
            ports=tuple(ports),
            log=str(log),
        )
        self._write([*(other for other in self.all() if other.name != name), process])
        # It is meant to outlive this object; without this Popen warns when it is collected.
        child.returncode = 0
        return process

    def end(self, process: Process) -> None:
        """End the whole session and wait until it is gone; forget it then.

        :raises DemoError: when a process survives SIGKILL.
        """
        _end_session(process)
        self._write([other for other in self.all() if other.name != process.name])

    def _write(self, processes: Sequence[Process]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps([asdict(process) for process in processes], indent=2))
        draft.replace(self._file)


def wait_until(condition: Callable[[], bool], *, deadline_s: float, interval_s: float = 0.2) -> bool:
    """Poll ``condition`` until it holds; false when ``deadline_s`` passed first."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval_s)
    return True


@contextmanager
def interrupts_as_errors() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, so that a half-started demo is taken down."""

    def interrupt(signal_number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_session(process: Process) -> None:
    # A child that went into a session of its own (SeaweedFS) is its parent's to end; only at the deadline is it ours.
    detached = _detached(process)
    asked: set[int] = set()

    def left() -> list[psutil.Process]:
        _reap(process.pid)
        return [*process.members(), *(child for child in detached if child.is_running() and not _is_zombie(child))]

    def gone() -> bool:
        for member in process.members():
            if member.pid not in asked:
                asked.add(member.pid)
                _send(member, signal.SIGTERM)
        return not left()

    def killed() -> bool:
        for member in left():
            _send(member, signal.SIGKILL)
        return not left()

    if not (wait_until(gone, deadline_s=END_DEADLINE_S) or wait_until(killed, deadline_s=KILL_DEADLINE_S)):
        pids = ", ".join(str(member.pid) for member in left())
        raise DemoError(f"{process.name} did not end; these processes are left: {pids}")


def _detached(process: Process) -> list[psutil.Process]:
    if not process.is_running():
        return []
    members = {member.pid for member in process.members()}
    try:
        descendants = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in descendants if child.pid not in members]


def _send(process: psutil.Process, signal_number: signal.Signals) -> None:
    # psutil compares the start time again before it sends.
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal_number)


def _reap(pid: int) -> None:
    # Only where the starting command itself ends it; otherwise init has it as its child.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
