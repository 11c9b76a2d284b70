"""A refresh that finds nothing new: its time, and every request that it makes.

::

    python -m bench.unchanged_refresh [IMAGES]

Starts local AWS in a folder of its own, uploads small images, imports them once, and then runs the steps of
`import_s3_folder` on the unchanged folder, without Airflow around them. The time is compared with that of listing the
same folder alone, in the same run. With 100,000 images it takes some ten minutes, most of them for the first import.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import boto3
import msgspec
import obstore
from botocore.config import Config
from botocore.endpoint import Endpoint
from PIL import Image

from demo.settings import ACCESS_KEY, PROJECT_ROOT, REGION, SECRET_KEY
from include.custom_labels.locations import S3FolderLocation
from include.object_store import listing
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.pipelines import publication
from include.pipelines.gates import check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.registration import Plan
from include.pipelines.registration_tasks import PlanRegistrationOperator, RegisterDatasetOperator
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.s3_folder import assign_labels, list_objects
from include.pipelines.waiting import WaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

P = ParamSpec("P")
R = TypeVar("R")

IMAGES = 100_000
LABELS = 100
FOLDER = "s3://example-images/alexa-devices/"


class Requests:
    """Counts what goes to S3 and Rekognition, by operation."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def counted(self) -> Iterator[None]:
        patched: list[tuple[Any, str, Any]] = [
            (Endpoint, "_send_request", self._counting(getattr(Endpoint, "_send_request"), _operation)),  # noqa: B009
            (S3Session, "get", self._counting(S3Session.get, lambda *_: "s3 ListObjectsV2")),
            (obstore, "get", self._counting(obstore.get, lambda *_: "s3 GetObject (range)")),
            (obstore, "get_range", self._counting(obstore.get_range, lambda *_: "s3 GetObject (range)")),
        ]
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in patched]
        for owner, name, work in patched:
            setattr(owner, name, work)
        try:
            yield
        finally:
            for owner, name, work in before:
                setattr(owner, name, work)

    def _counting(self, work: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.counts[name(*arguments)] += 1
            return work(*arguments, **options)

        return counted


def _operation(_: object, __: object, operation: Any) -> str:
    return f"{operation.service_model.service_name} {operation.name}"


def pictures(count: int) -> Iterator[tuple[str, bytes]]:
    """Keys and contents; of one picture with other text behind it, which PNG allows."""
    path = tempfile.SpooledTemporaryFile()  # noqa: SIM115 (memory)
    Image.new("RGB", (64, 64), (40, 80, 120)).save(path, "PNG")
    path.seek(0)
    data = path.read()
    for number in range(count):
        yield f"alexa-devices/label-{number % LABELS:03}/{number:07}.png", data + str(number).encode()


@contextmanager
def local_aws() -> Iterator[tuple[str, str]]:
    """The addresses of S3 and Rekognition while the block runs."""
    port = 12_000 + random.randrange(500) * 20
    with tempfile.TemporaryDirectory(prefix="unchanged-") as folder:
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT_ROOT),
            "LOCAL_AWS_DIR": folder,
            "S3_PORT": str(port),
            "REKOGNITION_PORT": str(port + 10),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "include.local_aws", "--status-delay", "0"],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            if process.stdout is None or "ready" not in process.stdout.readline():
                raise RuntimeError("local AWS did not start")
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 10}"
        finally:
            process.terminate()
            process.wait(30)


def upload(endpoint: str, count: int) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="localsecret",
        region_name="us-east-1",
        config=Config(proxies={}, max_pool_connections=32, request_checksum_calculation="when_required"),
    )
    for bucket in ("example-images", "example-workspace"):
        client.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(32) as threads:
        for done in threads.map(
            lambda item: client.put_object(Bucket="example-images", Key=item[0], Body=item[1]), pictures(count)
        ):
            del done


