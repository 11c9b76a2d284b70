"""Local AWS and Airflow as background processes of the demo."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from demo.airflow_api import AirflowApi, unhealthy_components
from demo.errors import DemoError
from demo.processes import Process, ProcessRegistry, wait_until
from demo.settings import ACCESS_KEY, PROJECT_ROOT, REGION, SECRET_KEY, Settings

if TYPE_CHECKING:
    # Stubs of the development requirements.
    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_s3 import S3Client

IMAGES_BUCKET = "example-images"
WORKSPACE_BUCKET = "example-workspace"
ADMIN = "admin"

LOCAL_AWS_DEADLINE_S = 60.0
# A first start of Airflow takes about a minute on two idle cores.
AIRFLOW_DEADLINE_S = 300.0

_CLIENT_CONFIG = Config(
    # Proxy settings are for the world outside; these services are on this machine.
    proxies={},
    connect_timeout=5,
    read_timeout=60,
    retries={"total_max_attempts": 2},
    max_pool_connections=32,
    s3={"addressing_style": "path"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service to start. ``is_ready`` answers at once; it is polled until ``deadline_s``."""

    name: str
    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    is_ready: Callable[[], bool]
    deadline_s: float


class Services:
    """What `make up` starts and `make down` ends."""

    def __init__(self, settings: Settings, *, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.registry = ProcessRegistry(settings.demo_dir)
        self._say = say
        self._session = boto3.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION
        )

    def up(self) -> bool:
        """Start what does not run and wait until it is ready; whether anything was started.

        When one service cannot be started, those that this call started are ended again.

        :raises DemoError: for a port that is taken, a service that ends by itself, a deadline that passes.
        """
        services = [self._local_aws(), self._airflow()]
        missing = [service for service in services if not self._runs(service)]
        for service in missing:
            _refuse_taken_ports(service)
        started: list[Process] = []
        try:
            for service in missing:
                self._say(f"Starting {service.title}")
                started.append(
                    self.registry.start(
                        service.name,
                        service.command,
                        environment=service.environment,
                        ports=tuple(service.ports.values()),
                        cwd=PROJECT_ROOT,
                    )
                )
                # One after the other: two cores are busy enough with one of them.
                self._wait_until_ready(service)
            for service in services:
                if service not in missing:
                    self._wait_until_ready(service)
            self._create_buckets()
        except BaseException:
            if started:
                self._say("Ending what was started")
            for process in reversed(started):
                self.registry.end(process)
            raise
        return bool(missing)

    def down(self) -> list[str]:
        """End every recorded process, the last started first; the names of those that were there."""
        ended = []
        for process in reversed(self.registry.all()):
            if process.members():
                self._say(f"Ending {process.name} ({', '.join(map(str, process.ports))})")
                ended.append(process.name)
            self.registry.end(process)
        return ended

    def airflow(self) -> AirflowApi:
        """A client logged in as the administrator of the demo."""
        return AirflowApi(self.settings.airflow_url, username=ADMIN, password=self.password())

    def password(self) -> str:
        """The administrator's password, made at the first start."""
        return str(json.loads(self.settings.passwords_file.read_bytes())[ADMIN])

    def s3(self) -> S3Client:
        return self._session.client("s3", endpoint_url=self.settings.s3_url, config=_CLIENT_CONFIG)

    def rekognition(self) -> RekognitionClient:
        return self._session.client("rekognition", endpoint_url=self.settings.rekognition_url, config=_CLIENT_CONFIG)

    def _runs(self, service: Service) -> bool:
        process = self.registry.find(service.name)
        if process is None:
            return False
        if not process.is_running():
            # Its leader is gone, but orphans of it may still hold the ports.
            self.registry.end(process)
            return False
        if process.ports != tuple(service.ports.values()):
            asked = ", ".join(f"{name}={port}" for name, port in service.ports.items())
            raise DemoError(
                f"{service.title} already runs on {', '.join(map(str, process.ports))}, and {asked} was asked for. "
                "Run `make down` first."
            )
        return True

    def _wait_until_ready(self, service: Service) -> None:
        process = self.registry.find(service.name)
        if process is None:
            raise DemoError(f"{service.title} was ended while it was waited for.")
        log = Path(process.log)

        def ready_or_ended() -> bool:
            return service.is_ready() or not process.is_running()

        in_time = wait_until(ready_or_ended, deadline_s=service.deadline_s, interval_s=0.5)
        if not process.is_running():
            raise DemoError(f"{service.title} ended while it was starting.", log=log)
        if not in_time:
            raise DemoError(f"{service.title} was not ready after {service.deadline_s:.0f} seconds.", log=log)

    def _create_buckets(self) -> None:
        s3 = self.s3()
        existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        for bucket in (IMAGES_BUCKET, WORKSPACE_BUCKET):
            if bucket not in existing:
                s3.create_bucket(Bucket=bucket)

    def _local_aws(self) -> Service:
        settings = self.settings

        def is_ready() -> bool:
            try:
                self.s3().list_buckets()
                self.rekognition().describe_projects(MaxResults=1)
            except (BotoCoreError, ClientError):
                return False
            return True

        return Service(
            name="local-aws",
            title="local AWS",
            command=(sys.executable, "-m", "include.local_aws"),
            environment=_environment(
                LOCAL_AWS_DIR=str(settings.local_aws_dir),
                S3_PORT=str(settings.s3_port),
                REKOGNITION_PORT=str(settings.rekognition_port),
            ),
            ports={"S3_PORT": settings.s3_port, "REKOGNITION_PORT": settings.rekognition_port},
            is_ready=is_ready,
            deadline_s=LOCAL_AWS_DEADLINE_S,
        )

    def _airflow(self) -> Service:
        settings = self.settings
        _make_password(settings.passwords_file)
        scripts = Path(sys.executable).parent
        return Service(
            name="airflow",
            title="Airflow (the first time takes a minute or two)",
            command=("airflow", "standalone"),
            environment=_environment(
                PYTHONPATH=os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "demo" / "config")]),
                PATH=os.pathsep.join([str(PROJECT_ROOT / "demo" / "bin"), str(scripts), os.environ.get("PATH", "")]),
                DEMO_AIRFLOW=str(scripts / "airflow"),
                AIRFLOW_HOME=str(settings.airflow_home),
                AIRFLOW__API__HOST="127.0.0.1",
                AIRFLOW__API__PORT=str(settings.airflow_port),
                AIRFLOW__API__BASE_URL=settings.airflow_url,
                AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{settings.airflow_url}/execution/",
                AIRFLOW__CORE__DAGS_FOLDER=str(PROJECT_ROOT / "dags"),
                AIRFLOW__CORE__PLUGINS_FOLDER=str(PROJECT_ROOT / "plugins"),
                AIRFLOW__CORE__LOAD_EXAMPLES="False",
                AIRFLOW__CORE__EXECUTOR="LocalExecutor",
                # More writers than this lock each other out of SQLite.
                AIRFLOW__CORE__PARALLELISM="4",
                # A run is a chain of short tasks: with Airflow's second, it would mostly wait for the scheduler.
                AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME="0.2",
                AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=f"{ADMIN}:admin",
                AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(settings.passwords_file),
                AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=settings.database_url,
                AIRFLOW_CONN_AWS_DEFAULT=_connection(settings),
                AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE=f"s3://{WORKSPACE_BUCKET}/",
            ),
            ports={"AIRFLOW_PORT": settings.airflow_port},
            is_ready=lambda: not unhealthy_components(settings.airflow_url),
            deadline_s=AIRFLOW_DEADLINE_S,
        )


# A profile, an endpoint or credentials of the caller's would lead to a real account.
NO_AWS_SETTINGS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def forget_aws_settings(environment: MutableMapping[str, str]) -> None:
    """Leave nothing of the caller's AWS settings in ``environment``."""
    for name in [name for name in environment if name.startswith("AWS_")]:
        del environment[name]
    environment.update(NO_AWS_SETTINGS)


def _environment(**own: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    forget_aws_settings(inherited)
    loopback = "127.0.0.1,localhost"
    return {
        **inherited,
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        **own,
    }


def _connection(settings: Settings) -> str:
    return json.dumps(
        {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {
                "region_name": REGION,
                "endpoint_url": settings.s3_url,
                "service_config": {"rekognition": {"endpoint_url": settings.rekognition_url}},
            },
        }
    )


def _make_password(file: Path) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    draft.replace(file)


def _refuse_taken_ports(service: Service) -> None:
    for name, port in service.ports.items():
        with socket.socket() as probe:
            # A port whose last connections linger is free; one that something listens on is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise DemoError(
                    f"Port {port} is taken by another program. End it, or choose another port for "
                    f"{service.title.partition(' (')[0]}: {name}={port + 100} make …"
                ) from error
