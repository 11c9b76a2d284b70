"""Run an operator as Airflow does, deferrals included, with every message between processes going through JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.module_loading import import_string
from airflow.triggers.base import BaseTrigger


class TaskInstance:
    """Keeps what a task pushes."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def task_context() -> dict[str, Any]:
    return {"ti": TaskInstance()}


def revived(trigger: BaseTrigger) -> BaseTrigger:
    """Return the trigger as the triggerer gets it."""
    class_path, kwargs = trigger.serialize()
    return import_string(class_path)(**json.loads(json.dumps(kwargs)))


async def first_event(trigger: BaseTrigger) -> dict[str, Any]:
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    return json.loads(json.dumps(events[0].payload))


def run_task(operator: Any, context: dict[str, Any] | None = None) -> Any:
    """Return the result of the task, after as many deferrals as it takes."""
    context = context or task_context()
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:
        deferral = deferred
    while True:
        event = asyncio.run(first_event(revived(deferral.trigger)))
        resume = getattr(operator, deferral.method_name)
        try:
            return resume(context, event=event, **json.loads(json.dumps(deferral.kwargs or {})))
        except TaskDeferred as deferred:
            deferral = deferred
