"""The compose file: what it has to be like everywhere, and that it comes up and imports where Docker can run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
import pytest
import yaml
from botocore.config import Config

from bench.ports import free_ports
from demo.airflow_api import AirflowApi, unhealthy_components
from demo.imports import Import, trigger_import
from demo.processes import wait_until
from include.local_aws.configuration import LOCAL
from include.rekognition.pool import POOL, POOL_SLOTS
from tests.deploy.docker_engine import docker_engine
from tests.fixtures.debian_packages import require_command
from tests.fixtures.places import picture

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yaml"
ENV_EXAMPLE = PROJECT / ".env.example"
PAGE = PROJECT / "docs" / "deploy" / "compose.md"
AIRFLOW: Final = {
    "airflow-init",
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-worker",
}
SECRETS: Final = {
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_API_SECRET",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_ADMIN_PASSWORD",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def variables() -> dict[str, str]:
    """What follows each variable's name in the compose file: ``:?…``, ``:-…`` or nothing."""
    return dict(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", COMPOSE_FILE.read_text()))


def example() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))


def test_the_services(services: dict[str, Any]) -> None:
    assert set(services) == AIRFLOW | {"postgres", "redis", "local-aws"}
    assert services["local-aws"]["profiles"] == ["local-aws"]
    assert not any("container_name" in service for service in services.values()), "then it could not be scaled"


def test_every_service_has_a_health_check_but_the_one_that_ends(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"airflow-init"}
    assert services["airflow-init"]["restart"] == "no"


