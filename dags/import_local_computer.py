"""Upload images from a browser or a folder into an Amazon Rekognition Custom Labels dataset."""

from __future__ import annotations

from airflow.sdk import DAG

from include.pipelines.import_dags import import_dag

DOC = """
### Upload images from your computer

Does the job of the Custom Labels console's *Create dataset* page for the source *Local computer*: adds images to a
dataset, or begins one with them. They come from a browser (`upload_id`) or from a folder that every worker has
(`local_folder`), and lie in S3 beside the dataset's other images afterwards.

1. **validate_request**, **check_access**: nothing is read or written before both pass.
2. **stage_files**: every file is looked at and hashed; what cannot be imported is in the ledger, with a reason.
3. **divide_files**, **upload_images** (mapped): batches of 30. Nothing is overwritten, no content is sent twice, and a
   task that was killed continues where it was.
4. **assign_labels**: no labels by default; with `automatic_labeling` the first folder that an image is stored in.
5. From **inspect_images** to **summarize** as in every import; what the dataset held before stays as it is.

Outcomes and limits: `docs/sources/local-computer.md`. Codes and what to do about them: `docs/error-codes.md`.
"""

dag: DAG = import_dag(
    "local_computer",
    dag_id="import_local_computer",
    dag_display_name="Import from a local computer",
    description="Upload images from a browser or a folder into a Custom Labels dataset",
    doc_md=DOC,
)
