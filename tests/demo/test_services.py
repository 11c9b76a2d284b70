from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_ports
from demo.errors import DemoError
from demo.services import NO_AWS_SETTINGS, Service, Services
from demo.settings import PROJECT_ROOT, Settings

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


class StubServices(Services):
    """The same starting and ending, with two sleeping processes for local AWS and Airflow."""

    airflow_command = SLEEP

    def _local_aws(self) -> Service:
        return self._stub(super()._local_aws(), SLEEP)

    def _airflow(self) -> Service:
        return self._stub(super()._airflow(), self.airflow_command)

    def _create_buckets(self) -> None:
        pass

    def _stub(self, service: Service, command: tuple[str, ...]) -> Service:
        return dataclasses.replace(service, command=command, is_ready=lambda: command == SLEEP, deadline_s=20)


class BrokenAirflow(StubServices):
    airflow_command = (sys.executable, "-c", "import sys; sys.exit('no database')")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    airflow, s3, rekognition = free_ports(3)
    return Settings(
        demo_dir=tmp_path,
        local_aws_dir=tmp_path / "aws",
        airflow_port=airflow,
        s3_port=s3,
        rekognition_port=rekognition,
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[StubServices]:
    services = StubServices(settings, say=lambda text: None)
    yield services
    services.down()


def test_up_starts_both_once_and_down_ends_both(services: StubServices) -> None:
    assert services.up()
    processes = services.registry.all()
    assert [process.name for process in processes] == ["local-aws", "airflow"]
    assert not services.up()
    assert services.registry.all() == processes
    assert services.down() == ["airflow", "local-aws"]
    assert services.down() == []
    assert not any(process.members() for process in processes)


def test_up_restarts_only_what_has_died(services: StubServices) -> None:
    services.up()
    aws, airflow = services.registry.all()
    os.kill(airflow.pid, signal.SIGKILL)
    os.waitpid(airflow.pid, 0)
    assert services.up()
    assert services.registry.find("local-aws") == aws
    assert services.registry.find("airflow") != airflow


@pytest.mark.parametrize("variable", ["AIRFLOW_PORT", "S3_PORT", "REKOGNITION_PORT"])
def test_a_taken_port_is_named_before_anything_is_started(services: StubServices, variable: str) -> None:
    port = getattr(services.settings, variable.lower())
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(DemoError, match=rf"Port {port} is taken .*{variable}={port + 100} make"):
            services.up()
        assert services.registry.all() == []


def test_other_ports_than_the_running_ones_are_refused(services: StubServices) -> None:
    services.up()
    elsewhere = dataclasses.replace(services.settings, airflow_port=services.settings.airflow_port + 1)
    with pytest.raises(DemoError, match=r"Airflow .*already runs on .*make down"):
        StubServices(elsewhere, say=lambda text: None).up()


def test_a_service_that_ends_takes_the_others_with_it_and_shows_its_log(settings: Settings) -> None:
    services = BrokenAirflow(settings, say=lambda text: None)
    with pytest.raises(DemoError, match=r"Airflow .*ended while it was starting") as failure:
        services.up()
    assert failure.value.log is not None
    assert "no database" in failure.value.log.read_text()
    assert services.registry.all() == []


def test_the_password_is_made_once_and_only_its_owner_can_read_it(services: StubServices) -> None:
    services.up()
    file = services.settings.passwords_file
    password = services.password()
    assert len(password) >= 12
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    services.down()
    services.up()
    assert services.password() == password


def test_airflow_gets_no_settings_of_the_caller(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services(settings, say=lambda text: None)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/elsewhere")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://production.example/airflow")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment = services._airflow().environment
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT_ROOT / "dags")
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == settings.database_url
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == NO_AWS_SETTINGS
    assert "127.0.0.1" in environment["NO_PROXY"]
    connection = json.loads(environment["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["extra"]["endpoint_url"] == settings.s3_url
    assert connection["extra"]["service_config"]["rekognition"]["endpoint_url"] == settings.rekognition_url


def test_airflows_database_can_be_another_than_sqlite(settings: Settings) -> None:
    database = Settings.from_environment({"DEMO_DATABASE": "postgresql+psycopg2://127.0.0.1/airflow"}).database
    services = Services(dataclasses.replace(settings, database=database), say=lambda text: None)
    found = services._airflow().environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert found == "postgresql+psycopg2://127.0.0.1/airflow"


def test_airflows_forking_parts_have_the_packages_and_nothing_of_the_project(settings: Settings) -> None:
    environment = Services(settings, say=lambda text: None)._airflow().environment
    program = (
        "import sys; sys.argv[1:] = ['scheduler']; import airflow_local_settings as found; "
        "print(*(set(found._PACKAGES) - set(sys.modules)), *(name for name in sys.modules if name == 'include'))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("scheduler", "scheduler --skip-serve-logs"),
        ("triggerer", "triggerer --skip-serve-logs"),
        ("api-server", "api-server"),
        ("standalone", "standalone"),
    ],
)
def test_airflows_parts_start_without_log_servers(part: str, expected: str) -> None:
    launcher = PROJECT_ROOT / "demo" / "bin" / "airflow"
    done = subprocess.run([launcher, part], env={"DEMO_AIRFLOW": "/bin/echo"}, capture_output=True, check=True)
    assert done.stdout.decode().strip() == expected
