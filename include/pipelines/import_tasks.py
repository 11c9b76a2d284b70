"""The tasks that all import sources share, before and after the ones that only a source has."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import cleandoc

from airflow.sdk import TaskGroup, XComArg, task

from include.object_store.snapshots import DatasetType
from include.pipelines.distribution import distribution_task
from include.pipelines.division import choose_dataset, divide_images, first_tasks
from include.pipelines.gate_tasks import open_gate
from include.pipelines.gates import GATE_KEY
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.policy import ONE_WAY, task_of
from include.pipelines.publication import DATASETS, publish
from include.pipelines.registration_tasks import plan_task, register_task
from include.pipelines.start import check_access, validate_request
from include.pipelines.summaries import summarize
from include.rekognition.pool import CALLING_SLOTS, in_pool

PUBLISH = "publish_snapshot"


def start_import(source: str) -> tuple[XComArg, XComArg]:
    """The run, and the access check that has to pass before the source's own tasks.

    :param source: the tag of its request, such as ``s3_folder``
    """
    run = task_of(validate_request)(source)
    return run, task_of(check_access, **in_pool(CALLING_SLOTS))(run)


def finish_import(
    run: XComArg, shards: XComArg, dataset_types: Sequence[DatasetType], *, chosen: XComArg | None = None
) -> None:
    """Everything from the inspection of images to the summaries, for one dataset or both of a project.

    :param shards: what the source's last task returns: a list of shards, each with its number, bucket and ledger
    :param dataset_types: that a run may be for; with both, a run of one skips the tasks of the other
    :param chosen: values that the source's tasks chose for parameters which were left empty
    """
    inspected = task_of(inspect_images).partial(run=run).expand(shard=shards)
    divided = task_of(divide_images, multiple_outputs=True, **in_pool(CALLING_SLOTS))(run, inspected)
    ways = divided
    if len(dataset_types) > 1:
        ways = task.branch(task_id="choose_types", doc_md=cleandoc(first_tasks.__doc__ or ""))(first_tasks)(divided)
    published: dict[str, XComArg] = {}
    for dataset_type in dataset_types:
        with dataset_group(dataset_type):
            of_type = task_of(choose_dataset)(run, dataset_type, chosen)
            ways >> of_type
            published[dataset_type] = finish_dataset(
                of_type, divided[dataset_type], dataset_type=dataset_type, split=divided["report"]
            )
    if len(dataset_types) > 1:
        published["train"] >> distribution_task(run)


def dataset_group(dataset_type: DatasetType) -> TaskGroup:
    """The tasks of one dataset."""
    return TaskGroup(dataset_type, tooltip=f"The {dataset_type} dataset")


def finish_dataset(
    run: XComArg,
    shards: XComArg,
    *,
    dataset_type: DatasetType,
    split: XComArg | None = None,
    provenance: XComArg | None = None,
) -> XComArg:
    """From inspected shards to the summary of one dataset; to be called within its group of tasks.

    :param run: of this dataset alone
    :param split: the report of the split that gave the dataset its images
    :param provenance: JSON on where all of this came from, for the snapshot
    :returns: what was published
    """
    built = task_of(build_manifest)(run, shards)
    validated = task_of(validate_manifest)(run, built)
    planned = plan_task(run, built, provenance)
    gate, approved = open_gate(run, built, planned.output, split)
    registered = register_task(run, built, planned.output, provenance)
    # An approval that nobody was asked for is skipped, and keeps nothing from being published. All that this task takes
    # is of its own group: what has succeeded before the group would let it run where the group is skipped.
    published = task_of(publish, task_id=PUBLISH, outlets=[DATASETS], trigger_rule=ONE_WAY)(
        run,
        built,
        validated,
        registered.output,
        gate[GATE_KEY],  # type: ignore[index]
        approved.output,
        provenance,
    )
    validated >> planned
    [gate, approved] >> registered
    task_of(summarize)(run, built, validated, registered.output, published)
    return published  # type: ignore[no-any-return]
