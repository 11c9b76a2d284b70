"""`import_s3_folder` from its first task to its last, against the local services."""

from __future__ import annotations

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.places import Place

pytestmark = pytest.mark.integration


def test_first_import_creates_project_and_dataset(alexa_devices: Place, run_dag: RunDag) -> None:
    run = run_dag("import_s3_folder", alexa_devices.conf())
    assert run.state == "success"
    assert alexa_devices.entries() == {
        "alexa-devices/echo/echo-image-1.png": "echo",
    }
