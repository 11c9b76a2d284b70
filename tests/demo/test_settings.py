from __future__ import annotations

from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.settings import PROJECT_ROOT, Settings


def test_the_defaults_are_those_of_the_readme() -> None:
    settings = Settings.from_environment({})
    assert settings.airflow_url == "http://127.0.0.1:8080"
    assert settings.s3_url == "http://127.0.0.1:8333"
    assert settings.rekognition_url == "http://127.0.0.1:8334"
    assert settings.demo_dir == PROJECT_ROOT / ".demo"
    assert settings.local_aws_dir == PROJECT_ROOT / ".local-aws"
    assert settings.database_url == f"sqlite:///{PROJECT_ROOT / '.demo' / 'airflow' / 'airflow.db'}"


def test_the_environment_overrides_them(tmp_path: Path) -> None:
    settings = Settings.from_environment({"AIRFLOW_PORT": "9080", "DEMO_DIR": str(tmp_path)})
    assert settings.airflow_port == 9080
    assert settings.airflow_home == tmp_path / "airflow"


@pytest.mark.parametrize("port", ["80", "65536", "-1", "http", "8080 ", "８０８０"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(DemoError, match=r"S3_PORT=.* is not a port from 1024 to 65535"):
        Settings.from_environment({"S3_PORT": port})


def test_one_port_for_two_services_is_refused() -> None:
    with pytest.raises(DemoError, match="three different ports"):
        Settings.from_environment({"AIRFLOW_PORT": "8333"})
