"""Celery for real: two workers share an import, one of them dies in the middle of its shard, and nothing is lost."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.installation import QUICK_RECOVERY, Installation, running_installation
from bench.slow_s3 import Gate, slow_s3
from demo.airflow_api import AirflowApi
from demo.imports import Import, trigger_import
from demo.processes import Process, wait_until
from include.custom_labels.locations import S3Uri
from include.object_store.session import S3Session
from include.object_store.tables import read_ledger_objects
from include.rekognition.pool import POOL, POOL_SLOTS
from tests.fixtures.airflow_database import DAGS
from tests.fixtures.debian_packages import require_command, require_postgres
from tests.fixtures.local_aws import PROJECT, LocalAws
from tests.fixtures.places import Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]

DAG_ID = "import_s3_folder"
IMAGES = 2_600
"""Three shards: a page of the listing, which is never divided, has 1,000 images."""


def test_a_worker_that_dies_in_the_middle_of_its_shard_loses_nothing(place: Place, tmp_path: Path) -> None:
    require_command("redis-server")
    require_postgres()
    keys = [f"alexa-devices/label-{number % 4}/{number:04}.png" for number in range(IMAGES)]
    place.put(*keys)
    gate = Gate(place.images)
    with (
        slow_s3(place.aws.s3_endpoint, gate) as s3_endpoint,
        running_installation(
            tmp_path,
            workers=2,
            connection=connection(place.aws, s3_endpoint),
            variables={"custom_labels_workspace": f"s3://{place.workspace}/", "custom_labels_shard_seconds": "1"},
            settings={**QUICK_RECOVERY, **quick_tasks(tmp_path / "dags")},
        ) as installation,
        installation.api() as airflow,
    ):
        pool = airflow.pool(POOL)
        assert (pool["slots"], pool["include_deferred"]) == (POOL_SLOTS, True)
        wanted = Import(
            dag_id=DAG_ID, conf={"project": place.project, "s3_folder": f"s3://{place.images}/alexa-devices"}
        )
        run_id = trigger_import(airflow, wanted)

        at_work = workers_at_work(installation, airflow, run_id, gate)
        (killed, lost), (_, kept) = sorted(at_work.items(), key=lambda item: item[1])
        installation.kill(killed)
        gate.open()

        assert wait_until(lambda: has_ended(airflow, run_id), deadline_s=400, interval_s=3.0)
        assert airflow.run_state(DAG_ID, run_id) == "success"
        done = airflow.return_value(DAG_ID, run_id, "train.summarize")
        tries = {each["map_index"]: each["try_number"] for each in inspections(airflow, run_id)}

    assert tries[lost] == 2
    assert {tries[index] for index in tries if index != lost} == {1}
    assert sorted(tries) == [0, 1, 2]
    assert kept != lost
    assert sorted(place.entries()) == sorted(keys)
    assert Counter(place.entries().values()) == {f"label-{number}": IMAGES // 4 for number in range(4)}
    summary = json.loads(place.read(done["summary_uri"]))
    in_ledger = [key for key, _, _ in read_ledger_objects(S3Session(place.s3), S3Uri.parse(summary["ledger"]))]
    assert in_ledger == sorted(keys)


def quick_tasks(dags_folder: Path) -> dict[str, str]:
    """Settings under which tasks start with their packages imported, and are tried again at once."""
    dags_folder.mkdir()
    text = (DAGS / f"{DAG_ID}.py").read_text()
    text += "\nfrom datetime import timedelta\n\nfor task in dag.tasks:\n    task.retry_delay = timedelta(seconds=1)\n"
    (dags_folder / f"{DAG_ID}.py").write_text(text)
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "demo" / "config")]),
    }


def connection(aws: LocalAws, s3_endpoint: str) -> str:
    """Airflow's connection, with S3 behind the gate."""
    fields = json.loads(aws.airflow_connection())
    fields["extra"]["endpoint_url"] = s3_endpoint
    return json.dumps(fields)


def has_ended(airflow: AirflowApi, run_id: str) -> bool:
    return airflow.run_state(DAG_ID, run_id) in {"success", "failed"}


def inspections(airflow: AirflowApi, run_id: str) -> list[dict[str, Any]]:
    return [each for each in airflow.task_instances(DAG_ID, run_id) if each["task_id"] == "inspect_images"]


def workers_at_work(installation: Installation, airflow: AirflowApi, run_id: str, gate: Gate) -> dict[Process, int]:
    """Each worker with the shard that it is in the middle of: its requests for images have reached the gate."""
    found: dict[Process, int] = {}

    def both() -> bool:
        found.clear()
        for each in inspections(airflow, run_id):
            if each["state"] == "running" and each["pid"]:
                worker = installation.worker_of(each["pid"])
                if worker is not None:
                    found[worker] = each["map_index"]
        return len(found) == 2 and gate.waiting > 64

    assert wait_until(both, deadline_s=240, interval_s=2.0), (found, gate.waiting)
    return found
