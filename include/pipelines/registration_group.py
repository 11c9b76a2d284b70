"""The tasks that write to Rekognition, as operators, so that a run's graph shows which of them did."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec
from airflow.sdk import TaskGroup, XComArg, get_current_context, task

from include.pipelines.policy import ONE_WAY, task_of
from include.pipelines.registration import PLAN_KEY, WRITES, Plan, begin_registration, has_ended
from include.pipelines.restoration import restore_dataset
from include.pipelines.runs import ImportRun
from include.pipelines.steps import step
from include.rekognition.operators import (
    RekognitionBaseOperator,
    RekognitionCreateDatasetOperator,
    RekognitionCreateProjectOperator,
    RekognitionDeleteDatasetOperator,
    RekognitionUpdateDatasetEntriesOperator,
)
from include.rekognition.pool import CALLING_SLOTS, WAITING_SLOTS, in_pool

PLAN = "plan_registration"
"""The task before the group."""
RECONCILE = "reconcile"
"""The task after the group."""
BEGIN = "register.begin"
"""The group's first task, which leaves the plan that is carried out."""

_FIRST_TASK = {
    "create": "register.create_project",
    "recreate": "register.delete_dataset",
    "replace": "register.delete_dataset",
    "update": "register.update_entries",
}
# As often as `WAITING_SLOTS` says.
_WAITER_DELAY_S = 5
_AWS: dict[str, Any] = {
    "aws_conn_id": "{{ params.aws_conn_id }}",
    "waiter_delay": _WAITER_DELAY_S,
    "wait_before_deferring": 15,
    **in_pool(WAITING_SLOTS),
}


@step
def begin(run: dict[str, Any], built: dict[str, Any], plan: dict[str, Any], group: str) -> str:
    """Take the dataset's lease, write down in its journal what is about to be done, and go on with that.

    Fails where another run works on the dataset, or where what was approved is not what would be done now.
    """
    carried_out = begin_registration(ImportRun.from_json(run), built, msgspec.convert(plan, Plan), has_ended)
    get_current_context()["ti"].xcom_push(key=PLAN_KEY, value=carried_out.to_json())
    return group + (_FIRST_TASK[carried_out.action] if carried_out.action in WRITES else RECONCILE)


def register(
    run: XComArg, built: XComArg, plan: XComArg, dataset_type: str
) -> tuple[XComArg, list[RekognitionBaseOperator], XComArg]:
    """Create, update or replace; what the plan does not ask for is skipped.

    :param plan: of the task `PLAN`, which may be in a group of tasks
    :param dataset_type: ``TRAIN`` or ``TEST``, or a template that gives it
    :returns: the first task; those after which the dataset is what the plan made of it; and the one that puts things
        right after a failure of any of them or of a later task
    """
    # Templates name tasks by their whole ids, and these start with the group that the tasks are in.
    group = plan.operator.task_id.removesuffix(PLAN)  # type: ignore[attr-defined]
    planned = f"ti.xcom_pull(task_ids='{group}{BEGIN}', key='{PLAN_KEY}')"
    with TaskGroup("register", tooltip="Create, update or replace the dataset"):
        first = task.branch(
            task_id="begin",
            doc_md=cleandoc(begin.__doc__ or ""),
            trigger_rule=ONE_WAY,
            **in_pool(CALLING_SLOTS),
        )(begin)(
            run,  # type: ignore[arg-type]
            built,  # type: ignore[arg-type]
            plan,  # type: ignore[arg-type]
            group,
        )
        delete_dataset = RekognitionDeleteDatasetOperator(
            task_id="delete_dataset",
            dataset_arn=f"{{{{ {planned}['dataset_arn'] }}}}",
            updated_at=f"{{{{ {planned}['fingerprint']['dataset_updated_at'] }}}}",
            deferrable=True,
            if_missing="skip",
            doc_md="Remove a dataset that is replaced, whose entries were exported, or one that failed to be created.",
            **_AWS,
        )
        create_project = RekognitionCreateProjectOperator(
            task_id="create_project",
            project_name="{{ params.project }}",
            if_exists="skip",
            trigger_rule=ONE_WAY,
            doc_md="Create the Custom Labels project, where there is none of that name.",
            **_AWS,
        )
        create_dataset = RekognitionCreateDatasetOperator(
            task_id="create_dataset",
            project_arn=f"{{{{ ti.xcom_pull(task_ids='{group}register.create_project') }}}}",
            dataset_type=dataset_type,
            manifest_s3_uri=f"{{{{ {planned}['manifest'] }}}}",
            deferrable=True,
            # A worker that dies, or a deferral that the scheduler loses sight of, makes Airflow run the task again;
            # what it finds then is its own work, and the reconciliation would tell if it were not.
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
        restore = task_of(
            restore_dataset, task_id="restore_dataset", trigger_rule="one_failed", **in_pool(CALLING_SLOTS)
        )(run)
        first >> [delete_dataset, create_project, update_entries]
        delete_dataset >> create_project >> create_dataset
        [first, delete_dataset, create_project, create_dataset, update_entries] >> restore
    return first, [create_dataset, update_entries], restore
