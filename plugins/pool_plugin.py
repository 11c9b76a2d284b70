"""Has Airflow make the pool of the tasks that call Rekognition; everything else is in `include/pipelines/pool.py`.

Airflow executes this file in every task process as well, so that it imports nothing that takes time.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.pipelines import pool


class PoolPlugin(AirflowPlugin):
    """The pool of this project."""

    name = "custom_labels_pool"
    listeners = [pool]
