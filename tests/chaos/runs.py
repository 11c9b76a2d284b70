"""How a run of an import is carried out, as Airflow would: the one place here that knows the product's tasks.

A run is its tasks in their order. What each of them returned is kept in a file, as Airflow keeps XComs, so that a run
whose process was killed goes on at the task that had not ended, and a task that was cleared is carried out again with
what earlier tasks had said then.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import boto3
import msgspec
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import ExceptionRetryPolicy, RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import set_current_context
from botocore import endpoint
from urllib3.util import retry

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.split_report import SplitReport
from include.pipelines import (
    existing_dataset,
    ground_truth,
    local_computer,
    publication,
    report,
    runs,
    s3_folder,
    waiting,
)
from include.pipelines.division import choose_dataset, divide_images
from include.pipelines.gates import asks, check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.policy import DEFAULT_ARGS
from include.pipelines.registration import Plan
from include.pipelines.registration_tasks import PlanRegistrationOperator, RegisterDatasetOperator
from include.pipelines.requests import REQUEST_TYPES
from include.pipelines.runs import ImportRun
from include.pipelines.steps import RETRIED_CODES
from include.pipelines.waiting import WaitingOperator
from include.rekognition import hook
from tests.chaos.commands import (
    DAG_ID,
    MINUTE_S,
    PART_TASKS,
    Command,
    DatasetType,
    airflow_state,
    task_id,
    waiting_file,
)
from tests.fixtures.service_models import parse_models_once

_DELAY_S = 0.02
_BEGUN_AT, _BEGUN_S = datetime.now(UTC), time.monotonic()

Xcoms = dict[str, Any]
Task = Callable[[Command, Xcoms], Any]


# The tasks


def _work(step: Any, *arguments: Any) -> Any:
    """A step without what Airflow does around it."""
    return step.__wrapped__(*arguments)


def _validate_request(command: Command, _: Xcoms) -> Any:
    context = {
        "dag_run": SimpleNamespace(
            dag_id=DAG_ID, run_id=command.run_id, run_type=command.run_type, run_after=command.as_of
        ),
        "data_interval_end": command.as_of,
    }
    return ImportRun.of(REQUEST_TYPES[command.source], command.conf, context).to_json()


def _list(_: Command, done: Xcoms) -> Any:
    return _work(s3_folder.assign_labels, done["run"], _work(s3_folder.list_objects, done["run"]))


def _read_annotations(_: Command, done: Xcoms) -> Any:
    shards = _work(ground_truth.read_annotations, done["run"])
    return [_work(ground_truth.copy_to_image_root, done["run"], shard) for shard in shards]


def _export(_: Command, done: Xcoms) -> Any:
    exported = _work(existing_dataset.export_entries, done["run"], _work(existing_dataset.find_source, done["run"]))
    shards = _work(existing_dataset.read_entries, done["run"], exported)
    return {
        "exported": exported,
        "shards": [_work(existing_dataset.bring_images, done["run"], each) for each in shards],
    }


def _upload(_: Command, done: Xcoms) -> Any:
    run, staged = done["run"], _work(local_computer.stage_files, done["run"])
    uploaded = [_work(local_computer.upload_images, run, staged, each) for each in staged["shards"]]
    return {"shards": _work(local_computer.assign_labels, run, staged, uploaded), "chosen": staged["chosen"]}


def _inspect(_: Command, done: Xcoms) -> Any:
    found = done["source"]
    shards = found["shards"] if isinstance(found, dict) else found
    return [_work(inspect_images, done["run"], shard) for shard in shards]


def _choose_dataset(_: Command, done: Xcoms) -> Any:
    found = done["source"]
    chosen = found.get("chosen") if isinstance(found, dict) else None
    return _work(choose_dataset, done["run"], done["dataset_type"], chosen)


def _plan(command: Command, done: Xcoms) -> Any:
    return _executed(PlanRegistrationOperator, command, done)


def _gate(_: Command, done: Xcoms) -> Any:
    run, plan = ImportRun.from_json(done["of_type"]), msgspec.convert(done["plan_registration"], Plan)
    report = done["divided"]["report"]
    gate = check_gate(run, done["built"], plan, msgspec.convert(report, SplitReport) if report else None)
    asks(run, plan, gate)
    return msgspec.to_builtins(gate)


def _register(command: Command, done: Xcoms) -> Any:
    return _executed(RegisterDatasetOperator, command, done, plan=done["plan_registration"])


def _executed(operator: type[WaitingOperator], command: Command, done: Xcoms, **inputs: Any) -> Any:
    """What a task that may have to wait returns in the end; it waits on the spot."""
    task = operator(
        task_id="chaos",
        run=done["of_type"],
        built=done["built"],
        provenance=done["provenance"],
        deferrable=False,
        waiter_delay=_DELAY_S,
        **inputs,
    )
    now = datetime.now(UTC)
    context: Any = {
        "ti": Airflow(command, done["try_number"]),
        "dag": SimpleNamespace(tasks=(), timetable=None),
        "task": SimpleNamespace(upstream_task_ids=(), pool=""),
        "dag_run": SimpleNamespace(dag_id=DAG_ID, run_id=command.run_id, run_type=command.run_type, run_after=now),
    }
    with set_current_context(context):
        return task.execute(context)


class Airflow:
    """What a task asks of Airflow."""

    max_tries = DEFAULT_ARGS["retries"]

    def __init__(self, command: Command, try_number: int) -> None:
        self.try_number = try_number
        self._folder = command.folder

    def xcom_push(self, **_: Any) -> None:
        """Nobody here reads what a task tells besides its result."""

    def xcom_pull(self, **_: Any) -> None:
        return None

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        file = airflow_state(self._folder, run_id)
        if dag_id != DAG_ID or not file.exists():
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
        return file.read_text()


def _publish(_: Command, done: Xcoms) -> Any:
    return _work(
        publication.publish,
        done["of_type"],
        done["built"],
        done["validated"],
        done["register"],
        done["check_gate"],
    )


def _acknowledge(_: Command, done: Xcoms) -> Any:
    return publication.acknowledge(ImportRun.from_json(done["of_type"]), done["publish_snapshot"]["snapshot_id"])


_SOURCES: dict[str, Task] = {
    "s3_folder": _list,
    "local_computer": _upload,
    "ground_truth": _read_annotations,
    "existing_dataset": _export,
}

TASKS: dict[str, Task] = {
    "run": _validate_request,
    "source": lambda command, done: _SOURCES[command.source](command, done),
    "inspected": _inspect,
    "divided": lambda _, done: _work(divide_images, done["run"], done["inspected"]),
    "provenance": lambda _, done: done["source"].get("exported") if isinstance(done["source"], dict) else None,
}
"""Of a run; those that follow, it has for each dataset that gets images."""

_OF_DATASET: dict[str, Task] = dict(
    zip(
        PART_TASKS,
        (
            _choose_dataset,
            lambda _, done: _work(build_manifest, done["of_type"], done["divided"][done["dataset_type"]]),
            lambda _, done: _work(validate_manifest, done["of_type"], done["built"]),
            _plan,
            _gate,
            _register,
            _publish,
            _acknowledge,
        ),
        strict=True,
    )
)


# The run


def carry_out(command: Command) -> dict[str, Any]:
    """The tasks of a run that have not ended yet; how it ended.

    As in Airflow, those of one dataset do not depend on those of the other.
    """
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = command.connection
    os.environ["AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE"] = command.workspace
    os.environ["AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID"] = "chaos"
    done = _xcoms(command)
    publication._send_event = lambda run, *_: _send_event(command, run)
    waiting.time = SimpleNamespace(sleep=partial(_wait, command), monotonic=time.monotonic)
    waiting.utc_now = _minutes_fly
    for name, task in TASKS.items():
        if name in done:
            continue
        try:
            done[name] = _result(_tried(task, command, done))
        except Exception as error:  # the history judges it
            return _failed(name, error)
        _store(command, done)
    ended: dict[str, Any] = {"state": "success"}
    for dataset_type in command.dataset_types:
        if dataset_type in done["divided"]:
            ended |= _carry_out_for(dataset_type, command, done)
    return ended


def _carry_out_for(dataset_type: DatasetType, command: Command, done: Xcoms) -> dict[str, Any]:
    """The tasks of one dataset; what there is to say of their end."""
    own = {name: done[each] for name in PART_TASKS if (each := task_id(dataset_type, name)) in done}
    for name, task in _OF_DATASET.items():
        if name in own:
            continue
        known = {**done, **own, "dataset_type": dataset_type}
        try:
            own[name] = done[task_id(dataset_type, name)] = _result(_tried(task, command, known))
        except Exception as error:  # the history judges it
            return _failed(task_id(dataset_type, name), error)
        _store(command, done)
    return {dataset_type: own["register"]["plan"]["action"]}


def _result(value: Any) -> Any:
    """As it comes out of Airflow's database."""
    return json.loads(json.dumps(value))


