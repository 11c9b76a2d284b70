from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from include.rekognition import triggers
from include.rekognition.errors import RekognitionDatasetError
from include.rekognition.hook import RekognitionHook
from include.rekognition.triggers import (
    RekognitionDatasetCreatedTrigger,
    RekognitionDatasetDeletedTrigger,
    RekognitionDatasetReadyTrigger,
    RekognitionDatasetTrigger,
    RekognitionDatasetUpdatedTrigger,
    RekognitionProjectCreatedTrigger,
    RekognitionWaiterTrigger,
)
from tests.rekognition.arns import DATASET_ARN, PROJECT, PROJECT_ARN
from tests.rekognition.scripted_service import Refusal, ScriptedRekognition, dataset, project
from tests.rekognition.task_run import first_event, revived

AWS_PARAMETERS: dict[str, Any] = {
    "aws_conn_id": "aws_test",
    "region_name": "eu-central-1",
    "verify": False,
    "botocore_config": {"read_timeout": 9, "retries": {"mode": "standard", "total_max_attempts": 1}},
}
# Trigger, its own field, an answer that ends the waiting well, one that prolongs it.
CASES = [
    (
        RekognitionDatasetCreatedTrigger,
        {"dataset_arn": DATASET_ARN},
        dataset("CREATE_COMPLETE"),
        dataset("CREATE_IN_PROGRESS"),
    ),
    (
        RekognitionDatasetUpdatedTrigger,
        {"dataset_arn": DATASET_ARN},
        dataset("UPDATE_COMPLETE"),
        dataset("UPDATE_IN_PROGRESS"),
    ),
    (
        RekognitionDatasetDeletedTrigger,
        {"dataset_arn": DATASET_ARN},
        Refusal("ResourceNotFoundException"),
        dataset("DELETE_IN_PROGRESS"),
    ),
    (
        RekognitionDatasetReadyTrigger,
        {"dataset_arn": DATASET_ARN},
        dataset("CREATE_COMPLETE"),
        dataset("UPDATE_IN_PROGRESS"),
    ),
    (
        RekognitionProjectCreatedTrigger,
        {"project_name": PROJECT},
        project(PROJECT_ARN),
        project(PROJECT_ARN, "CREATING"),
    ),
]


def test_every_trigger_is_tested() -> None:
    concrete = {
        value
        for value in vars(triggers).values()
        if isinstance(value, type)
        and issubclass(value, RekognitionWaiterTrigger)
        and value not in (RekognitionWaiterTrigger, RekognitionDatasetTrigger)
    }
    assert concrete == {case[0] for case in CASES}


@pytest.mark.parametrize(("trigger_class", "resource", "done", "under_way"), CASES)
class TestEveryTrigger:
    def trigger(self, trigger_class: type, resource: dict[str, str], **options: Any) -> RekognitionWaiterTrigger:
        options = {"waiter_delay": 0, "waiter_max_attempts": 3, **AWS_PARAMETERS, **options}
        return revived(trigger_class(**resource, **options))

    def script(self, rekognition: ScriptedRekognition, *answers: Any) -> None:
        rekognition.script("DescribeDataset", *answers)
        rekognition.script("DescribeProjects", *answers)

    def test_serialization(self, trigger_class: type, resource: dict[str, str], done: Any, under_way: Any) -> None:
        parameters = {**resource, "waiter_delay": 7, "waiter_max_attempts": 8, **AWS_PARAMETERS}
        class_path, kwargs = trigger_class(**parameters).serialize()
        assert class_path == f"include.rekognition.triggers.{trigger_class.__name__}"
        assert kwargs == parameters
        assert revived(trigger_class(**parameters)).serialize() == (class_path, kwargs)

    def test_hook_gets_all_four(self, trigger_class: type, resource: dict[str, str], done: Any, under_way: Any) -> None:
        hook = self.trigger(trigger_class, resource).hook()
        assert isinstance(hook, RekognitionHook)
        assert (hook.aws_conn_id, hook.region_name, hook.verify) == ("aws_test", "eu-central-1", False)
        assert hook.config.read_timeout == 9

    async def test_success(
        self,
        trigger_class: type,
        resource: dict[str, str],
        done: Any,
        under_way: Any,
        rekognition: ScriptedRekognition,
    ) -> None:
        self.script(rekognition, under_way, done)
        event = await first_event(self.trigger(trigger_class, resource))
        assert event == {"status": "success", **resource}
        assert len(rekognition.requests) == 2

    @pytest.mark.parametrize(
        ("answers", "code"),
        [
            (None, "REKOGNITION_WAIT_TIMEOUT"),
            (Refusal("AccessDeniedException"), "REKOGNITION_ACCESS_DENIED"),
            (Refusal("ExpiredTokenException"), "CREDENTIALS_EXPIRED"),
            (Refusal("UnrecognizedClientException"), "REKOGNITION_CREDENTIALS_REJECTED"),
            (EndpointConnectionError(endpoint_url="https://rekognition.invalid"), "REKOGNITION_UNREACHABLE"),
            (ZeroDivisionError("a fault of ours"), None),
        ],
    )
    async def test_error(
        self,
        trigger_class: type,
        resource: dict[str, str],
        done: Any,
        under_way: Any,
        rekognition: ScriptedRekognition,
        answers: Any,
        code: str | None,
    ) -> None:
        self.script(rekognition, answers or under_way)
        trigger = self.trigger(trigger_class, resource)
        if code is None:
            # Whatever is not an error of AWS or botocore is a fault of ours, and must not look like an event.
            with pytest.raises(ZeroDivisionError):
                await first_event(trigger)
            return
        event = await first_event(trigger)
        error = RekognitionDatasetError.from_event(event["error"])
        assert event == {"status": "error", "message": str(error), "error": error.to_event(), **resource}
        assert error.code == code
        assert error.resource == next(iter(resource.values()))


async def test_failed_dataset_carries_the_explanation(rekognition: ScriptedRekognition) -> None:
    rekognition.script(
        "DescribeDataset",
        dataset("CREATE_FAILED", StatusMessage="The manifest file is empty.", StatusMessageCode="CLIENT_ERROR"),
    )
    event = await first_event(RekognitionDatasetCreatedTrigger(dataset_arn=DATASET_ARN, aws_conn_id="aws_test"))
    fields = event["error"]["fields"]
    assert fields["manifest_error_code"] == "ERROR_EMPTY_MANIFEST"
    assert fields["request_id"] == "00000000-1111-2222-3333-444444444444"
