"""Runs in processes of their own: a program that imports everything once and forks a child for each run.

Commands come as JSON lines, and so do reports: ``{"id": 1, "pid": 4711}`` once the child is there, and
``{"id": 1, "ended": {…}}`` when it has ended; without an ``ended`` that says how, it was killed.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

import msgspec

from tests.chaos.commands import Command
from tests.fixtures.local_aws import PROJECT

KILLED = {"state": "killed"}


@dataclass(slots=True)
class Job:
    """A run in a child.

    :ivar events: what is told of it: a report of the crew, or what a proxy's trap puts there
    """

    number: int
    events: queue.Queue[Any] = field(default_factory=queue.Queue)
    pid: int = 0

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Crew:
    """The driver's side."""

    def __init__(self, commands: IO[str], reports: IO[str]) -> None:
        self._commands = commands
        self._reports = reports
        self._numbers = count(1)
        self._jobs: dict[int, Job] = {}
        self._thread = threading.Thread(target=self._listen, name="chaos crew", daemon=True)
        self._thread.start()

    def begin(self, command: Command) -> Job:
        """Start a run; it has a process when this returns."""
        job = Job(next(self._numbers))
        self._jobs[job.number] = job
        self._commands.write(json.dumps({"id": job.number, "command": msgspec.to_builtins(command)}) + "\n")
        self._commands.flush()
        job.pid = job.events.get(timeout=60)["pid"]
        return job

    def _listen(self) -> None:
        for line in self._reports:
            report = json.loads(line)
            job = self._jobs[report["id"]]
            if "ended" in report:
                del self._jobs[job.number]
            job.events.put(report)


@contextmanager
def running_crew(folder: Path) -> Iterator[Crew]:
    """A crew until the block ends; its log is ``crew.log`` in the folder."""
    home = folder / "airflow"
    reading, writing = os.pipe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"PYTHONPATH": str(PROJECT), "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    with (
        (folder / "crew.log").open("w") as log,
        os.fdopen(reading) as reports,
        subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.crew", str(writing)],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            text=True,
        ) as process,
    ):
        os.close(writing)
        if process.stdin is None:
            raise RuntimeError("The crew was started without a pipe.")
        try:
            yield Crew(process.stdin, reports)
        finally:
            process.stdin.close()
            process.wait(30)


# The program


def main() -> None:
    from tests.chaos import runs

    runs.prepare()
    # Else each child's collector copies what it inherited, page by page.
    gc.freeze()
    reports = os.fdopen(int(sys.argv[1]), "w")
    children: dict[int, tuple[int, int, bytearray]] = {}

    def say(report: dict[str, Any]) -> None:
        reports.write(json.dumps(report) + "\n")
        reports.flush()

    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        rest = b""
        is_open = True
        while is_open or children:
            for key, _ in selector.select():
                data = os.read(key.fd, 65_536)
                if key.fd != sys.stdin.fileno():
                    number, pid, said = children[key.fd]
                    said += data
                    if not data:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        del children[key.fd]
                        os.waitpid(pid, 0)
                        say({"id": number, "ended": json.loads(said) if said else KILLED})
                    continue
                if not data:
                    selector.unregister(key.fd)
                    is_open = False
                    for _, pid, _ in children.values():
                        os.kill(pid, signal.SIGKILL)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    order = json.loads(line)
                    reading, pid = _fork(order["command"])
                    children[reading] = (order["id"], pid, bytearray())
                    selector.register(reading, selectors.EVENT_READ)
                    say({"id": order["id"], "pid": pid})


def _fork(command: dict[str, Any]) -> tuple[int, int]:
    """What the child will say is read from the first; its process id."""
    from tests.chaos import runs

    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return reading, pid
    os.close(reading)
    try:
        result = runs.carry_out(msgspec.convert(command, Command))
    except BaseException as error:  # nothing may go on in a second copy of the program
        result = {"state": "broken", "error": f"{type(error).__name__}: {error}"}
    os.write(writing, json.dumps(result).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
