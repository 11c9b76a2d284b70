"""One running demo for all end-to-end tests; `test_shutdown.py`, the last of them, ends it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import httpx
import pytest

from demo.airflow_api import AirflowApi
from demo.services import IMAGES_BUCKET
from tests.fixtures.local_aws import require_weed
from tests.fixtures.running_demo import Demo, demo_in


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, subprocess.CompletedProcess[str]]]:
    """The demo and what its first `make demo` printed."""
    require_weed()
    for _ in range(3):
        demo = demo_in(tmp_path_factory.mktemp("demo"))
        done = demo.command("run")
        # Another program may have taken a port since it was found free.
        if "is taken" not in done.stdout:
            break
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield demo, done
    finally:
        demo.services.down()


@pytest.fixture(scope="session")
def demo(first_run: tuple[Demo, object]) -> Demo:
    return first_run[0]


@pytest.fixture(scope="session")
def airflow(demo: Demo) -> Iterator[AirflowApi]:
    with demo.services.airflow() as airflow:
        yield airflow


@pytest.fixture(scope="session")
def dataset_arn(demo: Demo) -> str:
    return str(demo.record()[f"s3://{IMAGES_BUCKET}/alexa-devices/"]["dataset_arn"])


@pytest.fixture(scope="session")
def token(demo: Demo) -> str:
    """An administrator's."""
    login = {"username": "admin", "password": demo.services.password()}
    answer = httpx.post(f"{demo.settings.airflow_url}/auth/token", json=login, trust_env=False)
    return str(answer.raise_for_status().json()["access_token"])
