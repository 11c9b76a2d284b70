"""One Airflow database and one pair of local AWS services for the whole session.

Airflow reads its settings when it is first imported, so they are set here, before any test module is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

_airflow_home = tempfile.mkdtemp(prefix="custom-labels-airflow-")
os.environ.update(
    AIRFLOW_HOME=_airflow_home,
    AIRFLOW__CORE__DAGS_FOLDER=str(PROJECT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(PROJECT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_airflow_home}/airflow.db",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=f"{_airflow_home}/logs",
    PYTHONPATH=str(PROJECT),
    # A task makes it where it is missing, which takes a running Airflow.
    AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID="example-airflow",
)
for name in [name for name in os.environ if name.startswith("AWS_")]:
    # A developer's own credentials and endpoints must never reach a test.
    del os.environ[name]

pytest_plugins = [
    "tests.fixtures.airflow_database",
    "tests.fixtures.browser",
    "tests.fixtures.lanes",
    "tests.fixtures.local_aws",
    "tests.fixtures.pictures",
    "tests.fixtures.places",
    "tests.fixtures.service_models",
]


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_airflow_home, ignore_errors=True)
