"""A Docker engine to test with: the one that runs, or one of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.processes import wait_until
from tests.fixtures.debian_packages import require_command

_START_DEADLINE_S = 40.0
_STOP_DEADLINE_S = 40.0


@contextmanager
def docker_engine() -> Iterator[str]:
    """The engine's address, as ``DOCKER_HOST`` has it; skips where none runs and none can be started.

    An engine that is started here keeps its data in a folder of its own, which is deleted with it, unless
    ``DOCKER_DATA`` names one.
    """
    require_command("docker")
    if _answers(os.environ.get("DOCKER_HOST", "")):
        yield os.environ.get("DOCKER_HOST", "")
        return
    if os.getuid() != 0:
        pytest.skip("no Docker engine runs here, and only root can start one")
    require_command("dockerd")
    folder = Path(tempfile.mkdtemp(prefix="custom-labels-docker-"))
    host = f"unix://{folder}/docker.sock"
    data = os.environ.get("DOCKER_DATA") or str(folder / "data")
    log = folder / "dockerd.log"
    options = (
        "--data-root",
        data,
        "--exec-root",
        str(folder / "exec"),
        "--pidfile",
        str(folder / "pid"),
        "--host",
        host,
    )
    with log.open("wb") as output:
        engine = subprocess.Popen(["dockerd", *options], stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: _answers(host) or engine.poll() is not None, deadline_s=_START_DEADLINE_S)
        if not _answers(host):
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            pytest.skip(f"no Docker engine can start here: {''.join(last)[:300]}")
        yield host
    finally:
        if engine.poll() is None:
            engine.send_signal(signal.SIGTERM)
        try:
            engine.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()
        # The engine leaves the network namespace of the host mounted there.
        namespace = folder / "exec" / "netns" / "default"
        if namespace.exists():
            subprocess.run(["umount", str(namespace)], check=True)
        shutil.rmtree(folder)


def _answers(host: str) -> bool:
    environment = os.environ | ({"DOCKER_HOST": host} if host else {})
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], env=environment, capture_output=True, check=False
    )
    return asked.returncode == 0
