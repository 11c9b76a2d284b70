from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.errors import DemoError
from demo.processes import Process, ProcessRegistry, wait_until

# A leader with a child in a process group of its own, as Airflow's task processes are.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print(child.pid, flush=True)
time.sleep(600)
"""
# A leader that ends its detached child itself, as local AWS does with SeaweedFS.
GUARDIAN = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
def end(*_):
    child.terminate(); child.wait(); sys.exit()
signal.signal(signal.SIGTERM, end)
print(child.pid, flush=True)
signal.pause()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("0", flush=True)
time.sleep(600)
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ProcessRegistry]:
    registry = ProcessRegistry(tmp_path)
    yield registry
    for process in registry.all():
        registry.end(process)


def start(registry: ProcessRegistry, script: str) -> tuple[Process, int]:
    """The process and the pid that its script printed."""
    process = registry.start(
        "probe", [sys.executable, "-c", script], environment=os.environ, ports=(1024,), cwd=Path("/")
    )
    log = Path(process.log)
    assert wait_until(lambda: log.read_text().endswith("\n"), deadline_s=20)
    return process, int(log.read_text())


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_ending_ends_the_leader_and_its_child_in_another_process_group(registry: ProcessRegistry) -> None:
    process, child = start(registry, FAMILY)
    assert process.is_running()
    assert os.getpgid(child) != process.pid

    registry.end(process)

    assert not lives(process.pid)
    assert not lives(child)
    assert registry.all() == []


def test_orphans_of_a_killed_leader_are_ended(registry: ProcessRegistry) -> None:
    process, child = start(registry, FAMILY)
    os.kill(process.pid, signal.SIGKILL)
    assert wait_until(lambda: not process.is_running(), deadline_s=10)
    assert lives(child)

    registry.end(process)

    assert not lives(child)


def test_a_detached_child_is_left_to_its_parent_and_waited_for(registry: ProcessRegistry) -> None:
    process, child = start(registry, GUARDIAN)
    assert os.getsid(child) != process.pid

    registry.end(process)

    assert not lives(child)


def test_what_ignores_sigterm_is_killed_at_the_deadline(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.processes.END_DEADLINE_S", 0.5)
    process, _ = start(registry, STUBBORN)

    registry.end(process)

    assert not lives(process.pid)


def test_a_reused_pid_is_left_alone(registry: ProcessRegistry, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True) as stranger:
        row = {"name": "probe", "pid": stranger.pid, "started_at": 1.0, "ports": [1024], "log": "unused.log"}
        (tmp_path / "processes.json").write_text(json.dumps([row]))
        recorded = registry.find("probe")
        assert recorded is not None
        assert not recorded.is_running()
        assert recorded.members() == []

        registry.end(recorded)

        assert stranger.poll() is None
        stranger.kill()


def test_a_restarted_process_replaces_its_record(registry: ProcessRegistry) -> None:
    first, _ = start(registry, STUBBORN)
    os.kill(first.pid, signal.SIGKILL)
    second, _ = start(registry, STUBBORN)
    assert registry.all() == [second]
    os.kill(second.pid, signal.SIGKILL)


def test_a_broken_record_is_an_error_and_not_an_empty_one(registry: ProcessRegistry, tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("[{")
    try:
        with pytest.raises(DemoError, match=r"processes\.json cannot be read"):
            registry.all()
    finally:
        (tmp_path / "processes.json").unlink()
