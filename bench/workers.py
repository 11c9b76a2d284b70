"""How the inspection of a folder scales with Celery workers, where the answers of S3 and not the CPU are the limit.

::

    python -m bench.workers [IMAGES]

Starts local AWS, a proxy that makes each answer for an image take `LATENCY_S`, and Airflow with PostgreSQL, Redis and
1, 2 and 4 Celery workers with one task at a time each (`bench.installation`). Each of these imports a folder of its
own of the same images, without registering it; what counts is the time from the start of the first mapped task to the
end of the last. About twelve minutes on two cores. Needs the Debian packages redis-server and postgresql.
"""

from __future__ import annotations

import asyncio
import io
import json
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from PIL import Image

from bench.installation import HOST, running_installation
from bench.slow_s3 import slow_s3
from demo.airflow_api import AirflowApi
from demo.imports import Import, trigger_import
from demo.processes import wait_until
from demo.settings import ACCESS_KEY, PROJECT_ROOT, REGION, SECRET_KEY

IMAGES = 8_000
LATENCY_S = 2.0
"""As of a bucket that is far away, or throttled: with 64 requests at a time a task inspects 32 images a second."""
WORKERS = (1, 2, 4)
BUCKET = "example-images"
DAG_ID = "import_s3_folder"
DEADLINE_S = 1800.0
RESULTS = Path(__file__).parent / "results" / "workers.json"


def main(images: int) -> None:
    with tempfile.TemporaryDirectory(prefix="workers-") as folder, local_aws(Path(folder)) as (s3, rekognition):
        client = boto3.client(
            "s3",
            endpoint_url=s3,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(proxies={}, s3={"addressing_style": "path"}, max_pool_connections=32),
        )
        upload(client, images)
        rows = []
        with slow_s3(s3, wait_for_image) as slow:
            for workers in WORKERS:
                rows.append(measure(Path(folder) / f"{workers}-workers", slow, rekognition, workers, images))
                print(json.dumps(rows[-1]), flush=True)
    for row in rows:
        row["speedup"] = round(rows[0]["seconds"] / row["seconds"], 2)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": platform.platform(), "latency_s": LATENCY_S, "rows": rows}, indent=2))
    print("\n| workers | shards | seconds | images a second | times one worker |\n|---|---|---|---|---|")
    for row in rows:
        rate = row["images"] / row["seconds"]
        print(f"| {row['workers']} | {row['shards']} | {row['seconds']:.0f} | {rate:.0f} | {row['speedup']:.2f} |")


async def wait_for_image(request: str) -> None:
    if request.startswith(f"GET /{BUCKET}/") and ".png" in request.partition("\r\n")[0]:
        await asyncio.sleep(LATENCY_S)


def upload(client: Any, images: int) -> None:
    for bucket in (BUCKET, "example-workspace"):
        client.create_bucket(Bucket=bucket)
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 80, 120)).save(file, "PNG")
    keys = [f"alexa-devices/label-{number % 8}/{number:06}.png" for number in range(images)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=file.getvalue()), keys))


def measure(folder: Path, s3: str, rekognition: str, workers: int, images: int) -> dict[str, Any]:
    extra = {
        "region_name": REGION,
        "endpoint_url": s3,
        "service_config": {"rekognition": {"endpoint_url": rekognition}},
    }
    connection = json.dumps({"conn_type": "aws", "login": ACCESS_KEY, "password": SECRET_KEY, "extra": extra})
    variables = {
        "custom_labels_workspace": f"s3://example-workspace/{workers}/",
        # A page of a thousand images is a shard, whose work takes half a minute at this latency.
        "custom_labels_shard_seconds": "1",
    }
    folder.mkdir()
    with (
        running_installation(
            folder, workers=workers, connection=connection, variables=variables, settings={}
        ) as installation,
        installation.api() as airflow,
    ):
        wanted = Import(dag_id=DAG_ID, conf={"s3_folder": f"s3://{BUCKET}/alexa-devices", "register": False})
        run_id = trigger_import(airflow, wanted)
        mapped: list[dict[str, Any]] = []

        def are_inspected() -> bool:
            mapped[:] = shards(airflow, run_id)
            return bool(mapped) and all(each["state"] == "success" for each in mapped)

        if not wait_until(are_inspected, deadline_s=DEADLINE_S, interval_s=3):
            raise RuntimeError(f"not inspected after {DEADLINE_S:.0f} s: {mapped}")
    began = min(datetime.fromisoformat(each["start_date"]) for each in mapped)
    ended = max(datetime.fromisoformat(each["end_date"]) for each in mapped)
    return {
        "workers": workers,
        "images": images,
        "shards": len(mapped),
        "seconds": round((ended - began).total_seconds(), 1),
        "seconds_of_shards": [round(each["duration"], 1) for each in mapped],
    }


def shards(airflow: AirflowApi, run_id: str) -> list[dict[str, Any]]:
    """The mapped tasks; none while Airflow has not mapped them."""
    found = [each for each in airflow.task_instances(DAG_ID, run_id) if each["task_id"] == "inspect_images"]
    return [each for each in found if each["map_index"] >= 0]


@contextmanager
def local_aws(folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses of S3 and Rekognition."""
    with socket.create_server((HOST, 0)) as probe:
        s3_port = 12_000 + probe.getsockname()[1] % 12_000
    environment = {"S3_PORT": str(s3_port), "REKOGNITION_PORT": str(s3_port + 1), "LOCAL_AWS_DIR": str(folder / "aws")}
    process = subprocess.Popen(
        [sys.executable, "-m", "include.local_aws", "--status-delay", "0"],
        cwd=PROJECT_ROOT,
        env={"PYTHONPATH": str(PROJECT_ROOT), "PATH": "/usr/bin:/bin", **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or not process.stdout.readline().startswith("ready"):
            raise RuntimeError("local AWS did not start")
        yield f"http://{HOST}:{s3_port}", f"http://{HOST}:{s3_port + 1}"
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