class Refresh:
    """The steps of one run, each with its time."""

    def __init__(self, name: str) -> None:
        self.run = ImportRun(
            request=S3FolderRequest(project="example-project", s3_folder=FOLDER),
            as_of=datetime.now(UTC).replace(microsecond=0),
            slug=name,
            holder=Holder("refresh_example", name),
        )
        self.seconds: dict[str, float] = {}

    def step(self, work: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        started = time.monotonic()
        # Without what measures a step of Airflow's.
        result: R = getattr(work, "__wrapped__", work)(*arguments, **options)
        self.seconds[work.__name__] = self.seconds.get(work.__name__, 0.0) + time.monotonic() - started
        return result

    def build(self) -> dict[str, Any]:
        run = self.run.to_json()
        shards = self.step(assign_labels, run, self.step(list_objects, run))
        return self.step(build_manifest, run, [self.step(inspect_images, run, each) for each in shards])

    def finish(self, built: dict[str, Any]) -> dict[str, Any]:
        run = self.run.to_json()
        validated = self.step(validate_manifest, run, built)
        plan = self.task(PlanRegistrationOperator, run=run, built=built)
        gate = msgspec.to_builtins(self.step(check_gate, self.run, built, msgspec.convert(plan, Plan), None))
        reconciled = self.task(RegisterDatasetOperator, run=run, built=built, plan=plan)
        published = self.step(publication.publish, run, built, validated, reconciled, gate)
        self.step(publication.acknowledge, self.run, published["snapshot_id"])
        action = reconciled["plan"]["action"]
        return {"action": action, "changed": published["changed"], "states": reconciled["states"]}

    def task(self, operator: type[WaitingOperator], **inputs: Any) -> dict[str, Any]:
        """What a task returns that waits, here for Rekognition alone, without deferring."""
        task = operator(task_id=operator.__name__, deferrable=False, waiter_delay=1, **inputs)
        instance = SimpleNamespace(try_number=1, max_tries=0, xcom_push=_tell_nobody)
        started = time.monotonic()
        result: dict[str, Any] = task.execute(cast("Context", {"ti": instance}))
        self.seconds[operator.__name__] = time.monotonic() - started
        return result


def do_without_airflow(s3_url: str, rekognition_url: str) -> None:
    """Give the steps what they would have from Airflow; there is none to tell of assets, or to ask for seconds."""
    for name, nothing in (("_send_event", _tell_nobody), ("_timings", dict)):
        if not hasattr(publication, name):
            raise AttributeError(f"publication has no {name} any more")
        setattr(publication, name, nothing)
    connection = {
        "conn_type": "aws",
        "login": ACCESS_KEY,
        "password": SECRET_KEY,
        "extra": {
            "region_name": REGION,
            "endpoint_url": s3_url,
            "service_config": {"rekognition": {"endpoint_url": rekognition_url}},
        },
    }
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
    os.environ["AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE"] = "s3://example-workspace/"


def main(count: int) -> None:
    with local_aws() as (s3, rekognition):
        do_without_airflow(s3, rekognition)
        upload(s3, count)
        first = Refresh("first")
        print("first", first.finish(first.build()), _rounded(first.seconds), flush=True)
        for number in range(3):
            again, requests = Refresh(f"again-{number}"), Requests()
            started = time.monotonic()
            listed = sum(len(page.keys) for page in listing.list_objects(again.run.s3, S3FolderLocation.parse(FOLDER)))
            bare = time.monotonic() - started
            started = time.monotonic()
            with requests.counted():
                outcome = again.finish(again.build())
            whole = time.monotonic() - started
            print(f"again {outcome} {_rounded(again.seconds)}")
            print(f"  {listed:,} objects: {whole:.1f} s; the bare listing {bare:.1f} s, {whole / bare:.1f} times")
            print(f"  requests: {dict(sorted(requests.counts.items()))}", flush=True)


def _tell_nobody(*_: object, **__: object) -> None:
    """In place of an asset event, or of what one task has for the next."""


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in seconds.items()}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
