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
READ_ENCRYPTION = ("s3:GetEncryptionConfiguration",)
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
)
READ_DATASETS = ("rekognition:DescribeDataset", "rekognition:ListDatasetEntries")
READ_LABELING_JOBS = ("sagemaker:DescribeLabelingJob",)

FOR_THE_SERVICE = frozenset({"s3:GetObjectAcl", "s3:GetObjectVersion", "s3:GetObjectTagging"})
"""What only Rekognition does, with the rights of the caller."""


def on_bucket(actions: Sequence[str], bucket: str, partition: str = "aws") -> Statement:
    """An IAM statement on the bucket itself."""
    return _allow(actions, f"arn:{partition}:s3:::{bucket}")


def on_objects(actions: Sequence[str], bucket: str, prefix: str, partition: str = "aws") -> Statement:
    """An IAM statement on the objects below a prefix."""
    return _allow(actions, f"arn:{partition}:s3:::{bucket}/{prefix}*")


def on_key(actions: Sequence[str], key_arn: str) -> Statement:
    """An IAM statement on a KMS key; the key's own policy has to leave access to IAM."""
    return _allow(actions, key_arn)


def on_projects(actions: Sequence[str] = PROJECTS) -> Statement:
    """An IAM statement on Rekognition: the two project actions know no resource."""
    return _allow(actions, "*")


def on_datasets(actions: Sequence[str], project_arn: str) -> Statement:
    """An IAM statement on a project and its datasets, whose ARNs begin with the project's.

    :param project_arn: without the time of the project's creation, such as
        ``arn:aws:rekognition:us-east-1:111122223333:project/alexa-devices``
    """
    return _allow(actions, f"{project_arn}/*")


def on_resource(actions: Sequence[str], arn: str) -> Statement:
    """An IAM statement on one resource."""
    return _allow(actions, arn)


def for_principal(statement: Statement, principal: str) -> Statement:
    """The same as a statement of a bucket policy, for the owner of a bucket in another account."""
    return {**statement, "Sid": "CustomLabelsDatasets", "Principal": {"AWS": principal}}


def _allow(actions: Sequence[str], resource: str) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}
