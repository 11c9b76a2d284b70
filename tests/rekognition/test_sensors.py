from __future__ import annotations

from datetime import timedelta
from typing import Any

import botocore.session
import pytest
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from airflow.sdk.exceptions import AirflowSensorTimeout

from include.rekognition.errors import RekognitionDatasetError
from include.rekognition.sensors import RekognitionDatasetSensor
from tests.rekognition.arns import DATASET_ARN
from tests.rekognition.scripted_service import Refusal, ScriptedRekognition, dataset
from tests.rekognition.task_run import run_task, task_context

AWS_PARAMETERS: dict[str, Any] = {
    "aws_conn_id": "aws_test",
    "region_name": "eu-central-1",
    "verify": False,
    "botocore_config": {"retries": {"mode": "standard", "total_max_attempts": 1}},
}


def make(**options: Any) -> RekognitionDatasetSensor:
    defaults = {"task_id": "example", "dataset_arn": DATASET_ARN, "poke_interval": 0.01, **AWS_PARAMETERS}
    return RekognitionDatasetSensor(**{**defaults, **options})


def test_every_status_has_a_meaning() -> None:
    every_status = botocore.session.get_session().get_service_model("rekognition").shape_for("DatasetStatus").enum
    sensor = RekognitionDatasetSensor
    assert sorted(sensor.INTERMEDIATE_STATES + sensor.SUCCESS_STATES + sensor.FAILURE_STATES) == sorted(every_status)


def test_template_fields() -> None:
    assert make().template_fields == aws_template_fields("dataset_arn")


@pytest.mark.parametrize("status", RekognitionDatasetSensor.INTERMEDIATE_STATES)
def test_poke_goes_on(rekognition: ScriptedRekognition, status: str) -> None:
    rekognition.script("DescribeDataset", dataset(status))
    assert make().poke(task_context()) is False


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("status", RekognitionDatasetSensor.SUCCESS_STATES)
def test_success(rekognition: ScriptedRekognition, status: str, deferrable: bool) -> None:
    rekognition.script("DescribeDataset", dataset("UPDATE_IN_PROGRESS"), dataset(status))
    assert run_task(make(deferrable=deferrable)) is None
    assert len(rekognition.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        *(
            dataset(s, StatusMessage="why", StatusMessageCode="CLIENT_ERROR")
            for s in RekognitionDatasetSensor.FAILURE_STATES
        ),
        Refusal("ResourceNotFoundException"),
        Refusal("AccessDeniedException"),
    ],
    ids=repr,
)
def test_errors_are_the_same_in_both_modes(rekognition: ScriptedRekognition, answer: Any) -> None:
    rekognition.script("DescribeDataset", answer)
    caught: list[RekognitionDatasetError] = []
    for deferrable in (False, True):
        with pytest.raises(RekognitionDatasetError) as error:
            run_task(make(deferrable=deferrable))
        caught.append(error.value)
    assert (type(caught[0]), str(caught[0])) == (type(caught[1]), str(caught[1]))


def test_defers_with_all_four_aws_parameters_and_the_timeout(rekognition: ScriptedRekognition) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        make(deferrable=True, poke_interval=7, timeout=70).execute(task_context())
    class_path, kwargs = deferred.value.trigger.serialize()
    assert class_path == "include.rekognition.triggers.RekognitionDatasetReadyTrigger"
    assert kwargs == {"dataset_arn": DATASET_ARN, "waiter_delay": 7, "waiter_max_attempts": 11, **AWS_PARAMETERS}
    assert deferred.value.timeout == timedelta(seconds=70)


def test_timeout_is_the_same_class_in_both_modes(rekognition: ScriptedRekognition) -> None:
    rekognition.script("DescribeDataset", dataset("UPDATE_IN_PROGRESS"))
    with pytest.raises(AirflowSensorTimeout):
        make(timeout=0).execute(task_context())
    with pytest.raises(AirflowSensorTimeout):
        make(deferrable=True).resume_execution(
            TRIGGER_FAIL_REPR, {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, task_context()
        )


def test_no_event() -> None:
    with pytest.raises(AirflowException, match="event is None"):
        make().execute_complete(task_context(), event=None)
