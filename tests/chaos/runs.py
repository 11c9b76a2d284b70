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
from contextlib import suppress
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, TypeVar

import boto3
import msgspec
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import ExceptionRetryPolicy, RetryAction
from airflow.sdk.exceptions import AirflowFailException
from botocore import endpoint
from urllib3.util import retry

from include.custom_labels.errors import CustomLabelsError
from include.pipelines import existing_dataset, ground_truth, publication, report, runs, s3_folder
from include.pipelines.division import choose_dataset, divide_images
from include.pipelines.gates import asks, check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.policy import DEFAULT_ARGS
from include.pipelines.reconciliation import reconcile
from include.pipelines.registration import Plan, plan_registration
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.requests import REQUEST_TYPES
from include.pipelines.runs import ImportRun
from include.pipelines.steps import RETRIED_CODES
from include.pipelines.waiting import WaitingError
from include.rekognition import hook
from include.rekognition.errors import RekognitionDatasetError
from tests.chaos.commands import DAG_ID, Command, has_ended
from tests.fixtures.service_models import parse_models_once

REGISTRATION = "register"
"""The task that takes the dataset's lease, and ends it when it fails for good."""

_DELAY_S = 0.02
_LOOKS_MAX = 100

Xcoms = dict[str, Any]
T = TypeVar("T")
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


def _inspect(_: Command, done: Xcoms) -> Any:
    found = done["source"]
    shards = found["shards"] if isinstance(found, dict) else found
    return [_work(inspect_images, done["run"], shard) for shard in shards]


def _choose_dataset(_: Command, done: Xcoms) -> Any:
    return _work(choose_dataset, done["run"], "train")


def _plan(_: Command, done: Xcoms) -> Any:
    run = ImportRun.from_json(done["of_type"])
    return _waited(run, lambda: plan_registration(run, done["built"], done["provenance"])).to_json()


def _gate(_: Command, done: Xcoms) -> Any:
    run, plan = ImportRun.from_json(done["of_type"]), msgspec.convert(done["plan_registration"], Plan)
    gate = check_gate(run, done["built"], plan, None)
    asks(run, plan, gate)
    return msgspec.to_builtins(gate)


def _register(command: Command, done: Xcoms) -> Any:
    plan, run = msgspec.convert(done["plan_registration"], Plan), ImportRun.from_json(done["of_type"])
    work = RegistrationWork(run, done["built"], plan, done["provenance"], partial(has_ended, command.folder))
    carried_out, verified = _waited(run, work.go_on)
    return reconcile(run, done["built"], carried_out, verified)


def _waited(run: ImportRun, look: Callable[[], T]) -> T:
    """What a look comes to in the end; Airflow's task would be deferred in between."""
    looks = 0
    while True:
        try:
            return look()
        except WaitingError as wait:
            looks += 1
            if wait.reason is not None and looks > _LOOKS_MAX:
                raise wait.reason from wait
            if not wait.waiter:
                time.sleep(_DELAY_S)
                continue
            with suppress(RekognitionDatasetError):
                # How an operation ended, the dataset says.
                run.rekognition.wait(wait.waiter, wait.resource, _DELAY_S, 1_000)


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


_SOURCES: dict[str, Task] = {"s3_folder": _list, "ground_truth": _read_annotations, "existing_dataset": _export}

TASKS: dict[str, Task] = {
    "run": _validate_request,
    "source": lambda command, done: _SOURCES[command.source](command, done),
    "inspected": _inspect,
    "divided": lambda _, done: _work(divide_images, done["run"], done["inspected"]),
    "of_type": _choose_dataset,
    "built": lambda _, done: _work(build_manifest, done["of_type"], done["divided"]["train"]),
    "validated": lambda _, done: _work(validate_manifest, done["of_type"], done["built"]),
    "provenance": lambda _, done: done["source"]["exported"] if isinstance(done["source"], dict) else None,
    "plan_registration": _plan,
    "check_gate": _gate,
    "register": _register,
    "publish_snapshot": _publish,
    "summarize": _acknowledge,
}


# The run


def carry_out(command: Command) -> dict[str, Any]:
    """The tasks of a run that have not ended yet; how it ended."""
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = command.connection
    os.environ["AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE"] = command.workspace
    os.environ["AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID"] = "chaos"
    done = _xcoms(command)
    publication._send_event = lambda run, *_: _send_event(command, run)
    for name, task in TASKS.items():
        if name in done:
            continue
        try:
            done[name] = json.loads(json.dumps(_tried(task, command, done)))
        except Exception as error:  # the history judges it
            ended: dict[str, Any] = {"state": "failed", "task": name, "error": f"{type(error).__name__}: {error}"}
            return ended | _put_right(done, name)
        _store(command, done)
    plan, published = done["register"]["plan"], done["publish_snapshot"]
    return {
        "state": "success",
        "action": plan["action"],
        "dataset_arn": done["register"]["dataset_arn"],
        "snapshot_id": published["snapshot_id"],
        "changed": published["changed"],
    }


def _tried(task: Task, command: Command, done: Xcoms) -> Any:
    """As often as the Dags' policy says."""
    tries = DEFAULT_ARGS["retries"] + 1
    for number in range(1, tries + 1):
        try:
            return task(command, done)
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


def _put_right(done: Xcoms, failed: str) -> dict[str, Any]:
    """What the task that registers does when it is not going to be tried again."""
    if failed != REGISTRATION:
        return {}
    plan, run = msgspec.convert(done["plan_registration"], Plan), ImportRun.from_json(done["of_type"])
    try:
        RegistrationWork(run, done["built"], plan, done["provenance"], lambda holder: False).give_up()
    except Exception as error:
        return {"give_up": f"{type(error).__name__}: {error}"}
    return {}


def _xcoms(command: Command) -> Xcoms:
    if not command.xcoms.exists():
        return {}
    done: Xcoms = json.loads(command.xcoms.read_text())
    if command.cleared_from:
        names = list(TASKS)
        for name in names[names.index(command.cleared_from) :]:
            done.pop(name, None)
    return done


def _store(command: Command, done: Mapping[str, Any]) -> None:
    command.xcoms.parent.mkdir(parents=True, exist_ok=True)
    new = command.xcoms.with_suffix(".new")
    new.write_text(json.dumps(done))
    new.replace(command.xcoms)


def _send_event(command: Command, run: ImportRun) -> None:
    with command.events.open("a") as file:
        file.write(json.dumps({"run_id": run.holder.run_id}) + "\n")


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
