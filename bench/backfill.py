"""A backfill in a running Airflow, checked against a model that replays the bucket's history.

::

    python -m bench.backfill [TICKS]

Starts a demo of its own on PostgreSQL from a copy of the project, and writes a history of uploads, overwrites,
deletions and renames into a bucket with versions, in real time: S3 sets the times itself, so that a tick of the
schedule is four seconds instead of a day. Then it has Airflow backfill the ticks, 30 unless told otherwise, twice: a
quarter of an hour and more on two cores. It fails where a snapshot, what is registered or the number of asset events
is not what the history asks for.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import boto3
import httpx
from botocore.config import Config
from PIL import Image

from bench.postgresql import postgresql
from demo.processes import wait_until
from demo.settings import ACCESS_KEY, PROJECT_ROOT, REGION, SECRET_KEY

TICK = timedelta(seconds=4)
TICKS = 30
DAG_ID = "refresh_history"
BUCKET = "example-history"
FOLDER = "alexa-devices/"
LABELS = ("echo", "echo-dot", "echo-show")
WORKSPACE = "example-workspace"
DATASET = "datasets/history/train/"
# Tasks ask the same API server, and two cores have enough to do with them.
TIMEOUT_S = 300.0
DEADLINE_S = 3600.0

_DATASET = """\
project: history
schedule: "{schedule}"
start_date: {start_date}
source:
  type: s3_folder
  s3_folder: s3://{bucket}/{folder}
  history_folder: s3://{bucket}/
gates:
  approval: never
  max_removed_percent: 100
  accept_risks: [REMOVED_SHARE, NEW_LABELS, VANISHED_LABELS]
"""

Model = dict[str, str]
"""MD5 of each image's content by key."""


@dataclass
class Place:
    """The copy of the project, and what runs from it."""

    root: Path
    environment: dict[str, str]
    s3: Any = field(init=False)
    rekognition: Any = field(init=False)
    airflow: httpx.Client = field(init=False)

    def demo(self, command: str) -> None:
        subprocess.run([sys.executable, "-m", "demo", command], cwd=self.root, env=self.environment, check=True)

    def connect(self) -> None:
        port = self.environment["AIRFLOW_PORT"]
        self.s3 = self._client("s3", "S3_PORT")
        self.rekognition = self._client("rekognition", "REKOGNITION_PORT")
        password = json.loads((self.root / ".demo" / "airflow" / "passwords.json").read_bytes())["admin"]
        self.airflow = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S, trust_env=False)
        token = self.call("POST", "/auth/token", json={"username": "admin", "password": password})["access_token"]
        self.airflow.headers["Authorization"] = f"Bearer {token}"

    def _client(self, service: Literal["s3", "rekognition"], port: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.environment[port]}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(proxies={}, s3={"addressing_style": "path"}),
        )

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.airflow.request(method, path, **arguments)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


