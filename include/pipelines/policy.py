"""What all Dags of the project have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from inspect import cleandoc
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, task

from include.rekognition.errors import (
    RekognitionDatasetError,
    RekognitionResourceInUseError,
    RekognitionServiceError,
    RekognitionThrottledError,
    RekognitionUnreachableError,
)

TAGS = ["custom-labels", "rekognition"]

TEMPORARY_ERRORS = (
    RekognitionResourceInUseError,
    RekognitionServiceError,
    RekognitionThrottledError,
    RekognitionUnreachableError,
)
"""Errors after which the service may answer in a minute."""

ONE_WAY = "none_failed_min_one_success"
"""Trigger rule of tasks where ways meet of which some are not taken."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "custom-labels",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
    # The steps of this project end for good by themselves (`include.pipelines.steps`).
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=[*TEMPORARY_ERRORS],
                action=RetryAction.RETRY,
                reason="the service may answer in a minute",
            ),
            RetryRule(
                exception=RekognitionDatasetError, action=RetryAction.FAIL, reason="a retry would get the same answer"
            ),
        ]
    ),
}


def task_of(work: Callable[..., Any], **arguments: Any) -> Any:
    """A step as a task, documented by its docstring; its result is one XCom unless ``multiple_outputs`` says more."""
    return task(**{"multiple_outputs": False, "doc_md": cleandoc(work.__doc__ or ""), **arguments})(work)
