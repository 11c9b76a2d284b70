"""Tasks that wait for others without a worker: for a lease, a person's save, or an operation of Rekognition."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from include.custom_labels.errors import CustomLabelsError, DatasetConflictError
from include.pipelines.policy import TEMPORARY_ERRORS
from include.pipelines.runs import ImportRun, utc_now
from include.pipelines.steps import RETRIED_CODES, SECONDS_KEY
from include.rekognition.errors import RekognitionDatasetError, RekognitionWaitTimeoutError
from include.rekognition.triggers import (
    RekognitionDatasetCreatedTrigger,
    RekognitionDatasetDeletedTrigger,
    RekognitionDatasetUpdatedTrigger,
    RekognitionProjectCreatedTrigger,
    RekognitionWaiterTrigger,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

WAITER_OF_STATUS: Final = {
    "CREATE_IN_PROGRESS": "dataset_created",
    "UPDATE_IN_PROGRESS": "dataset_updated",
    "DELETE_IN_PROGRESS": "dataset_deleted",
}

_TRIGGERS: Final[dict[str, type[RekognitionWaiterTrigger]]] = {
    trigger.waiter: trigger
    for trigger in (
        RekognitionDatasetCreatedTrigger,
        RekognitionDatasetUpdatedTrigger,
        RekognitionDatasetDeletedTrigger,
        RekognitionProjectCreatedTrigger,
    )
}
_WAITER_MAX_ATTEMPTS: Final = 1440
_LOOK_AGAIN: Final = timedelta(seconds=30)
_ON_THE_WORKER_S: Final = 15
"""What ends within it costs no deferral."""


class WaitingError(Exception):
    """Something has to end before a task can go on; whoever catches it waits, and looks again.

    :ivar reason: what the task fails with once it has waited for too long; None for an operation of its own
    :ivar waiter: of Rekognition's waiters; empty where only looking again will tell
    :ivar resource: what that waiter waits for
    """

    def __init__(self, reason: DatasetConflictError | None = None, *, waiter: str = "", resource: str = "") -> None:
        super().__init__(str(reason) if reason else f"{resource} has to become {waiter}")
        self.reason = reason
        self.waiter = waiter
        self.resource = resource


class WaitingOperator(BaseOperator):
    """A step of an import that may have to wait, deferred.

    Its `work` is called again after each wait, and finds out by itself how far it has come.

    :param run: whose request says for how long to wait, and by which connection
    :param deferrable: False to wait on the worker
    :param waiter_delay: seconds between two looks
    """

    template_fields: Sequence[str] = ("run",)

    def __init__(self, *, run: Any, deferrable: bool = True, waiter_delay: float = 5, **kwargs: Any) -> None:
        super().__init__(doc_md=cleandoc(type(self).__doc__ or ""), **kwargs)
        self.run = run
        self.deferrable = deferrable
        self.waiter_delay = waiter_delay

    @cached_property
    def import_run(self) -> ImportRun:
        """The run, once its template is rendered."""
        return ImportRun.from_json(self.run)

    def work(self, context: Context) -> Any:
        """Do what can be done now, and return the task's result at its end.

        :raises WaitingError: there is something to wait for first
        """
        raise NotImplementedError

    def give_up(self) -> None:
        """What is left to do when the task fails and is not going to be tried again."""

    def execute(self, context: Context) -> Any:
        return self._go_on(context, None)

    def resume(self, context: Context, event: dict[str, Any] | None = None, since: str | None = None) -> Any:
        """After a deferral; the event only says that it is worth to look again."""
        if event is not None and event.get("status") == "error":
            error = RekognitionDatasetError.from_event(event["error"])
            if isinstance(error, RekognitionWaitTimeoutError):
                raise error
        return self._go_on(context, since)

    def _go_on(self, context: Context, since: str | None) -> Any:
        started = time.monotonic()
        waiting_since = datetime.fromisoformat(since) if since else None
        while True:
            try:
                result = self.work(context)
            except WaitingError as wait:
                waiting_since = (waiting_since or utc_now()) if wait.reason else None
                self._wait(wait, waiting_since, context)
            except CustomLabelsError as error:
                is_final = error.code not in RETRIED_CODES or _is_last_try(context)
                if is_final:
                    self.give_up()
                if error.code in RETRIED_CODES:
                    raise
                raise AirflowFailException(str(error)) from error
            except RekognitionDatasetError as error:
                # Which of them are tried again is the Dag's retry policy.
                if not isinstance(error, TEMPORARY_ERRORS) or _is_last_try(context):
                    self.give_up()
                raise
            else:
                context["ti"].xcom_push(key=SECONDS_KEY, value=round(time.monotonic() - started, 2))
                return result

    def _wait(self, wait: WaitingError, since: datetime | None, context: Context) -> None:
        """Wait on the worker, or defer, which does not return."""
        self.log.info("Waiting: %s", wait)
        if wait.reason is not None and since is not None:
            limit = timedelta(minutes=self.import_run.request.max_wait_minutes)
            if utc_now() - since >= limit:
                self.give_up()
                raise AirflowFailException(str(wait.reason)) from wait
        if wait.waiter and self._ends_soon(wait):
            return
        if self.deferrable:
            self.defer(
                trigger=self._trigger(wait),
                method_name="resume",
                kwargs={"since": since.isoformat() if since else None},
            )
        time.sleep(self.waiter_delay)

    def _ends_soon(self, wait: WaitingError) -> bool:
        delay_s = min(1.0, self.waiter_delay)
        try:
            self.import_run.rekognition.wait(wait.waiter, wait.resource, delay_s, int(_ON_THE_WORKER_S / delay_s))
        except RekognitionWaitTimeoutError:
            return False
        except RekognitionDatasetError as error:
            # How an operation ended, the dataset itself says.
            self.log.info("%s", error)
        return True

    def _trigger(self, wait: WaitingError) -> Any:
        if not wait.waiter:
            return TimeDeltaTrigger(_LOOK_AGAIN)
        trigger = _TRIGGERS[wait.waiter]
        return trigger(
            **{trigger.resource_field: wait.resource},
            waiter_delay=int(self.waiter_delay),
            waiter_max_attempts=_WAITER_MAX_ATTEMPTS,
            aws_conn_id=self.import_run.request.aws_conn_id,
        )


def _is_last_try(context: Context) -> bool:
    instance = context["ti"]
    return instance.try_number > instance.max_tries
