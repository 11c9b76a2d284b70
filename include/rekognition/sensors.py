"""Sensor for Rekognition Custom Labels datasets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils import validate_execute_complete_event
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import conf

from include.rekognition.errors import RekognitionDatasetError, status_error
from include.rekognition.hook import RekognitionHook
from include.rekognition.triggers import RekognitionDatasetReadyTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class RekognitionDatasetSensor(AwsBaseSensor[RekognitionHook]):
    """
    Wait until no operation is under way on a dataset; fail if the last one failed or the dataset is being deleted.

    .. seealso::
        For more information on how to use this sensor, take a look at the guide:
        :ref:`howto/sensor:RekognitionDatasetSensor`

    :param dataset_arn: The ARN of the dataset. (templated)
    :param deferrable: If True, the sensor will operate in deferrable mode. This mode requires aiobotocore
        module to be installed.
        (default: False, but can be overridden in config file by setting default_deferrable to True)
    :param poke_interval: Polling period in seconds to check for the status of the dataset. (default: 10)
    :param aws_conn_id: The Airflow connection used for AWS credentials.
        If this is ``None`` or empty then the default boto3 behaviour is used. If
        running Airflow in a distributed manner and aws_conn_id is None or
        empty, then default boto3 configuration would be used (and must be
        maintained on each worker node).
    :param region_name: AWS region_name. If not specified then the default boto3 behaviour is used.
    :param verify: Whether or not to verify SSL certificates. See:
        https://boto3.amazonaws.com/v1/documentation/api/latest/reference/core/session.html
    :param botocore_config: Configuration dictionary (key-values) for botocore client. See:
        https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html
    """

    aws_hook_class = RekognitionHook
    template_fields: Sequence[str] = aws_template_fields("dataset_arn")
    ui_color = "#66c3ff"

    INTERMEDIATE_STATES: tuple[str, ...] = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
    SUCCESS_STATES: tuple[str, ...] = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    FAILURE_STATES: tuple[str, ...] = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_IN_PROGRESS")

    def __init__(
        self,
        *,
        dataset_arn: str,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.dataset_arn = dataset_arn
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        # Airflow's timeout ends the waiting as it does in the other modes; the attempts only have to outlast it.
        attempts = math.ceil(self.timeout / max(self.poke_interval, 1)) + 1
        return self.defer(
            trigger=RekognitionDatasetReadyTrigger(
                dataset_arn=self.dataset_arn,
                waiter_delay=max(int(self.poke_interval), 1),
                waiter_max_attempts=attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> bool:
        description = self.hook.describe_dataset(self.dataset_arn)
        status = description["Status"]
        self.log.info("Status of %s: %s", self.dataset_arn, status)
        if status in self.FAILURE_STATES:
            raise status_error(description, resource=self.dataset_arn)
        return status in self.SUCCESS_STATES

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        validated_event = validate_execute_complete_event(event)
        if validated_event["status"] != "success":
            raise RekognitionDatasetError.from_event(validated_event["error"])