def test_services_wait_for_what_they_need(services: dict[str, Any]) -> None:
    for name in AIRFLOW - {"airflow-init"}:
        assert {needed: how["condition"] for needed, how in services[name]["depends_on"].items()} == {
            "airflow-init": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


def test_ports_are_on_loopback(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any("ports" in services[name] or "network_mode" in services[name] for name in ("postgres", "redis"))


def test_all_airflow_services_have_the_same_configuration(services: dict[str, Any]) -> None:
    own = {"airflow-init": {"ADMIN_PASSWORD"}, "airflow-worker": {"DUMB_INIT_SETSID"}}
    shared = services["airflow-scheduler"]["environment"]
    for name in AIRFLOW:
        environment = services[name]["environment"]
        assert {key: environment[key] for key in environment.keys() - own.get(name, set())} == shared
        assert services[name]["image"] == services["airflow-scheduler"]["image"]


def test_what_airflow_has_to_be_told(services: dict[str, Any]) -> None:
    environment = services["airflow-worker"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "false"
    assert environment["PYTHONPATH"] == "/opt/airflow"
    # Without the driver's name, SQLAlchemy 2.1 takes another one.
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
    assert environment["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql+psycopg2://")


def test_images_are_pinned(services: dict[str, Any]) -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    images = [service["image"] for service in services.values()]
    images += re.findall(r"^ARG \w+_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    assert len(images) == len(services) + 2
    for image in images:
        assert re.fullmatch(r"[a-z0-9/-]+:\d[\w.-]*", image), image
    assert "FROM ${AIRFLOW_IMAGE}" in dockerfile
    assert "--require-hashes" in dockerfile


def test_the_images_are_those_of_the_stand_ins(services: dict[str, Any]) -> None:
    made = set(re.findall(r"^make (\S+)", (PROJECT / "scripts" / "stand_in_images").read_text(), re.MULTILINE))
    bases = set(re.findall(r"^ARG \w+_IMAGE=(.+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE))
    assert made == bases | {services["postgres"]["image"], services["redis"]["image"]}


def test_every_variable_is_in_the_example_and_the_other_way_round() -> None:
    assert set(variables()) == set(example())


def test_no_secret_has_a_value() -> None:
    assert {name for name, value in example().items() if not value} == SECRETS
    for name in SECRETS | {"AWS_CONNECTION", "CUSTOM_LABELS_WORKSPACE"}:
        assert variables()[name].startswith(":?"), name
    # All that is left have a default, which the example shows.
    defaults = {name: rest.removeprefix(":-") for name, rest in variables().items() if rest.startswith(":-")}
    assert {name: example()[name] for name in defaults} == defaults
    assert set(variables()) == SECRETS | {"AWS_CONNECTION", "CUSTOM_LABELS_WORKSPACE"} | set(defaults)


def test_there_is_no_secret_but_by_a_variable(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|AUTH$|BROKER_URL|BACKEND|SQL_ALCHEMY", name):
                assert "${" in value, name


def test_git_and_the_image_leave_env_out() -> None:
    assert ".env" in (PROJECT / ".gitignore").read_text().splitlines()
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert not any(line.startswith("!.") for line in ignored)


def made_env(folder: Path) -> Path:
    """The file that the page's command makes."""
    (command,) = re.findall(r"^\(umask.*> \.env\)$", PAGE.read_text(), re.MULTILINE)
    (folder / ".env.example").write_bytes(ENV_EXAMPLE.read_bytes())
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True)
    return folder / ".env"


def test_the_command_makes_every_secret_and_each_is_another(tmp_path: Path) -> None:
    file = made_env(tmp_path)
    made = dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE))
    assert made.keys() == example().keys()
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    # A Fernet key is 32 bytes in URL-safe base64; so is each of the others, which needs no quoting in addresses.
    assert {len(made[name]) for name in SECRETS} == {44}
    assert file.stat().st_mode & 0o077 == 0
    assert {name: value for name, value in made.items() if name not in SECRETS} == {
        name: value for name, value in example().items() if name not in SECRETS
    }


def compose_command(*arguments: str, env_file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    require_command("docker-compose")
    return subprocess.run(
        ["docker-compose", "--file", str(COMPOSE_FILE), "--env-file", str(env_file), *arguments],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name not in example()} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_reads_it_and_refuses_it_without_secrets(tmp_path: Path) -> None:
    file = made_env(tmp_path)
    done = compose_command("config", "--quiet", env_file=file)
    assert done.returncode == 0, done.stderr
    file.write_text(re.sub(r"(?m)^AIRFLOW_JWT_SECRET=.*$", "AIRFLOW_JWT_SECRET=", file.read_text()))
    refused = compose_command("config", "--quiet", env_file=file)
    assert refused.returncode != 0
    assert "that makes .env" in refused.stderr


def test_the_values_for_kubernetes_hold_no_secret() -> None:
    text = (PROJECT / "docs" / "deploy" / "kubernetes" / "values.yaml").read_text()
    values = yaml.safe_load(text)
    assert values["airflowVersion"] == "3.3.2"
    assert {values[name] for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")}
    assert not re.search(r"(?i)(password|secret|key): ", text)


class Compose:
    """The file brought up as a project of its own."""

    def __init__(self, folder: Path, docker_host: str) -> None:
        self.airflow_port, s3_port, rekognition_port = free_ports(3)
        self.env_file = made_env(folder)
        text = self.env_file.read_text()
        (local,) = re.findall(r"^# (AWS_CONNECTION=.*)$", text, re.MULTILINE)
        text = re.sub(r"(?m)^AWS_CONNECTION=.*$", lambda _: local, text)
        for name, value in (
            ("AIRFLOW_PORT", self.airflow_port),
            ("S3_PORT", s3_port),
            ("REKOGNITION_PORT", rekognition_port),
            ("AIRFLOW_BASE_URL", f"http://localhost:{self.airflow_port}"),
            ("WORKER_CONCURRENCY", 1),
        ):
            text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        self.env_file.write_text(text)
        self.values = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        self.url = f"http://127.0.0.1:{self.airflow_port}"
        self.endpoints = {"s3": f"http://127.0.0.1:{s3_port}", "rekognition": f"http://127.0.0.1:{rekognition_port}"}
        self._docker_host = docker_host
        self._project = f"custom-labels-{os.getpid()}"

    def __call__(self, *arguments: str) -> str:
        done = compose_command(
            "--project-name",
            self._project,
            "--profile",
            "local-aws",
            *arguments,
            env_file=self.env_file,
            DOCKER_HOST=self._docker_host,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def docker(self, *arguments: str) -> str:
        return subprocess.run(
            ["docker", *arguments],
            cwd=PROJECT,
            env=os.environ | {"DOCKER_HOST": self._docker_host},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def health(self) -> dict[str, str]:
        """Of each container, by its service."""
        found: dict[str, str] = {}
        for container in self("ps", "--quiet").split():
            about = json.loads(self.docker("inspect", container))[0]
            service = about["Config"]["Labels"]["com.docker.compose.service"]
            number = about["Config"]["Labels"]["com.docker.compose.container-number"]
            state = about["State"]
            found[f"{service}-{number}"] = state.get("Health", {}).get("Status", f"exited {state['ExitCode']}")
        return found

    def client(self, name: str) -> Any:
        return boto3.client(
            name,
            endpoint_url=self.endpoints[name],
            aws_access_key_id=LOCAL.access_key,
            aws_secret_access_key=LOCAL.secret_key,
            region_name="us-east-1",
            config=Config(proxies={}, s3={"addressing_style": "path"}),
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Stand-ins, the image, and everything up with two workers, from nothing."""
    with docker_engine() as host:
        up = Compose(tmp_path_factory.mktemp("compose"), host)
        require_command("debootstrap")
        subprocess.run(
            [str(PROJECT / "scripts" / "stand_in_images")], env=os.environ | {"DOCKER_HOST": host}, check=True
        )
        # Containers of the build may have no way out but the machine's own.
        for target, tag in (("airflow", "0.1.0"), ("local-aws", "0.1.0-local-aws")):
            up.docker("build", "--network", "host", "--target", target, "--tag", f"custom-labels-datasets:{tag}", ".")
        try:
            up("up", "--detach", "--no-build", "--scale", "airflow-worker=2")
            yield up
        finally:
            up("down", "--volumes", "--timeout", "20")


@pytest.mark.e2e
@pytest.mark.docker
@pytest.mark.timeout(2400)
def test_it_comes_up_and_imports(running: Compose) -> None:
    everything = {f"{name}-1" for name in AIRFLOW | {"postgres", "redis", "local-aws"}} | {"airflow-worker-2"}

    def is_well() -> bool:
        health = running.health()
        return {name for name, state in health.items() if state in {"healthy", "exited 0"}} >= everything

    started = time.monotonic()
    assert wait_until(is_well, deadline_s=900, interval_s=5), (running.health(), running("logs", "--tail", "20"))
    print(f"All containers were healthy {time.monotonic() - started:.0f} s after they were started.")
    assert running.health()["airflow-init-1"] == "exited 0"
    assert unhealthy_components(running.url) == []

    s3 = running.client("s3")
    for bucket in ("example-images", "example-workspace"):
        s3.create_bucket(Bucket=bucket)
    keys = [f"alexa-devices/{label}/{number}.png" for label in ("echo", "echo-dot") for number in range(3)]
    for key in keys:
        s3.put_object(Bucket="example-images", Key=key, Body=picture())

    assert httpx.get(f"{running.url}/api/v2/dags", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    password = running.values["AIRFLOW_ADMIN_PASSWORD"]
    with AirflowApi(running.url, username="admin", password=password) as airflow:
        assert airflow.pool(POOL)["slots"] == POOL_SLOTS
        wanted = Import(dag_id="import_s3_folder", conf={})
        run_id = trigger_import(airflow, wanted)

        def has_ended() -> bool:
            return airflow.run_state(wanted.dag_id, run_id) in {"success", "failed"}

        assert wait_until(has_ended, deadline_s=900, interval_s=3)
        instances = airflow.task_instances(wanted.dag_id, run_id)
        assert airflow.run_state(wanted.dag_id, run_id) == "success", [
            (each["task_id"], each["state"]) for each in instances
        ]
        # A finished task's log comes from the volume that all services share.
        summary = next(each for each in instances if each["task_id"] == "train.summarize")
        assert any("alexa-devices" in line for line in airflow.log_lines(wanted.dag_id, run_id, summary))

    (project,) = running.client("rekognition").describe_projects(ProjectNames=["alexa-devices"])["ProjectDescriptions"]
    (dataset,) = project["Datasets"]
    entries = running.client("rekognition").list_dataset_entries(DatasetArn=dataset["DatasetArn"])["DatasetEntries"]
    refs = {json.loads(entry)["source-ref"] for entry in entries}
    assert refs == {f"s3://example-images/{key}" for key in keys}
