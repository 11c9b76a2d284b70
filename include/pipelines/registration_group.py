"""The tasks that write to Rekognition, as operators, so that a run's graph shows which of them did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import XComArg, task, task_group

from include.rekognition.operators import (
    RekognitionCreateDatasetOperator,
    RekognitionCreateProjectOperator,
    RekognitionDeleteDatasetOperator,
    RekognitionUpdateDatasetEntriesOperator,
)

PLAN = "plan_registration"
"""The task before the group."""
RECONCILE = "reconcile"
"""The task after the group."""

_FIRST_TASK = {
    "create": "register.create_project",
    "recreate": "register.delete_failed_dataset",
    "update": "register.update_entries",
    "build_only": RECONCILE,
    "unchanged": RECONCILE,
}
_AWS: dict[str, Any] = {"aws_conn_id": "{{ params.aws_conn_id }}", "waiter_delay": 5, "wait_before_deferring": 15}


def first_task(plan: Mapping[str, Any], group: str = "") -> str:
    """The task that a plan goes on with.

    :param group: what the ids of the import's tasks start with, such as ``train.``
    """
    return group + _FIRST_TASK[plan["action"]]


@task_group(group_id="register", tooltip="Create the project and dataset, or update the dataset's entries")
def register(plan: XComArg, dataset_type: str) -> None:
    """Create, recreate or update; what the plan does not ask for is skipped.

    :param plan: of the task `PLAN`, which may be in a group of tasks
    :param dataset_type: ``TRAIN`` or ``TEST``, or a template that gives it
    """
    # Templates name tasks by their whole ids, and these start with the group that the tasks are in.
    group = plan.operator.task_id.removesuffix(PLAN)  # type: ignore[attr-defined]
    planned = f"ti.xcom_pull(task_ids='{group}{PLAN}')"
    choose = task.branch(task_id="choose", doc_md="Go on with what the plan asks for.")(first_task)(plan, group)  # type: ignore[arg-type]
    delete_failed_dataset = RekognitionDeleteDatasetOperator(
        task_id="delete_failed_dataset",
        dataset_arn=f"{{{{ {planned}['dataset_arn'] }}}}",
        deferrable=True,
        if_missing="skip",
        doc_md="Remove a dataset that failed to be created: it has no entries, and occupies the place.",
        **_AWS,
    )
    create_project = RekognitionCreateProjectOperator(
        task_id="create_project",
        project_name="{{ params.project }}",
        if_exists="skip",
        trigger_rule="none_failed_min_one_success",
        doc_md="Create the Custom Labels project, where there is none of that name.",
        **_AWS,
    )
    create_dataset = RekognitionCreateDatasetOperator(
        task_id="create_dataset",
        project_arn=f"{{{{ ti.xcom_pull(task_ids='{group}register.create_project') }}}}",
        dataset_type=dataset_type,
        manifest_s3_uri=f"{{{{ ti.xcom_pull(task_ids='{group}build_manifest')['manifest'] }}}}",
        deferrable=True,
        # A worker that dies, or a deferral that the scheduler loses sight of, makes Airflow run the task again; what
        # it finds then is its own work, and the reconciliation would tell if it were not.
        if_exists="skip",
        doc_md="Create the dataset from the manifest, and wait until Rekognition has read it.",
        **_AWS,
    )
    update_entries = RekognitionUpdateDatasetEntriesOperator(
        task_id="update_entries",
        dataset_arn=f"{{{{ {planned}['dataset_arn'] }}}}",
        manifest_s3_uri=f"{{{{ {planned}['changes'] }}}}",
        deferrable=True,
        doc_md="Send new and changed entries in batches, one after the other.",
        **_AWS,
    )
    choose >> [delete_failed_dataset, create_project, update_entries]
    delete_failed_dataset >> create_project >> create_dataset
