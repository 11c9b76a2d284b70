"""One Dag `refresh_<name>` for every dataset file `include/datasets/<name>.yaml`, with its own schedule.

Files that cannot be used are reported by `dags/dataset_files.py`, so that they stop none of these.
"""

from __future__ import annotations

from airflow.sdk import DAG

from include.pipelines.dataset_files import DATASETS
from include.pipelines.import_dags import refresh_dags

dags: list[DAG] = refresh_dags(DATASETS)
