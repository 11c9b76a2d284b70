"""Import images from an S3 folder into an Amazon Rekognition Custom Labels dataset, labelled by folder."""

from __future__ import annotations

from airflow.sdk import DAG

from include.pipelines.import_dags import import_dag

DOC = """
### Import images from an S3 bucket

Does the job of the Custom Labels console's *Create dataset* page for the source *Import images from S3 bucket*.
Images get the name of the **first folder below the S3 folder location** as their label; images at its level have none.

1. **validate_request**, **check_access**: nothing is read or written before both pass.
2. **list_objects**, **assign_labels**, **inspect_images** (mapped): every object ends in the ledger, with a reason.
3. **build_manifest**, **validate_manifest**: a Ground Truth manifest, checked by AWS's own rules.
4. **plan_registration**, **check_gate**, **register**: create, update or replace the dataset, after a person said yes
   to risks; entries that people changed are kept.
5. **reconcile**, **publish_snapshot**, **summarize**: the service's counts against what was sent, an immutable
   snapshot, and one screen of outcome.

A run is as of its `as_of`, else the end of its data interval, its logical date, or the time of its trigger. A time that
is over is rebuilt from the versions of a versioned bucket: `docs/as-of.md`.
Codes and what to do about them: `docs/error-codes.md`.
"""

dag: DAG = import_dag(
    "s3_folder",
    dag_id="import_s3_folder",
    dag_display_name="Import from an S3 folder",
    description="Import images from an S3 folder into a Custom Labels dataset, labelled by folder",
    doc_md=DOC,
)
