"""Has no Dag: shows dataset files that cannot be used among Airflow's import errors, by their names.

An import error takes all Dags of its file with it; here there is none to take.
"""

from __future__ import annotations

from include.pipelines.dataset_files import DATASETS, read_datasets

read_datasets(DATASETS).raise_on_errors()
