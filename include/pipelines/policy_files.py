"""``python -m include.pipelines.policy_files``: write ``docs/deploy/iam/*.json``, the least that each role needs.

The statements are those that the access check asks for, so that no right is written down twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from include.pipelines import policies
from include.pipelines.policies import Statement, on_bucket, on_datasets, on_key, on_objects, on_projects, on_resource

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "deploy" / "iam"

_PLACE = "us-east-1:111122223333"
_PROJECT = f"arn:aws:rekognition:{_PLACE}:project/alexa-devices"
_IMAGES, _WORKSPACE = ("example-images", "alexa-devices/"), ("example-workspace", "custom-labels/")


def policy_documents() -> dict[str, dict[str, Any]]:
    """Every policy by the name of its file, with example names."""
    key = f"arn:aws:kms:{_PLACE}:key/11111111-2222-3333-4444-555555555555"
    bucket = (*policies.READ_BUCKET, *policies.READ_VERSIONING, *policies.READ_ENCRYPTION)
    return {
        "importer": _document(
            Projects=on_projects(),
            Datasets=on_datasets(policies.DATASETS, _PROJECT),
            ImagesBucket=on_bucket(bucket, _IMAGES[0]),
            Images=on_objects(policies.READ_OBJECTS, *_IMAGES),
            WorkspaceBucket=on_bucket((*policies.READ_BUCKET, *policies.READ_ENCRYPTION), _WORKSPACE[0]),
            Workspace=on_objects(policies.WRITE_OBJECTS, *_WORKSPACE),
        ),
        "kms": _document(Keys=on_key(policies.WRITE_KEY, key)),
        "past": _document(
            Versions=on_bucket(policies.READ_VERSIONS, _IMAGES[0]),
            HistoryFolder=on_objects(policies.WRITE_OBJECTS, _IMAGES[0], "custom-labels-history/"),
        ),
        "local-computer": _document(Destination=on_objects(policies.WRITE_OBJECTS, *_IMAGES)),
        "ground-truth": _document(
            LabelingJobs=on_resource(policies.READ_LABELING_JOBS, f"arn:aws:sagemaker:{_PLACE}:labeling-job/example-*"),
            AnnotationsBucket=on_bucket(bucket, "example-annotations"),
            Annotations=on_objects(policies.READ_OBJECTS, "example-annotations", ""),
            ImageRoot=on_objects(policies.WRITE_OBJECTS, *_IMAGES),
        ),
        "existing-dataset": _document(
            SourceProjects=on_projects(("rekognition:DescribeProjects",)),
            SourceDatasets=on_datasets(policies.READ_DATASETS, f"arn:aws:rekognition:{_PLACE}:project/example-source"),
            SourceBucket=on_bucket(bucket, "example-source"),
            SourceImages=on_objects(policies.READ_OBJECTS, "example-source", ""),
            ImageDestination=on_objects(policies.WRITE_OBJECTS, *_IMAGES),
        ),
        "notifications": _document(
            Topics=on_resource(("sns:Publish",), f"arn:aws:sns:{_PLACE}:example-topic"),
            Queues=on_resource(("sqs:SendMessage",), f"arn:aws:sqs:{_PLACE}:example-queue"),
            Mail=on_resource(("ses:SendRawEmail",), f"arn:aws:ses:{_PLACE}:identity/example.com"),
        ),
        "gallery": _document(
            WorkspaceBucket=on_bucket(("s3:ListBucket",), _WORKSPACE[0]),
            Pictures=on_objects(("s3:GetObject",), _WORKSPACE[0], f"{_WORKSPACE[1]}staging/"),
        ),
    }


def _document(**statements: Statement) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": sid, **statement} for sid, statement in statements.items()],
    }


def actions(document: dict[str, Any]) -> set[str]:
    """What a policy allows."""
    statements: Sequence[Statement] = document["Statement"]
    return {action for statement in statements for action in statement["Action"]}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, document in policy_documents().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
