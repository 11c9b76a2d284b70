"""The IAM policies allow what the code calls, and nothing else."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Final

import boto3
import pytest
from botocore import xform_name

from include.pipelines.policies import FOR_THE_SERVICE
from include.pipelines.policy_files import FOLDER, actions, policy_documents

PROJECT = Path(__file__).resolve().parents[2]

# Service Authorization Reference: where an operation of S3 is allowed by an action of another name.
S3_ACTIONS: Final = {
    "HeadBucket": {"s3:ListBucket"},
    "ListObjectsV2": {"s3:ListBucket"},
    "ListObjects": {"s3:ListBucket"},
    "ListObjectVersions": {"s3:ListBucketVersions"},
    "GetBucketEncryption": {"s3:GetEncryptionConfiguration"},
    "HeadObject": {"s3:GetObject"},
    "CopyObject": {"s3:GetObject", "s3:PutObject"},
    "CreateMultipartUpload": {"s3:PutObject"},
    "UploadPart": {"s3:PutObject"},
    "CompleteMultipartUpload": {"s3:PutObject"},
}
# The first needs no right; the others are Rekognition's operation, and a regular expression's method.
NOT_GRANTED = {"sts:GetCallerIdentity", "sagemaker:CreateProject", "sagemaker:Search"}
# The amazon provider's notifiers call these (`include/pipelines/notifications.py`).
OF_NOTIFIERS = {"sns:Publish", "sqs:SendMessage", "ses:SendRawEmail"}
# Rekognition's answers to other calls tell of these.
KMS = {"kms:Decrypt", "kms:GenerateDataKey"}


def operations(service: str) -> dict[str, str]:
    names = boto3.client(service, region_name="us-east-1").meta.service_model.operation_names
    return {xform_name(name): name for name in names}


def called_actions() -> set[str]:
    """Of operations that the data plane, the control plane and the tasks name: as a method, or as a paginator's."""
    services = {service: operations(service) for service in ("s3", "rekognition", "sagemaker", "sts")}
    named: set[str] = set()
    for package in ("object_store", "rekognition", "pipelines", "gallery"):
        for path in sorted((PROJECT / "include" / package).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    if isinstance(node.func, ast.Attribute):
                        named.add(node.func.attr)
                    named |= {
                        each.value
                        for each in node.args
                        if isinstance(each, ast.Constant) and isinstance(each.value, str)
                    }
    waiters = json.loads((PROJECT / "include" / "rekognition" / "waiters" / "rekognition.json").read_text())["waiters"]
    named |= {xform_name(waiter["operation"]) for waiter in waiters.values()}
    called: set[str] = set()
    for service, names in services.items():
        for name in named & names.keys():
            action = f"{service}:{names[name]}"
            called |= S3_ACTIONS.get(names[name], {action}) if service == "s3" else {action}
    return called - NOT_GRANTED


def granted_actions() -> set[str]:
    return set().union(*(actions(document) for document in policy_documents().values()))


def test_the_policies_allow_what_is_called_and_nothing_else() -> None:
    assert granted_actions() - KMS - OF_NOTIFIERS == called_actions() | FOR_THE_SERVICE


def test_the_scan_sees_what_it_should() -> None:
    assert called_actions() >= {
        "rekognition:DistributeDatasetEntries",
        "rekognition:ListDatasetLabels",
        "s3:ListBucketVersions",
        "s3:AbortMultipartUpload",
        "sagemaker:DescribeLabelingJob",
    }


@pytest.mark.parametrize("name", sorted(policy_documents()))
def test_a_file_is_what_the_code_says(name: str) -> None:
    assert json.loads((FOLDER / f"{name}.json").read_text()) == policy_documents()[name], (
        "python -m include.pipelines.policy_files"
    )


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == set(policy_documents())


def test_nothing_is_allowed_everywhere_that_knows_a_resource() -> None:
    for document in policy_documents().values():
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in statement["Action"])
            if statement["Resource"] == "*":
                assert set(statement["Action"]) <= {"rekognition:DescribeProjects", "rekognition:CreateProject"}


def test_nobody_may_delete_an_object() -> None:
    assert not any(action.startswith("s3:Delete") for action in granted_actions())
