"""Import images with their labels and boxes from Ground Truth, COCO, Pascal VOC or CSV annotations."""

from __future__ import annotations

from airflow.sdk import DAG

from include.pipelines.import_dags import import_dag

DOC = """
### Import images labelled by Amazon SageMaker Ground Truth

Does the job of the Custom Labels console's *Create dataset* page for the source *Import images labeled by Amazon
SageMaker Ground Truth*, from a manifest or the name of a labeling job, and for COCO, Pascal VOC and CSV annotations.

1. **validate_request**, **check_access**: nothing is read or written before both pass.
2. **read_annotations**: every line, file and entry ends in the ledger, with AWS's code where it cannot be used.
   Real files are odd; `repairs` says what may be mended, and the ledger says where it was.
3. **copy_to_image_root** (mapped): images of other buckets, Regions or owners, copied and verified.
4. **inspect_images** (mapped), **build_manifest**, **validate_manifest**: a manifest of canonical lines.
5. **plan_registration**, **register**, **reconcile**, **publish_snapshot**, **summarize**: as with every import.

What each format can carry, every repair, and what happens to odd files: `docs/sources/ground-truth.md`.
Codes and what to do about them: `docs/error-codes.md`.
"""

dag: DAG = import_dag(
    "ground_truth",
    dag_id="import_ground_truth",
    dag_display_name="Import from Ground Truth",
    description="Import images with labels and boxes from Ground Truth, COCO, Pascal VOC or CSV annotations",
    doc_md=DOC,
)
