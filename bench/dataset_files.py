"""``python -m bench.dataset_files [COUNT]``: the CPU time of reading dataset files, and of making their Dags.

Fresh processes, so that each pays for what only the first file costs; imports do not count, since they are the same for
one file and for hundreds.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

ROUNDS = 5
SOURCES = (
    "type: s3_folder\n  s3_folder: s3://example-images/{number}/\n  exclude: ['*/thumbs/*']",
    "type: ground_truth\n  manifest: s3://example-images/{number}.manifest",
    "type: existing_dataset\n  source_dataset: example-{number}/train",
    "type: local_computer\n  local_folder: /mnt/example-{number}",
)
FILE = """\
# yaml-language-server: $schema=./dataset.schema.json
description: Dataset {number}.
tags: [devices]
schedule: "{minute} {hour} * * *"
timezone: Europe/Berlin
start_date: 2026-11-{day:02}
project: example-{number}
source:
  {source}
notifications:
  - {{on: [failure], sns: "arn:aws:sns:us-east-1:111122223333:example-topic"}}
"""


def write_files(folder: Path, count: int, sources: tuple[str, ...]) -> None:
    """Files of all sources in turn."""
    for number in range(count):
        source = sources[number % len(sources)].format(number=number)
        text = FILE.format(number=number, minute=number % 60, hour=number % 24, day=number % 28 + 1, source=source)
        (folder / f"example-{number}.yaml").write_text(text)


def measure(folder: Path, count: int) -> tuple[float, float]:
    """CPU seconds of reading all files, and before that of reading them and making the Dags, in this process."""
    from include.pipelines.dataset_files import read_datasets
    from include.pipelines.import_dags import refresh_dags

    # As Airflow's Dag processor does before it forks.
    gc.freeze()
    started = time.process_time()
    dags = refresh_dags(folder)
    both_s = time.process_time() - started
    started = time.process_time()
    read = read_datasets(folder)
    if read.errors or len(dags) != count:
        raise RuntimeError(f"{len(dags)} Dags of {count} files, {len(read.errors)} faulty")
    return time.process_time() - started, both_s


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False")
        for title, sources in (("S3 folders", SOURCES[:1]), ("all four sources", SOURCES)):
            folder = Path(home) / title
            folder.mkdir()
            write_files(folder, count, sources)
            runs = []
            for _ in range(ROUNDS):
                with get_context("spawn").Pool(1) as pool:
                    runs.append(pool.apply(measure, (folder, count)))
            read_s, both_s = ([run[kind] for run in runs] for kind in (0, 1))
            print(
                f"{count} files of {title}: read and checked {statistics.median(read_s):.2f} s "
                f"[{min(read_s):.2f}-{max(read_s):.2f}], with Dags {statistics.median(both_s):.2f} s "
                f"[{min(both_s):.2f}-{max(both_s):.2f}] of CPU"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
