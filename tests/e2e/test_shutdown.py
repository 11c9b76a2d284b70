"""The way back: what the demo started is bound to this machine, and `make down` ends all of it."""

from __future__ import annotations

import psutil
import pytest

from demo.airflow_api import AirflowApi
from tests.fixtures.running_demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


def test_nothing_listens_beyond_this_machine(demo: Demo, airflow: AirflowApi) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in demo.services.registry.all()
        for member in [*process.members(), *psutil.Process(process.pid).children(recursive=True)]
        for connection in member.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in listening} >= {demo.settings.airflow_port, demo.settings.s3_port}
    assert {address for address, _ in listening} == {"127.0.0.1"}


def test_down_ends_what_was_started_and_leaves_no_process(demo: Demo, airflow: AirflowApi) -> None:
    started = [
        member
        for process in demo.services.registry.all()
        for member in [*process.members(), *psutil.Process(process.pid).children(recursive=True)]
    ]
    assert len(started) > 5

    done = demo.command("down")

    assert done.returncode == 0, done.stdout + done.stderr
    left = [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert demo.services.registry.all() == []
    # No process of ours carries the demo's folder in its command line or environment any more.
    marks = [process.info["pid"] for process in psutil.process_iter(["pid", "environ"]) if _belongs(process, demo)]
    assert marks == []


def _belongs(process: psutil.Process, demo: Demo) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("AIRFLOW_HOME") == str(demo.settings.airflow_home) or environment.get(
        "LOCAL_AWS_DIR"
    ) == str(demo.settings.local_aws_dir)
