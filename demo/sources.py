"""The three import sources besides the S3 folder, on the sample tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.imports import Import
from demo.pictures import HEIGHT, WIDTH, Box, loose_pictures

BOXES_KEY = "manifests/alexa-devices-boxes.manifest"
_CREATION_DATE = "2026-11-22T20:00:00"


def other_imports(s3: Any, *, bucket: str, prefix: str, folder: Path, dataset_arn: str) -> dict[str, Import]:
    """What to import from where, by the console's name of the source; puts the manifest that one of them needs in S3.

    :param prefix: of the sample tree in the bucket
    :param folder: the sample tree on this machine
    :param dataset_arn: of the dataset that the S3 folder gave
    """
    s3.put_object(Bucket=bucket, Key=BOXES_KEY, Body=boxes_manifest(bucket, prefix))
    return {
        "Local computer": Import(
            dag_id="import_local_computer",
            conf={"project": "alexa-local", "local_folder": str(folder), "automatic_labeling": True},
        ),
        "SageMaker Ground Truth": Import(
            dag_id="import_ground_truth",
            conf={"project": "alexa-boxes", "manifest": f"s3://{bucket}/{BOXES_KEY}"},
        ),
        "Existing dataset": Import(
            dag_id="import_existing_dataset",
            conf={"project": "alexa-copy", "source_dataset": dataset_arn},
        ),
    }


def boxes_manifest(bucket: str, prefix: str) -> bytes:
    """A bounding box manifest of the loose pictures, as a labeling job writes it."""
    lines = (_line(f"s3://{bucket}/{prefix}{name}", boxes) for name, boxes in loose_pictures().items())
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def _line(source_ref: str, boxes: list[Box]) -> dict[str, Any]:
    labels = sorted({box.label for box in boxes})
    return {
        "source-ref": source_ref,
        "devices": {
            "image_size": [{"width": WIDTH, "height": HEIGHT, "depth": 3}],
            "annotations": [
                {
                    "class_id": labels.index(box.label),
                    "left": box.left,
                    "top": box.top,
                    "width": box.width,
                    "height": box.height,
                }
                for box in boxes
            ],
        },
        "devices-metadata": {
            "objects": [{"confidence": 1} for _ in boxes],
            "class-map": {str(number): label for number, label in enumerate(labels)},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": _CREATION_DATE,
            "job-name": "labeling-job/devices",
        },
    }
