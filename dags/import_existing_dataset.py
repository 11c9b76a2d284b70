"""Copy the entries of an existing Custom Labels dataset, from the same or another account and Region."""

from __future__ import annotations

from airflow.sdk import DAG, task

from include.pipelines.division import DATASET_TYPES, choose_dataset
from include.pipelines.existing_dataset import (
    bring_images,
    export_entries,
    find_source,
    first_tasks,
    read_entries,
)
from include.pipelines.import_tasks import dataset_group, finish_dataset, start_import
from include.pipelines.inspection import inspect_images
from include.pipelines.policy import DEFAULT_ARGS, TAGS, task_of
from include.pipelines.requests import ExistingDatasetRequest, form

DOC = """
### Copy an existing Amazon Rekognition Custom Labels dataset

Does the job of the Custom Labels console's *Create dataset* page for the source *Existing dataset*, and copies
datasets between accounts and Regions, which the console does not.

1. **validate_request**, **check_access**, **find_source**: the dataset is there, and its counts fit the quotas of the
   target's Region. Nothing is exported or copied before.
2. **choose_types**: one group of tasks for the training dataset, one for the test dataset; what was not asked for is
   skipped.
3. **export_entries**, **read_entries**: the entries are the truth, and not the manifest that the dataset came from.
4. **bring_images** (mapped): with `image_destination`, images are copied and verified, and each entry is pointed at
   its copy; else they are found where they are.
5. Then as every import: **inspect_images**, **build_manifest**, **validate_manifest**, **plan_registration**,
   **register**, **reconcile**, **publish_snapshot**, **summarize**. The snapshot says where everything came from.

All steps continue where a run that was killed has been. Codes and what to do about them: `docs/error-codes.md`.
"""

with DAG(
    dag_id="import_existing_dataset",
    dag_display_name="Import from an existing dataset",
    description="Copy an existing Custom Labels dataset, also from another account or Region",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    # One at a time: two runs must never work on the same dataset.
    max_active_runs=1,
    params=form(ExistingDatasetRequest),
    default_args=DEFAULT_ARGS,
    tags=TAGS,
) as dag:
    run, access = start_import("existing_dataset")
    found = task_of(find_source)(run)
    access >> found
    chosen = task.branch(task_id="choose_types", doc_md="Go on with the types of dataset that are asked for.")(
        first_tasks
    )(run)  # type: ignore[arg-type]
    found >> chosen
    for dataset_type in DATASET_TYPES:
        with dataset_group(dataset_type):
            of_type = task_of(choose_dataset)(run, dataset_type)
            chosen >> of_type
            exported = task_of(export_entries)(of_type, found)
            brought = task_of(bring_images).partial(run=of_type).expand(shard=task_of(read_entries)(of_type, exported))
            inspected = task_of(inspect_images).partial(run=of_type).expand(shard=brought)
            finish_dataset(of_type, inspected, dataset_type=dataset_type, provenance=exported)