def _failed(task: str, error: Exception) -> dict[str, Any]:
    return {"state": "failed", "task": task, "error": f"{type(error).__name__}: {error}"}


def _tried(task: Task, command: Command, done: Xcoms) -> Any:
    """As often as the Dags' policy says."""
    tries = DEFAULT_ARGS["retries"] + 1
    for number in range(1, tries + 1):
        try:
            return task(command, {**done, "try_number": number})
        except Exception as error:
            if number == tries or not _is_retried(error, number, tries):
                raise
    raise AssertionError


def _is_retried(error: Exception, number: int, tries: int) -> bool:
    if isinstance(error, AirflowFailException):
        return False
    if isinstance(error, CustomLabelsError):
        return error.code in RETRIED_CODES
    policy: ExceptionRetryPolicy = DEFAULT_ARGS["retry_policy"]
    return policy.evaluate(error, number, tries - 1).action is not RetryAction.FAIL


def _xcoms(command: Command) -> Xcoms:
    if not command.xcoms.exists():
        return {}
    done: Xcoms = json.loads(command.xcoms.read_text())
    return done


def _store(command: Command, done: Mapping[str, Any]) -> None:
    command.xcoms.parent.mkdir(parents=True, exist_ok=True)
    new = command.xcoms.with_suffix(".new")
    new.write_text(json.dumps(done))
    new.replace(command.xcoms)


