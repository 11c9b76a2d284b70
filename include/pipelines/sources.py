"""The tasks of each import source, in their order; called within a Dag."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow.sdk import task

from include.object_store.snapshots import DatasetType
from include.pipelines import existing_dataset, ground_truth, local_computer, s3_folder
from include.pipelines.division import choose_dataset
from include.pipelines.import_tasks import dataset_group, finish_dataset, finish_import, start_import
from include.pipelines.inspection import inspect_images
from include.pipelines.policy import task_of
from include.rekognition.pool import CALLING_SLOTS, LISTING_SLOTS, in_pool

DatasetTypes = Sequence[DatasetType]


def s3_folder_tasks(dataset_types: DatasetTypes) -> None:
    """List, label, and go on as every import."""
    run, access = start_import("s3_folder")
    listed = task_of(s3_folder.list_objects)(run)
    access >> listed
    finish_import(run, task_of(s3_folder.assign_labels)(run, listed), dataset_types)


def local_computer_tasks(dataset_types: DatasetTypes) -> None:
    """Stage, upload, label, and go on as every import."""
    run, access = start_import("local_computer")
    staged = task_of(local_computer.stage_files, multiple_outputs=True, **in_pool(LISTING_SLOTS))(run)
    access >> staged
    shards = task_of(local_computer.divide_files)(staged)
    uploaded = task_of(local_computer.upload_images).partial(run=run, staged=staged).expand(shard=shards)
    labelled = task_of(local_computer.assign_labels, **in_pool(CALLING_SLOTS))(run, staged, uploaded)
    finish_import(run, labelled, dataset_types, chosen=staged["chosen"])


def ground_truth_tasks(dataset_types: DatasetTypes) -> None:
    """Read annotations, bring their images, and go on as every import."""
    run, access = start_import("ground_truth")
    shards = task_of(ground_truth.read_annotations, **in_pool(CALLING_SLOTS))(run)
    access >> shards
    brought = task_of(ground_truth.copy_to_image_root).partial(run=run).expand(shard=shards)
    finish_import(run, brought, dataset_types)


def existing_dataset_tasks(dataset_types: DatasetTypes) -> None:
    """Find the source; then a group of tasks for each type of dataset: export, bring images, and go on."""
    run, access = start_import("existing_dataset")
    found = task_of(existing_dataset.find_source, **in_pool(CALLING_SLOTS))(run)
    access >> found
    chosen = found
    if len(dataset_types) > 1:
        chosen = task.branch(task_id="choose_types", doc_md="Go on with the types of dataset that are asked for.")(
            existing_dataset.first_tasks
        )(run)  # type: ignore[arg-type]
        found >> chosen
    for dataset_type in dataset_types:
        with dataset_group(dataset_type):
            of_type = task_of(choose_dataset)(run, dataset_type)
            chosen >> of_type
            exported = task_of(existing_dataset.export_entries, **in_pool(LISTING_SLOTS))(of_type, found)
            entries = task_of(existing_dataset.read_entries)(of_type, exported)
            brought = task_of(existing_dataset.bring_images).partial(run=of_type).expand(shard=entries)
            inspected = task_of(inspect_images).partial(run=of_type).expand(shard=brought)
            finish_dataset(of_type, inspected, dataset_type=dataset_type, provenance=exported)


SOURCE_TASKS: dict[str, Callable[[DatasetTypes], None]] = {
    "s3_folder": s3_folder_tasks,
    "local_computer": local_computer_tasks,
    "ground_truth": ground_truth_tasks,
    "existing_dataset": existing_dataset_tasks,
}
"""By the tag of the source's request; called with the types of dataset that a run of the Dag may be for."""
