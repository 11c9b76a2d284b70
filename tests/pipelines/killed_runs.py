"""Runs of the registration that are killed at a chosen write, each in a process of its own.

A program: it imports everything once, then reads runs as JSON lines and forks a child for each. A child kills itself
with SIGKILL just before its n-th write to S3 or Rekognition, as counted from the taking of the lease on; just after the
one before is the same to everybody else.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import msgspec
import pytest
from botocore.endpoint import Endpoint

from include.object_store.holders import Holder
from include.pipelines import publication, runs
from include.pipelines.gates import check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.reconciliation import reconcile
from include.pipelines.registration import Plan, plan_registration
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.s3_folder import assign_labels, list_objects
from include.pipelines.verification import Verified
from include.pipelines.waiting import WaitingError
from include.rekognition import hook
from include.rekognition.errors import RekognitionDatasetError
from tests.fixtures.service_models import parse_models_once

WRITES = {
    "PutObject",
    "CopyObject",
    "CompleteMultipartUpload",
    "CreateProject",
    "CreateDataset",
    "DeleteDataset",
    "UpdateDatasetEntries",
}


class Killer:
    """Counts writes, and ends the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.writes: list[str] = []
        self.is_on = False
        self._send = Endpoint._send_request

    def install(self) -> None:
        killer = self

        def send(endpoint: Endpoint, request: dict[str, Any], operation: Any) -> Any:
            if not killer.is_on or operation.name not in WRITES:
                return killer._send(endpoint, request, operation)
            killer.writes.append(operation.name)
            if len(killer.writes) == killer.at:
                os.kill(os.getpid(), signal.SIGKILL)
            return killer._send(endpoint, request, operation)

        Endpoint._send_request = send


def work(step: Any, *arguments: Any) -> Any:
    return step.__wrapped__(*arguments)


def register(run: ImportRun, built: dict[str, Any], plan: Plan, edit: tuple[str, str] | None) -> tuple[Plan, Verified]:
    """What the task `register` does, waiting on the spot.

    :param edit: a dataset's ARN and a line that somebody sends to it right before the first write
    """
    fence = RegistrationWork._fence

    def fence_after_edit(self: RegistrationWork, registration: Any) -> None:
        nonlocal edit
        if edit:
            (arn, line), edit = edit, None
            run.rekognition.update_dataset_entries(arn, line.encode())
            run.rekognition.wait("dataset_updated", arn, 0.05, 400)
        fence(self, registration)

    RegistrationWork._fence = fence_after_edit  # type: ignore[method-assign]
    while True:
        work = RegistrationWork(run, built, plan, None, lambda holder: True)
        try:
            return work.go_on()
        except WaitingError as wait:
            look_again(run, wait)
        except Exception:
            work.give_up()
            raise


def look_again(run: ImportRun, wait: WaitingError) -> None:
    """Wait for what a registration waits for, without a deferral."""
    if not wait.waiter:
        return
    with suppress(RekognitionDatasetError):
        # How it ended, the dataset says.
        run.rekognition.wait(wait.waiter, wait.resource, 0.05, 400)


def planned(run: ImportRun, built: dict[str, Any]) -> Plan:
    """What the task `plan_registration` does, waiting on the spot."""
    while True:
        try:
            return plan_registration(run, built, None)
        except WaitingError as wait:
            look_again(run, wait)


def run_once(command: dict[str, Any], killer: Killer) -> dict[str, Any]:
    request = S3FolderRequest.parse(command["conf"])
    import_run = ImportRun(
        request=request,
        as_of=datetime.now(UTC).replace(microsecond=0),
        slug=command["run"],
        holder=Holder("refresh_example", command["run"]),
    )
    run = import_run.to_json()
    shards = work(assign_labels, run, work(list_objects, run))
    built = work(build_manifest, run, [work(inspect_images, run, shard) for shard in shards])
    validated = work(validate_manifest, run, built)
    plan = planned(import_run, built)
    gate = msgspec.to_builtins(check_gate(import_run, built, plan, None))
    killer.is_on = True
    done, verified = register(import_run, built, plan, command.get("edit"))
    reconciled = reconcile(import_run, built, done, verified)
    published = work(publication.publish, run, built, validated, reconciled, gate)
    publication.acknowledge(import_run, published["snapshot_id"])
    return {
        "action": done.action,
        "states": reconciled["states"],
        "changed": published["changed"],
        "writes": killer.writes,
    }


def child(command: dict[str, Any], output: int) -> None:
    killer = Killer(command.get("at", 0))
    killer.install()
    try:
        result = run_once(command, killer)
    except Exception as error:  # the parent is told, and judges
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}", "writes": killer.writes}
    os.write(output, json.dumps(result).encode())
    os._exit(0)


def main() -> None:
    parse_models_once(pytest.MonkeyPatch())
    for service in ("s3", "rekognition"):
        boto3.client(service, region_name="us-east-1")
    publication._send_event = lambda *_: None
    publication._timings = dict
    hook.requests_per_s = lambda: 1000.0
    # Within a child: to make clients takes longer than all that they do.
    runs.s3_session = cache(runs.s3_session)
    runs.rekognition_hook = cache(runs.rekognition_hook)
    # Else each child's collector copies what it inherited, page by page.
    gc.freeze()
    # Airflow writes its log to standard output.
    results = os.fdopen(int(sys.argv[1]), "w")
    for line in sys.stdin:
        command = json.loads(line)
        for name in ("AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE"):
            os.environ[name] = command[name]
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            child(command, writing)
        os.close(writing)
        with os.fdopen(reading) as file:
            said = file.read()
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        results.write((json.dumps({"killed": True}) if killed else said) + "\n")
        results.flush()


if __name__ == "__main__":
    main()
