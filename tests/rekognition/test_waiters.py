from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import WaiterError

from include.rekognition.hook import RekognitionHook
from tests.rekognition.arns import DATASET_ARN, PROJECT, PROJECT_ARN
from tests.rekognition.scripted_service import Refusal, ScriptedRekognition, dataset, project

MODEL = botocore.session.get_session().get_service_model("rekognition")
DATASET_STATUSES = set(MODEL.shape_for("DatasetStatus").enum)
PROJECT_STATUSES = set(MODEL.shape_for("ProjectStatus").enum)

# What each status means to each waiter. A waiter that is missing here fails test_every_waiter_is_tested.
OUTCOMES = {
    "dataset_created": {
        "success": {"CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_FAILED"},
        "retry": {"CREATE_IN_PROGRESS"},
        "failure": {"CREATE_FAILED", "DELETE_IN_PROGRESS"},
    },
    "dataset_updated": {
        "success": {"UPDATE_COMPLETE"},
        "retry": {"CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS"},
        "failure": {"CREATE_FAILED", "UPDATE_FAILED", "DELETE_IN_PROGRESS"},
    },
    "dataset_deleted": {
        "success": set(),
        "retry": {"CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE", "UPDATE_FAILED", "DELETE_IN_PROGRESS"},
        "failure": {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"},
    },
    "dataset_ready": {
        "success": {"CREATE_COMPLETE", "UPDATE_COMPLETE"},
        "retry": {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"},
        "failure": {"CREATE_FAILED", "UPDATE_FAILED", "DELETE_IN_PROGRESS"},
    },
    "project_created": {"success": {"CREATED"}, "retry": {"CREATING"}, "failure": {"DELETING"}},
    "project_deleted": {"success": set(), "retry": {"CREATED", "DELETING"}, "failure": {"CREATING"}},
}
GONE = {
    "dataset_created": "failure",
    "dataset_updated": "failure",
    "dataset_deleted": "success",
    "dataset_ready": "failure",
    "project_created": "retry",
    "project_deleted": "success",
}
DONE = {
    "dataset_created": dataset("CREATE_COMPLETE"),
    "dataset_updated": dataset("UPDATE_COMPLETE"),
    "dataset_deleted": Refusal("ResourceNotFoundException"),
    "dataset_ready": dataset("UPDATE_COMPLETE"),
    "project_created": project(PROJECT_ARN),
    "project_deleted": {"ProjectDescriptions": []},
}
CASES = [
    (waiter, status, outcome)
    for waiter, outcomes in OUTCOMES.items()
    for outcome, statuses in outcomes.items()
    for status in sorted(statuses)
]


def subject(waiter_name: str) -> tuple[str, str, dict[str, Any]]:
    if waiter_name.startswith("project"):
        return "DescribeProjects", PROJECT, {"ProjectDescriptions": []}
    return "DescribeDataset", DATASET_ARN, {}


def wait(hook: RekognitionHook, waiter_name: str) -> None:
    _, resource, _ = subject(waiter_name)
    hook.get_waiter(waiter_name).wait(
        **hook.waiter_arguments(waiter_name, resource), WaiterConfig={"Delay": 0.01, "MaxAttempts": 3}
    )


@pytest.fixture
def hook(aws_connection: str) -> RekognitionHook:
    return RekognitionHook(
        aws_conn_id=aws_connection, config={"retries": {"mode": "standard", "total_max_attempts": 1}}
    )


def test_every_waiter_is_tested(hook: RekognitionHook) -> None:
    with open(hook.waiter_path) as model:
        assert set(json.load(model)["waiters"]) == set(OUTCOMES) == set(GONE) == set(DONE)
    assert set(OUTCOMES) <= set(hook.list_waiters())


@pytest.mark.parametrize("waiter_name", OUTCOMES)
def test_every_status_is_in_every_waiter(hook: RekognitionHook, waiter_name: str) -> None:
    with open(hook.waiter_path) as model:
        acceptors = json.load(model)["waiters"][waiter_name]["acceptors"]
    every_status = PROJECT_STATUSES if waiter_name.startswith("project") else DATASET_STATUSES
    listed = [a["expected"] for a in acceptors if "Status" in a["argument"]]
    assert sorted(listed) == sorted(every_status)
    assert set.union(*OUTCOMES[waiter_name].values()) == every_status
    assert all("argument" in acceptor for acceptor in acceptors)


@pytest.mark.parametrize(("waiter_name", "status", "outcome"), CASES)
def test_status(
    hook: RekognitionHook, rekognition: ScriptedRekognition, waiter_name: str, status: str, outcome: str
) -> None:
    operation, _, _ = subject(waiter_name)
    answer = project(PROJECT_ARN, status) if operation == "DescribeProjects" else dataset(status)
    rekognition.script(operation, answer, DONE[waiter_name])
    if outcome == "failure":
        with pytest.raises(WaiterError, match="terminal failure"):
            wait(hook, waiter_name)
    else:
        wait(hook, waiter_name)
    assert len(rekognition.requests) == (2 if outcome == "retry" else 1)


@pytest.mark.parametrize(("waiter_name", "outcome"), GONE.items())
def test_resource_that_is_not_there(
    hook: RekognitionHook, rekognition: ScriptedRekognition, waiter_name: str, outcome: str
) -> None:
    operation, _, nothing = subject(waiter_name)
    rekognition.script(operation, nothing or Refusal("ResourceNotFoundException"), DONE[waiter_name])
    if outcome == "failure":
        with pytest.raises(WaiterError, match="terminal failure"):
            wait(hook, waiter_name)
    else:
        wait(hook, waiter_name)
    assert len(rekognition.requests) == (2 if outcome == "retry" else 1)


@pytest.mark.parametrize("waiter_name", OUTCOMES)
@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"]
)
def test_passing_faults_are_retried_and_counted(
    hook: RekognitionHook, rekognition: ScriptedRekognition, waiter_name: str, code: str
) -> None:
    operation, _, _ = subject(waiter_name)
    rekognition.script(operation, Refusal(code), Refusal(code), DONE[waiter_name])
    wait(hook, waiter_name)
    rekognition.script(operation, Refusal(code))
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        wait(hook, waiter_name)


@pytest.mark.parametrize("waiter_name", OUTCOMES)
def test_another_error_ends_the_waiting(
    hook: RekognitionHook, rekognition: ScriptedRekognition, waiter_name: str
) -> None:
    operation, _, _ = subject(waiter_name)
    rekognition.script(operation, Refusal("AccessDeniedException"))
    with pytest.raises(WaiterError, match="AccessDeniedException"):
        wait(hook, waiter_name)
    assert len(rekognition.requests) == 1
