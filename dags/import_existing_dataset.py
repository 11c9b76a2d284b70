"""Copy the entries of an existing Custom Labels dataset, from the same or another account and Region."""

from __future__ import annotations

from airflow.sdk import DAG

from include.pipelines.import_dags import import_dag

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

dag: DAG = import_dag(
    "existing_dataset",
    dag_id="import_existing_dataset",
    dag_display_name="Import from an existing dataset",
    description="Copy an existing Custom Labels dataset, also from another account or Region",
    doc_md=DOC,
)