def copied_project(folder: Path) -> Path:
    """What git knows of the project, so that no dataset file has to be put into the real one."""
    root = folder / "project"
    names = subprocess.run(["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.splitlines():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT_ROOT / name, root / name)
    return root


def wait_for(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    if not wait_until(condition, deadline_s=deadline_s, interval_s=0.5):
        raise RuntimeError(f"{what}: not within {deadline_s:.0f} s")


def until(moment: datetime) -> None:
    """Wait for the clock: what S3 stamps cannot be chosen."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(min(left, 0.2))


def picture(rng: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), tuple(rng.randrange(256) for _ in range(3))).save(file, "PNG")
    return file.getvalue()


class History:
    """Changes of the bucket, and what is in it after each."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._random = random.Random(7)
        self._names = iter(range(10_000))
        self.state: Model = {}
        self.done: Counter[str] = Counter()

    def change(self) -> None:
        """One to four changes, at most one a key: S3's times have whole seconds."""
        keys = self._random.sample(sorted(self.state), min(4, len(self.state)))
        for kind in self._random.choices(["add", "overwrite", "delete", "rename"], [5, 2, 1, 2], k=4):
            if kind == "add" or not keys:
                self._put(self._new_key(), "add")
            elif kind == "overwrite":
                self._put(keys.pop(), "overwrite")
            elif kind == "delete":
                self._delete(keys.pop(), "delete")
            else:
                old, new = keys.pop(), self._new_key()
                self._s3.copy_object(Bucket=BUCKET, Key=new, CopySource={"Bucket": BUCKET, "Key": old})
                self.state[new] = self.state[old]
                self._delete(old, "rename")

    def _new_key(self) -> str:
        return f"{FOLDER}{self._random.choice(LABELS)}/{next(self._names):04}.png"

    def _put(self, key: str, kind: str) -> None:
        body = picture(self._random)
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        self.state[key] = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self.done[kind] += 1

    def _delete(self, key: str, kind: str) -> None:
        self._s3.delete_object(Bucket=BUCKET, Key=key)
        del self.state[key]
        self.done[kind] += 1


def write_history(s3: Any, ticks: int) -> tuple[dict[datetime, Model], str]:
    """Play the history in real time; the bucket at each tick, and a schedule of these ticks alone."""
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    history = History(s3)
    for _ in range(5):
        history.change()
    # Whole minutes, so that one cron expression names these ticks and no later ones.
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    if (start - datetime.now(UTC)).total_seconds() < TICK.seconds:
        start += timedelta(minutes=1)
    states: dict[datetime, Model] = {}
    for number in range(ticks):
        tick = start + number * TICK
        until(tick - TICK + timedelta(seconds=1.2))
        history.change()
        if datetime.now(UTC) > tick:
            raise RuntimeError("the changes took longer than a tick")
        states[tick] = dict(history.state)
    until(start + ticks * TICK)
    print(f"History: {dict(history.done)}, {len(history.state)} images at the end", flush=True)
    # Minutes one by one: croniter takes a range of one minute, such as 24-24, for all of them.
    minutes = sorted({(start + number * TICK).minute for number in range(ticks)})
    schedule = f"{','.join(map(str, minutes))} {start.hour} {start.day} {start.month} * */{TICK.seconds}"
    return states, schedule


def backfill(place: Place, states: dict[datetime, Model], behavior: str) -> float:
    """Have all ticks run, and wait for the runs; seconds."""
    ticks = sorted(states)
    started, started_at = time.monotonic(), datetime.now(UTC)
    wanted = {
        "dag_id": DAG_ID,
        "from_date": ticks[0].isoformat(),
        "to_date": ticks[-1].isoformat(),
        "reprocess_behavior": behavior,
        "max_active_runs": 3,
        "dag_run_conf": {},
    }
    created = place.call("POST", "/api/v2/backfills", json=wanted)
    # Only now, or the scheduler would make a run of its own for the last tick.
    place.call("PATCH", f"/api/v2/dags/{DAG_ID}", json={"is_paused": False})

    def has_ended() -> bool:
        return place.call("GET", f"/api/v2/backfills/{created['id']}")["completed_at"] is not None

    wait_for(has_ended, DEADLINE_S, "the backfill")
    seconds = time.monotonic() - started
    runs = place.call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns", params={"limit": 100})["dag_runs"]
    found = Counter((run["run_type"], run["state"]) for run in runs)
    if found != {("backfill", "success"): len(ticks)}:
        raise RuntimeError(f"Runs: {dict(found)}")
    if any(datetime.fromisoformat(run["start_date"]) < started_at for run in runs):
        raise RuntimeError("a run was not repeated")
    return seconds


def asset_events(place: Place) -> int:
    """How many asset events the Dag has sent."""
    parameters = {"source_dag_id": DAG_ID, "limit": 1}
    total: int = place.call("GET", "/api/v2/assets/events", params=parameters)["total_entries"]
    return total


def snapshots(place: Place, states: dict[datetime, Model]) -> dict[str, bytes]:
    """Hold every snapshot against the model; the manifests by snapshot id."""
    keys = [
        entry["Key"]
        for page in place.s3.get_paginator("list_objects_v2").paginate(Bucket=WORKSPACE, Prefix=f"{DATASET}snapshots/")
        for entry in page.get("Contents", [])
    ]
    manifests = {key.split("/")[4]: key for key in keys if key.endswith(".manifest")}
    found: dict[str, bytes] = {}
    for tick, model in sorted(states.items()):
        names = [name for name in manifests if name.startswith(f"{tick:%Y%m%dT%H%M%SZ}")]
        if len(names) != 1:
            raise RuntimeError(f"{tick}: {len(names)} snapshots")
        (name,) = names
        found[name] = place.s3.get_object(Bucket=WORKSPACE, Key=manifests[name])["Body"].read()
        if (seen := images(place, found[name].splitlines())) != model:
            raise RuntimeError(f"{tick}: the snapshot has {sorted(seen.items() ^ model.items())}")
    if len(manifests) != len(found):
        raise RuntimeError(f"{len(manifests)} snapshots for {len(found)} ticks")
    return found


def images(place: Place, lines: Iterable[str | bytes]) -> Model:
    """What the lines of a manifest say, once their labels are found to be the folders'."""
    seen: Model = {}
    for line in map(json.loads, lines):
        place_of = line["source-ref"].removeprefix(f"s3://{BUCKET}/")
        key = place_of.split("/", 2)[2] if place_of.startswith("custom-labels-history/") else place_of
        if (label := line["label-0-metadata"]["class-name"]) != key.removeprefix(FOLDER).split("/")[0]:
            raise RuntimeError(f"{key} is labelled {label}")
        body = place.s3.get_object(Bucket=BUCKET, Key=place_of)["Body"].read()
        seen[key] = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return seen


def check_registration(place: Place, newest: str, model: Model) -> None:
    """Only the newest tick is registered, and Rekognition has its images."""
    summaries = {
        key.split("/")[4]: json.loads(place.s3.get_object(Bucket=WORKSPACE, Key=key)["Body"].read())
        for page in place.s3.get_paginator("list_objects_v2").paginate(Bucket=WORKSPACE, Prefix=f"{DATASET}snapshots/")
        for key in (entry["Key"] for entry in page["Contents"])
        if key.endswith("/summary.json")
    }
    registered = {
        name for name, summary in summaries.items() if summary["details"]["registration"]["action"] != "superseded"
    }
    if registered != {newest}:
        raise RuntimeError(f"{sorted(registered)} were registered, and {newest} is the newest")
    current = json.loads(place.s3.get_object(Bucket=WORKSPACE, Key=f"{DATASET}current.json")["Body"].read())
    if current["snapshot_id"] != newest:
        raise RuntimeError(f"{current['snapshot_id']} is current, and {newest} is the newest")
    pages = place.rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=current["dataset_arn"])
    if images(place, (entry for page in pages for entry in page["DatasetEntries"])) != model:
        raise RuntimeError("the dataset in Rekognition has other images than the newest tick")


def main(ticks: int) -> None:
    if ticks * TICK.seconds % 60:
        # Else the rest of the last minute would be ticks too, for which the scheduler makes runs of its own.
        raise SystemExit("The ticks have to fill whole minutes: 15, 30 or 45 of them.")
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder, postgresql() as database:
        root = copied_project(Path(folder))
        offset = random.randrange(500) * 20
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "PYTHONPATH": str(root),
            "AIRFLOW_PORT": str(11_000 + offset),
            "S3_PORT": str(11_001 + offset),
            "REKOGNITION_PORT": str(11_010 + offset),
            "DEMO_DATABASE": database,
        }
        place = Place(root, environment)
        place.demo("up")
        try:
            measure(place, ticks)
        finally:
            place.demo("down")


def measure(place: Place, ticks: int) -> None:
    place.connect()
    states, schedule = write_history(place.s3, ticks)
    dataset = _DATASET.format(schedule=schedule, start_date=f"{min(states):%Y-%m-%d}", bucket=BUCKET, folder=FOLDER)
    (place.root / "include" / "datasets" / "history.yaml").write_text(dataset)
    dag = f"/api/v2/dags/{DAG_ID}"
    wait_for(lambda: place.airflow.get(dag).status_code == httpx.codes.OK, 180, f"the Dag {DAG_ID}")
    found: dict[str, bytes] = {}
    for behavior in ("none", "completed"):
        seconds = backfill(place, states, behavior)
        before, found = found, snapshots(place, states)
        check_registration(place, max(found), states[max(states)])
        if before and found != before:
            raise RuntimeError("the second backfill made other manifests")
        if (events := asset_events(place)) != 1:
            raise RuntimeError(f"{events} asset events")
        print(
            f"Backfill, reprocessing {behavior}: {seconds:.0f} s; {len(found)} snapshots as the model has them, "
            f"{sum(map(len, found.values())):,} bytes of manifests; one registered, one asset event",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TICKS)
