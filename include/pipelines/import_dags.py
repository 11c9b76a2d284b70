"""The Dags of the project: one for each import source, and one for each dataset file, with the same tasks."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, time
from functools import cache
from pathlib import Path
from weakref import proxy
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, CronTriggerTimetable, TaskGroup, get_parsing_context
from airflow.sdk.definitions._internal.expandinput import EXPAND_INPUT_EMPTY

from include.object_store.snapshots import DatasetType
from include.pipelines.dataset_files import DAG_PREFIX, Dataset, read_datasets
from include.pipelines.division import DATASET_TYPES
from include.pipelines.policy import DEFAULT_ARGS, TAGS
from include.pipelines.requests import REQUEST_TYPES, form
from include.pipelines.sources import SOURCE_TASKS

REFRESH_TAG = "refresh"

_REFRESH_DOC = """
### Refresh of the dataset {name}

{description}

Does what the Dag `import_{source}` does, with the parameters of `{file}`; a run that is triggered may have others.
A run is as of the tick of the schedule that it is for. Schedule, backfills and their traps: `docs/datasets.md`.

~~~~~~~~yaml
{text}
~~~~~~~~
"""


def import_dag(source: str, *, dag_id: str, dag_display_name: str, description: str, doc_md: str) -> DAG:
    """The Dag of an import source, which runs when it is triggered.

    :param source: the tag of its request, such as ``s3_folder``
    """
    dag = DAG(
        dag_id=dag_id,
        dag_display_name=dag_display_name,
        description=description,
        doc_md=doc_md,
        schedule=None,
        catchup=False,
        # One at a time: two runs must never work on the same dataset.
        max_active_runs=1,
        default_args=DEFAULT_ARGS,
        tags=TAGS,
    )
    with dag:
        SOURCE_TASKS[source](DATASET_TYPES)
    # Not earlier: each task would get a copy of them all, which takes longer than everything else about it.
    dag.params.update(form(REQUEST_TYPES[source]))
    return dag


def refresh_dags(folder: Path) -> list[DAG]:
    """The Dags of a folder's dataset files, registered with the Dag file that calls this; faulty files are left out.

    For a task, which is of one Dag, no other file is read and no other Dag built.

    :raises DatasetFileError: the file of a task's Dag has become faulty
    """
    wanted = get_parsing_context().dag_id
    if wanted is None:
        return [refresh_dag(dataset) for dataset in read_datasets(folder).datasets]
    files = read_datasets(folder, wanted.removeprefix(DAG_PREFIX))
    files.raise_on_errors()
    return [refresh_dag(dataset) for dataset in files.datasets]


def refresh_dag(dataset: Dataset) -> DAG:
    """The Dag of a dataset file."""
    content = dataset.content
    timezone = ZoneInfo(content.timezone)
    dag = DAG(
        dag_id=dataset.dag_id,
        description=content.description or f"Refresh the dataset of the project {dataset.request.project}",
        doc_md=_REFRESH_DOC.format(
            name=dataset.name,
            description=content.description,
            source=dataset.source,
            file=dataset.file,
            text=dataset.text,
        ),
        schedule=CronTriggerTimetable(content.schedule, timezone=content.timezone) if content.schedule else None,
        start_date=datetime.combine(content.start_date, time(), timezone) if content.start_date else None,
        catchup=False,
        # One at a time: two runs must never work on the same dataset.
        max_active_runs=1,
        default_args=DEFAULT_ARGS | {"owner": content.owner},
        tags=[*TAGS, REFRESH_TAG, *content.tags],
        on_failure_callback=[*dataset.notifiers("failure")] or None,
        on_success_callback=[*dataset.notifiers("success")] or None,
    )
    with dag:
        _copy_tasks(_pattern(dataset.source, content.owner, dataset.request.dataset_types), dag)
    for task in dag.tasks:
        if isinstance(task, HITLOperator):
            task.notifiers = dataset.notifiers("approval")
    # The Dag has the tasks of these types of dataset only.
    dag.params.update(form(REQUEST_TYPES[dataset.source], dataset.params, fixed=("dataset_type",)))
    return dag


@cache
def _pattern(source: str, owner: str, dataset_types: tuple[DatasetType, ...]) -> DAG:
    """A Dag with the tasks of a source, which is there to be copied."""
    pattern = DAG(
        dag_id=f"pattern_{source}", schedule=None, default_args=DEFAULT_ARGS | {"owner": owner}, auto_register=False
    )
    with pattern:
        SOURCE_TASKS[source](dataset_types)
    return pattern


def _copy_tasks(pattern: DAG, dag: DAG) -> None:
    """Give a Dag the tasks of another; five times as fast as making them anew, which counts with hundreds of files.

    As Airflow's own `DAG.partial_subset` does it: tasks and groups know how to be copied, and in a copy, what refers
    to the one Dag refers to the other.
    """
    # A task names its group by a weak reference, which is set again below.
    groups: dict[int, None] = {id(proxy(group)): None for group in pattern.task_group.get_task_group_dict().values()}
    # Airflow compares with this one, and with nothing that is equal to it.
    same = {id(EXPAND_INPUT_EMPTY): EXPAND_INPUT_EMPTY}
    root, tasks = deepcopy((pattern.task_group, pattern.task_dict), {id(pattern): dag, **groups, **same})
    _adopt(root)
    # A Dag's group can only be set while the Dag is made, and the group is not there before the Dag.
    object.__setattr__(dag, "task_group", root)
    for task in tasks.values():
        task.start_date = dag.start_date
    dag.task_dict.update(tasks)


def _adopt(group: TaskGroup) -> None:
    for child in group.children.values():
        child.task_group = proxy(group)
        if isinstance(child, TaskGroup):
            _adopt(child)
