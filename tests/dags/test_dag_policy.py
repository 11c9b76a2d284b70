"""What holds for every Dag: it imports, is documented, and does nothing while it is parsed."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import Any

import pytest

from include.pipelines.dataset_files import DATASETS
from include.pipelines.requests import S3FolderRequest, form
from include.pipelines.steps import step
from include.rekognition.pool import POOL, POOL_SLOTS, SLOTS_PER_REQUEST_S
from tests.fixtures.airflow_database import DAGS

IMPORTS = {"import_existing_dataset", "import_ground_truth", "import_local_computer", "import_s3_folder"}
REFRESHES = {f"refresh_{path.stem}" for path in DATASETS.glob("*.yaml")}


@pytest.fixture(scope="module")
def dags(airflow_database: None) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:

        def refuse(*_: object) -> None:
            raise AssertionError("a Dag file reached for the network while it was parsed")

        patch.setattr(socket.socket, "connect", refuse)
        dagbag = DagBag(str(DAGS))
    assert dagbag.import_errors == {}
    return dagbag.dags


def test_the_set_of_dags(dags: dict[str, Any]) -> None:
    assert {"refresh_alexa-devices"} <= REFRESHES
    assert set(dags) == IMPORTS | REFRESHES


@pytest.mark.parametrize("dag_id", sorted(IMPORTS | REFRESHES))
def test_policy(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.doc_md
    assert dag.description
    assert "custom-labels" in dag.tags
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.doc_md, task.task_id
        assert task.owner == "custom-labels", task.task_id
        # A person is asked once, and has the time that the question gives.
        is_question = task.task_id.endswith(".approve")
        assert task.retries == (0 if is_question else 2), task.task_id
        assert (task.response_timeout if is_question else task.execution_timeout) is not None, task.task_id


OF_DATASET = {
    "plan_registration": 20,
    "check_gate": 10,
    "register": 20,
}
"""Slots of the tasks that every dataset has."""
OF_SOURCE = {
    "import_s3_folder": {"divide_images": 10, "distribute_entries": 2},
    "import_local_computer": {"stage_files": 20, "assign_labels": 10, "divide_images": 10, "distribute_entries": 2},
    "import_ground_truth": {"read_annotations": 10, "divide_images": 10, "distribute_entries": 2},
    "import_existing_dataset": {"find_source": 10, "train.export_entries": 20, "test.export_entries": 20},
}


@pytest.mark.parametrize("dag_id", sorted(IMPORTS))
def test_tasks_that_call_rekognition_share_its_quota_and_no_others_do(dags: dict[str, Any], dag_id: str) -> None:
    """That no others call it is seen by whole runs: `tests/fixtures/airflow_database.py`."""
    pooled = {task.task_id: task.pool_slots for task in dags[dag_id].tasks if task.pool == POOL}
    of_datasets = {f"{kind}.{name}": slots for kind in ("train", "test") for name, slots in OF_DATASET.items()}
    assert pooled == {"check_access": 10, **OF_SOURCE[dag_id], **of_datasets}
    assert max(pooled.values()) <= POOL_SLOTS
    assert {task.pool for task in dags[dag_id].tasks} == {POOL, "default_pool"}


def test_a_deferred_task_asks_no_more_often_than_its_slots_say(dags: dict[str, Any]) -> None:
    task = dags["import_s3_folder"].get_task("train.register")
    assert task.pool_slots / SLOTS_PER_REQUEST_S >= 1 / task.waiter_delay


@pytest.mark.parametrize("dag_id", sorted(IMPORTS))
def test_imports_run_when_they_are_triggered(dags: dict[str, Any], dag_id: str) -> None:
    assert dags[dag_id].schedule is None


@pytest.mark.parametrize("dag_id", sorted(REFRESHES))
def test_refreshes_are_paused_where_airflow_pauses_new_dags(dags: dict[str, Any], dag_id: str) -> None:
    assert dags[dag_id].is_paused_upon_creation is None


def test_the_form_is_the_request(dags: dict[str, Any]) -> None:
    params = dags["import_s3_folder"].params
    assert dict(params) == {name: param.value for name, param in form(S3FolderRequest).items()}


def test_the_chain_of_the_design(dags: dict[str, Any]) -> None:
    dag = dags["import_s3_folder"]
    chain = [
        "validate_request",
        "check_access",
        "list_objects",
        "assign_labels",
        "inspect_images",
        "divide_images",
        "choose_types",
        "train.choose_dataset",
        "train.build_manifest",
        "train.validate_manifest",
        "train.plan_registration",
        "train.register",
        "train.publish_snapshot",
        "train.summarize",
    ]
    for before, after in pairwise(chain):
        assert after in dag.get_task(before).get_flat_relative_ids(upstream=False), (before, after)


def test_an_error_that_a_retry_may_mend_is_retried() -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from include.custom_labels.errors import AccessError

    def failing(code: str) -> None:
        raise AccessError(code, "Something is wrong.", "Do something.")

    with pytest.raises(AccessError):
        step(failing)("S3_UNAVAILABLE")
    with pytest.raises(AirflowFailException, match=r"ACCESS_DENIED: Something is wrong. Do something."):
        step(failing)("ACCESS_DENIED")