def _send_event(command: Command, run: ImportRun) -> None:
    with command.events.open("a") as file:
        file.write(json.dumps({"run_id": run.holder.run_id, "dataset_type": run.request.dataset_type}) + "\n")


def _wait(command: Command, seconds: float) -> None:
    file = waiting_file(command.folder, command.run_id)
    file.parent.mkdir(exist_ok=True)
    file.touch()
    time.sleep(seconds)


def _minutes_fly() -> datetime:
    return _BEGUN_AT + timedelta(minutes=(time.monotonic() - _BEGUN_S) / MINUTE_S)


def prepare() -> None:
    """What a process does once, before it forks one for each run."""
    parse_models_once(pytest.MonkeyPatch())
    for service in ("s3", "rekognition"):
        boto3.client(service, region_name="us-east-1")
    publication._timings = dict
    hook.requests_per_s = lambda: 1000.0
    # The services are in a hurry: what waits for them to recover waits a fiftieth of the time.
    hurried = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds / 50, 0.2)), time=time.time)
    endpoint.time = retry.time = hurried
    # Within a child: to make clients takes longer than all that they do.
    runs.s3_session = cache(runs.s3_session)
    runs.rekognition_hook = cache(runs.rekognition_hook)
    # Looks through every frame for an operator, to name it in the user agent.
    AwsBaseHook._get_caller = lambda *_: "chaos"
    _warm_up()


def _warm_up() -> None:
    """Let be imported and compiled what a first use does; without a request, as its threads would not be forked."""
    report._template()
    with pytest.MonkeyPatch.context() as patch:
        nowhere = {"conn_type": "aws", "login": "x", "password": "x", "extra": {"region_name": "us-east-1"}}
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(nowhere))
        patch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE", "s3://example-workspace")
        runs.read_workspace()
        _ = S3Hook(aws_conn_id="aws_default").conn, hook.RekognitionHook(aws_conn_id="aws_default").conn
