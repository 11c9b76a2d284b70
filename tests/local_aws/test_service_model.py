from __future__ import annotations

import base64
from typing import Any

import pytest

from include.local_aws.errors import ServiceError
from include.local_aws.service_model import error_status, operation_model, parse_request, response_violations

PROJECT = "arn:aws:rekognition:us-east-1:111122223333:project/example-project/1790000000000"
DATASET = "arn:aws:rekognition:us-east-1:111122223333:project/example-project/dataset/train/1790000000000"


def parsed(operation: str, body: Any) -> dict[str, Any]:
    return parse_request(operation_model(f"RekognitionService.{operation}"), body)


@pytest.mark.parametrize(
    ("operation", "body", "constraint"),
    [
        ("CreateProject", {}, "'projectName' failed to satisfy constraint: Member must not be null"),
        ("CreateProject", {"ProjectName": None}, "'projectName' failed to satisfy constraint: Member must not be null"),
        ("CreateProject", {"ProjectName": "a" * 256}, "Member must have length less than or equal to 255"),
        ("CreateProject", {"ProjectName": ""}, "Member must have length greater than or equal to 1"),
        ("CreateProject", {"ProjectName": "two words"}, r"pattern: [a-zA-Z0-9_.\-]+"),
        ("CreateProject", {"ProjectName": "line\n"}, r"pattern: [a-zA-Z0-9_.\-]+"),
        ("CreateProject", {"ProjectName": "a", "Feature": "FACES"}, "[CONTENT_MODERATION, CUSTOM_LABELS]"),
        ("CreateProject", {"ProjectName": "a", "Tags": {"aws:x": ""}}, "at 'tags.key' failed to satisfy"),
        ("CreateProject", {"ProjectName": "a", "Tags": {"k": "<"}}, "at 'tags.k.member' failed to satisfy"),
        ("CreateProject", {"ProjectName": "a", "Name": "b"}, "Member must be one of the model's members"),
        ("DescribeProjects", {"MaxResults": 101}, "Member must have value less than or equal to 100"),
        ("DescribeProjects", {"MaxResults": 0}, "Member must have value greater than or equal to 1"),
        ("DescribeProjects", {"ProjectNames": []}, "Member must have length greater than or equal to 1"),
        ("DescribeProjects", {"NextToken": "x" * 1025}, "Member must have length less than or equal to 1024"),
        ("DescribeDataset", {"DatasetArn": PROJECT}, "at 'datasetArn' failed to satisfy constraint"),
        ("DescribeDataset", {"DatasetArn": DATASET.replace("1111", "١١١١")}, "at 'datasetArn' failed"),
        ("ListDatasetEntries", {"DatasetArn": DATASET, "SourceRefContains": "  "}, "at 'sourceRefContains'"),
        (
            "ListDatasetEntries",
            {"DatasetArn": DATASET, "ContainsLabels": ["a"] * 11},
            "length less than or equal to 10",
        ),
        ("ListDatasetEntries", {"DatasetArn": DATASET, "ContainsLabels": ["a\nb"]}, "at 'containsLabels.1.member'"),
        ("UpdateDatasetEntries", {"DatasetArn": DATASET, "Changes": {}}, "at 'changes.groundTruth'"),
        ("UpdateDatasetEntries", {"DatasetArn": DATASET, "Changes": {"GroundTruth": ""}}, "Value of 0 bytes"),
        ("DistributeDatasetEntries", {"Datasets": [{"Arn": DATASET}]}, "length greater than or equal to 2"),
    ],
)
def test_a_broken_constraint_is_a_validation_exception(operation: str, body: Any, constraint: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        parsed(operation, body)
    assert refusal.value.code == "ValidationException"
    assert constraint in refusal.value.message
    assert "detected: Value " in refusal.value.message


def test_every_broken_constraint_is_named() -> None:
    with pytest.raises(ServiceError, match=r"3 validation errors detected: .*projectArn.*kind.*datasetType"):
        parsed("CreateDataset", {"DatasetType": "VALIDATION", "Kind": 1})


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("CreateProject", []),
        ("CreateProject", {"ProjectName": 1}),
        ("CreateProject", {"ProjectName": "a", "Tags": ["b"]}),
        ("DescribeProjects", {"MaxResults": "1"}),
        ("DescribeProjects", {"MaxResults": True}),
        ("ListDatasetEntries", {"DatasetArn": DATASET, "Labeled": "true"}),
        ("UpdateDatasetEntries", {"DatasetArn": DATASET, "Changes": {"GroundTruth": "{not base64}"}}),
    ],
)
def test_a_wrong_json_type_is_a_serialization_exception(operation: str, body: Any) -> None:
    with pytest.raises(ServiceError) as refusal:
        parsed(operation, body)
    assert refusal.value.code == "SerializationException"


def test_blobs_come_out_as_bytes_up_to_five_mebibytes() -> None:
    content = b"x" * 5_242_880
    body = {"DatasetArn": DATASET, "Changes": {"GroundTruth": base64.b64encode(content).decode()}}
    assert parsed("UpdateDatasetEntries", body)["Changes"]["GroundTruth"] == content
    body["Changes"] = {"GroundTruth": base64.b64encode(content + b"x").decode()}
    with pytest.raises(ServiceError, match="less than or equal to 5242880"):
        parsed("UpdateDatasetEntries", body)


def test_tags_take_letters_numbers_and_spaces_of_every_script() -> None:
    tags = {"équipe 一": "ß\u00a0Ⅷ+=@"}
    assert parsed("CreateProject", {"ProjectName": "a", "Tags": tags})["Tags"] == tags


@pytest.mark.parametrize("target", ["", "RekognitionService.Detect", "Rekognition.CreateProject"])
def test_an_unknown_operation(target: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        operation_model(target)
    assert refusal.value.code == "UnknownOperationException"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalServerError", 500),
        ("ThrottlingException", 500),
        ("ProvisionedThroughputExceededException", 400),
        ("ResourceNotFoundException", 400),
        ("ValidationException", 400),
    ],
)
def test_the_model_says_which_errors_are_the_servers_fault(code: str, status: int) -> None:
    assert error_status(code) == status


@pytest.mark.parametrize(
    "response",
    [
        {"ProjectArn": "arn:nonsense-that-is-long-enough"},
        {"ProjectArn": 1},
        {"ProjectName": "example-project"},
    ],
)
def test_a_response_outside_the_output_shape_is_noticed(response: dict[str, Any]) -> None:
    operation = operation_model("RekognitionService.CreateProject")
    assert response_violations(operation, response)
    assert response_violations(operation, {"ProjectArn": PROJECT}) == []
