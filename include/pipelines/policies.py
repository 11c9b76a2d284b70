"""The policy statements that an access check asks for, ready to paste.

The rights follow the Custom Labels Developer Guide, *Set up permissions*: the service reads images with the rights
of the caller. Resources are the bucket and what lies in it, never ``bucket*``, which would match other buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Statement = dict[str, Any]

READ_BUCKET = ("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket")
READ_OBJECTS = ("s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectVersion", "s3:GetObjectTagging")
WRITE_OBJECTS = (*READ_OBJECTS, "s3:PutObject", "s3:AbortMultipartUpload")
READ_KEY = ("kms:Decrypt",)
WRITE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
READ_VERSIONING = ("s3:GetBucketVersioning",)
READ_VERSIONS = (*READ_VERSIONING, "s3:ListBucketVersions")
PROJECTS = ("rekognition:DescribeProjects", "rekognition:CreateProject")
DATASETS = (
    "rekognition:CreateDataset",
    "rekognition:DescribeDataset",
    "rekognition:ListDatasetEntries",
    "rekognition:ListDatasetLabels",
    "rekognition:UpdateDatasetEntries",
    "rekognition:DistributeDatasetEntries",
    "rekognition:DeleteDataset",
    "rekognition:TagResource",
)


def on_bucket(actions: Sequence[str], bucket: str, partition: str = "aws") -> Statement:
    """An IAM statement on the bucket itself."""
    return _allow(actions, f"arn:{partition}:s3:::{bucket}")


def on_objects(actions: Sequence[str], bucket: str, prefix: str, partition: str = "aws") -> Statement:
    """An IAM statement on the objects below a prefix."""
    return _allow(actions, f"arn:{partition}:s3:::{bucket}/{prefix}*")


def on_key(actions: Sequence[str], key_arn: str) -> Statement:
    """An IAM statement on a KMS key; the key's own policy has to leave access to IAM."""
    return _allow(actions, key_arn)


def on_projects() -> Statement:
    """An IAM statement on Rekognition: the two project actions know no resource."""
    return _allow(PROJECTS, "*")


def for_principal(statement: Statement, principal: str) -> Statement:
    """The same as a statement of a bucket policy, for the owner of a bucket in another account."""
    return {**statement, "Sid": "CustomLabelsDatasets", "Principal": {"AWS": principal}}


def _allow(actions: Sequence[str], resource: str) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}
