"""Airflow as on several machines, on this one: PostgreSQL, Redis, the services, and Celery workers of their own."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.ports import free_ports
from bench.postgresql import postgresql
from demo.airflow_api import AirflowApi, unhealthy_components
from demo.processes import Process, ProcessRegistry, wait_until
from demo.services import forget_aws_settings
from demo.settings import PROJECT_ROOT

HOST = "127.0.0.1"
ADMIN = "admin"
_SCRIPTS = Path(sys.executable).parent
_START_DEADLINE_S = 240.0

# A worker that dies is noticed after 20 seconds in place of five minutes (docs/deploy/compose.md).
QUICK_RECOVERY = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What runs, until the block of `running_installation` ends."""

    url: str
    password: str
    registry: ProcessRegistry
    workers: Sequence[Process]

    def api(self) -> AirflowApi:
        return AirflowApi(self.url, username=ADMIN, password=self.password)

    def worker_of(self, pid: int) -> Process | None:
        """The worker that a process belongs to."""
        return next((worker for worker in self.workers if pid in {each.pid for each in _tree(worker)}), None)

    def kill(self, worker: Process) -> None:
        """As if its machine had lost power: every process of the worker at once, without a word to anyone."""
        processes = _tree(worker)
        for process in processes:
            process.suspend()
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)


def _tree(worker: Process) -> list[psutil.Process]:
    leader = psutil.Process(worker.pid)
    return [leader, *leader.children(recursive=True)]


@contextmanager
def running_installation(
    folder: Path, *, workers: int, connection: str, variables: Mapping[str, str], settings: Mapping[str, str]
) -> Iterator[Installation]:
    """Start everything, in the order of what needs what, and end it when the block ends.

    :param folder: empty; for logs and what Airflow keeps
    :param workers: Celery workers, with one task at a time each
    :param connection: ``aws_default`` as JSON
    :param variables: of Airflow, by name
    :param settings: of Airflow, as environment variables
    :raises RuntimeError: something did not start; the message has the end of its log
    """
    with (
        postgresql() as database,
        _services(folder, database, workers, connection, variables, settings) as installation,
    ):
        yield installation


@contextmanager
def _services(
    folder: Path,
    database: str,
    workers: int,
    connection: str,
    variables: Mapping[str, str],
    settings: Mapping[str, str],
) -> Iterator[Installation]:
    """Redis, Airflow's services and the workers; ``database`` is SQLAlchemy's address."""
    registry = ProcessRegistry(folder)
    ports = dict(zip(("redis", "airflow"), free_ports(2), strict=True))
    url = f"http://{HOST}:{ports['airflow']}"
    password = secrets.token_urlsafe(12)
    passwords = folder / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({ADMIN: password}))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "PATH": os.pathsep.join([str(_SCRIPTS), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports["airflow"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{ports['redis']}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        # Files do not change here, and two cores have enough to do.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW_CONN_AWS_DEFAULT": connection,
        **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in variables.items()},
        **settings,
    }
    forget_aws_settings(environment)

    def start(name: str, *command: str) -> Process:
        return registry.start(name, command, environment=environment, ports=(), cwd=PROJECT_ROOT)

    try:
        start("redis", *_redis(folder, ports["redis"]))
        _wait(registry, "redis", ports["redis"])
        migrated = subprocess.run(
            ["airflow", "db", "migrate"], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
        )
        if migrated.returncode:
            raise RuntimeError(f"airflow db migrate: {migrated.stdout[-2000:]}{migrated.stderr[-2000:]}")
        start("api-server", "airflow", "api-server")
        start("scheduler", "airflow", "scheduler", "--skip-serve-logs")
        start("dag-processor", "airflow", "dag-processor")
        start("triggerer", "airflow", "triggerer", "--skip-serve-logs")
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        celery = (
            "airflow",
            "celery",
            "worker",
            "--skip-serve-logs",
            "--concurrency",
            "1",
            "--without-gossip",
            "--without-mingle",
        )
        started = [
            start(name, *celery, "--celery-hostname", name, "--pid", str(folder / f"{name}.pid")) for name in names
        ]

        def is_ready() -> bool:
            return not unhealthy_components(url) and all(_log(registry, name, " ready.") for name in names)

        if not wait_until(is_ready, deadline_s=_START_DEADLINE_S, interval_s=0.5):
            ends = "\n".join(f"== {process.name}\n{_tail(process)}" for process in registry.all())
            raise RuntimeError(f"Airflow was not ready after {_START_DEADLINE_S:.0f} seconds.\n{ends}")
        yield Installation(url=url, password=password, registry=registry, workers=started)
    finally:
        for process in reversed(registry.all()):
            registry.end(process)


def _redis(folder: Path, port: int) -> list[str]:
    return ["redis-server", "--bind", HOST, "--port", str(port), "--save", "", "--dir", str(folder)]


def _wait(registry: ProcessRegistry, name: str, port: int) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    if not wait_until(answers, deadline_s=30):
        process = registry.find(name)
        raise RuntimeError(f"{name} does not answer on {port}. {_tail(process) if process else ''}")


def _log(registry: ProcessRegistry, name: str, text: str) -> bool:
    process = registry.find(name)
    return process is not None and text in Path(process.log).read_text(errors="replace")


def _tail(process: Process) -> str:
    return Path(process.log).read_text(errors="replace")[-1500:]
