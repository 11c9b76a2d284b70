"""Found by the demo's Airflow on PYTHONPATH; what forking parts of Airflow import once, when they start.

Each task, and each reading of a Dag file, is a process that they fork: without this, all of them would spend most of
their time on importing the same packages. None of them is the project's own, whose changes are to be seen at once.
"""

from __future__ import annotations

import sys
from importlib import import_module

_PACKAGES = (
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.amazon.aws.operators.base_aws",
    "airflow.providers.amazon.aws.sensors.base_aws",
    "airflow.providers.amazon.aws.triggers.base",
    "airflow.providers.standard.decorators.branch_python",
    "airflow.providers.standard.operators.hitl",
    "airflow.sdk",
    "cron_descriptor",
    "croniter",
    "jinja2",
    "msgspec",
    "obstore",
    "PIL.Image",
    "pyarrow.parquet",
    "rich.table",
    "yaml",
)

# Airflow takes every other name of this file for a setting.
__all__: list[str] = []

if {"scheduler", "dag-processor", "worker"} & set(sys.argv):
    for _package in _PACKAGES:
        import_module(_package)
