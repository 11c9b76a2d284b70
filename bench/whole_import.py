"""A whole import under Airflow, against the same steps called one after another without it.

::

    python -m bench.whole_import [IMAGES]

Starts a demo in folders and on ports of its own, uploads small images, and imports them twice into two projects: by a
run of the Dag `import_s3_folder`, and by `bench.unchanged_refresh.Refresh`. With 250,000 images it takes most of an
hour, the upload and the two registrations in particular.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

from bench.unchanged_refresh import FOLDER, Refresh, do_without_airflow, pictures
from demo.imports import Import, run_import
from demo.services import Services
from demo.settings import ACCESS_KEY, REGION, SECRET_KEY, Settings
from include.custom_labels.locations import S3FolderLocation

IMAGES = 250_000
RATIO = 1.5
ALLOWANCE_S = 60.0
"""What Airflow may take for itself, whatever the size: starting some twenty tasks."""


def main(count: int) -> None:
    """Measure, and print whether the target is met."""
    first_port = 12_000 + random.randrange(500) * 20
    with tempfile.TemporaryDirectory(prefix="whole-import-") as folder:
        settings = Settings(
            demo_dir=Path(folder, "demo"),
            local_aws_dir=Path(folder, "aws"),
            airflow_port=first_port + 15,
            s3_port=first_port,
            rekognition_port=first_port + 10,
        )
        services = Services(settings, say=print)
        services.up()
        try:
            upload(settings, count)
            started = time.monotonic()
            # As many images as a dataset may have are a risk that would wait for a person.
            conf = {"project": "example-airflow", "s3_folder": FOLDER, "accept_risks": ["QUOTA_NEAR"]}
            with services.airflow() as airflow:
                wanted = Import(dag_id="import_s3_folder", conf=conf)
                finished = run_import(airflow, wanted, base_url=settings.airflow_url, say=print)
            with_airflow = time.monotonic() - started
            without = plain_import(settings)
        finally:
            services.down()
    limit = RATIO * without + ALLOWANCE_S
    print(f"{count:,} images: {with_airflow:.1f} s under Airflow, {without:.1f} s without it")
    print(f"{'met' if with_airflow <= limit else 'MISSED'}: at most {RATIO} × {without:.1f} s + {ALLOWANCE_S:.0f} s")
    print(json.dumps(finished.result, default=str)[:400])


def upload(settings: Settings, count: int) -> None:
    """Put so many images into the folder."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
        config=Config(proxies={}, max_pool_connections=32, request_checksum_calculation="when_required"),
    )
    bucket = S3FolderLocation.parse(FOLDER).bucket
    with ThreadPoolExecutor(32) as threads:
        uploads = threads.map(lambda item: client.put_object(Bucket=bucket, Key=item[0], Body=item[1]), pictures(count))
        for done in uploads:
            del done


def plain_import(settings: Settings) -> float:
    """The steps without Airflow around them; seconds."""
    do_without_airflow(settings.s3_url, settings.rekognition_url)
    started = time.monotonic()
    run = Refresh("plain")
    run.finish(run.build())
    return time.monotonic() - started


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
