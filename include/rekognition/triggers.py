"""Triggers that wait for Rekognition Custom Labels datasets and projects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.providers.common.compat.sdk import AirflowException
from airflow.triggers.base import TriggerEvent
from botocore.exceptions import BotoCoreError

from include.rekognition.errors import waiting_error
from include.rekognition.hook import STATUS_QUERIES, RekognitionHook


class RekognitionWaiterTrigger(AwsBaseWaiterTrigger):
    """
    Base of the triggers below: it waits as ``RekognitionHook.wait`` does, and reports its errors as events.

    The event is ``{"status": "success"|"error", <resource_field>: <resource>}``; in the case of an error also
    ``message``, and ``error`` for ``RekognitionDatasetError.from_event``.
    """

    aws_hook_class = RekognitionHook
    waiter: ClassVar[str]
    resource_field: ClassVar[str]

    def __init__(self, *, resource: str, waiter_delay: int, waiter_max_attempts: int, **aws_parameters: Any):
        super().__init__(
            serialized_fields={self.resource_field: resource},
            waiter_name=self.waiter,
            waiter_args=RekognitionHook.waiter_arguments(self.waiter, resource),
            failure_message=f"{resource} did not become {self.waiter}",
            status_message=f"Status of {resource}",
            status_queries=STATUS_QUERIES,
            return_key=self.resource_field,
            return_value=resource,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **aws_parameters,
        )

    def _event_from_exception(self, error: AirflowException | BotoCoreError) -> TriggerEvent:
        translated = waiting_error(
            error,
            waiter_name=self.waiter_name,
            resource=self.return_value,
            waiter_delay=self.waiter_delay,
            waiter_max_attempts=self.attempts,
        )
        return TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "status": "error",
                "message": str(translated),
                "error": translated.to_event(),
                self.return_key: self.return_value,
            }
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():
                yield event
        except BotoCoreError as error:
            # The base class leaves connection errors to the triggerer, where the task never sees their cause.
            yield self._event_from_exception(error)


class RekognitionDatasetTrigger(RekognitionWaiterTrigger):
    """
    Base of the triggers that wait for one dataset (not supposed to be used directly in Dags).

    :param dataset_arn: The ARN of the dataset.
    :param waiter_delay: The amount of time in seconds to wait between attempts. (default: 10)
    :param waiter_max_attempts: The maximum number of attempts to be made. (default: 360)
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: The AWS region where the resources to watch are.
    :param verify: Whether or not to verify SSL certificates.
        See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/core/session.html
    :param botocore_config: Configuration dictionary (key-values) for botocore client. See:
        https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html
    """

    resource_field = "dataset_arn"

    def __init__(
        self,
        *,
        dataset_arn: str,
        waiter_delay: int = 10,
        waiter_max_attempts: int = 360,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            resource=dataset_arn,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            verify=verify,
            botocore_config=botocore_config,
        )


class RekognitionDatasetCreatedTrigger(RekognitionDatasetTrigger):
    """Trigger when a dataset has been created."""

    waiter = "dataset_created"


class RekognitionDatasetUpdatedTrigger(RekognitionDatasetTrigger):
    """Trigger when the update of a dataset's entries is complete."""

    waiter = "dataset_updated"


class RekognitionDatasetDeletedTrigger(RekognitionDatasetTrigger):
    """Trigger when a dataset is gone."""

    waiter = "dataset_deleted"


class RekognitionDatasetReadyTrigger(RekognitionDatasetTrigger):
    """Trigger when no operation is under way on a dataset and the last one ended well."""

    waiter = "dataset_ready"


class RekognitionProjectCreatedTrigger(RekognitionWaiterTrigger):
    """
    Trigger when a project has been created.

    :param project_name: The name of the project.
    :param waiter_delay: The amount of time in seconds to wait between attempts. (default: 5)
    :param waiter_max_attempts: The maximum number of attempts to be made. (default: 120)
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: The AWS region where the resources to watch are.
    :param verify: Whether or not to verify SSL certificates.
        See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/core/session.html
    :param botocore_config: Configuration dictionary (key-values) for botocore client. See:
        https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html
    """

    waiter = "project_created"
    resource_field = "project_name"

    def __init__(
        self,
        *,
        project_name: str,
        waiter_delay: int = 5,
        waiter_max_attempts: int = 120,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            resource=project_name,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            verify=verify,
            botocore_config=botocore_config,
        )
