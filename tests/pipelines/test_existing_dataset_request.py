"""What names a dataset, and what of a request is refused."""

from __future__ import annotations

import pytest

from include.custom_labels.errors import RequestError
from include.pipelines.requests import ExistingDatasetRequest
from include.pipelines.requests.existing_dataset import SourceName

PROJECT = "arn:aws:rekognition:eu-west-1:111122223333:project/example.project_1-a/1690474772815"
TRAIN = "arn:aws:rekognition:eu-west-1:111122223333:project/example.project_1-a/dataset/train/1690476084535"


@pytest.mark.parametrize(
    ("text", "project", "dataset_type", "region"),
    [
        (TRAIN, "example.project_1-a", "train", "eu-west-1"),
        (PROJECT, "example.project_1-a", None, "eu-west-1"),
        ("example/test", "example", "test", ""),
        ("train", "train", None, ""),
    ],
)
def test_what_names_a_source(text: str, project: str, dataset_type: str | None, region: str) -> None:
    name = SourceName.parse(text)
    assert (name.project, name.dataset_type, name.region) == (project, dataset_type, region)
    assert name.arn == (text if text.startswith("arn:") else "")


@pytest.mark.parametrize(
    ("code", "params"),
    [
        ("INVALID_PARAMETER", {"source_dataset": ""}),
        ("INVALID_PARAMETER", {"source_dataset": "example/validation"}),
        ("INVALID_PARAMETER", {"source_dataset": "example/train\n"}),
        ("INVALID_PARAMETER", {"source_dataset": TRAIN.replace("rekognition", "s3")}),
        ("INVALID_PARAMETER", {"source_dataset": "a b/train"}),
        ("INVALID_PARAMETER", {"source_dataset": TRAIN, "dataset_type": "train+test"}),
        ("INVALID_PARAMETER", {"source_dataset": "example/train", "dataset_type": "train+test"}),
        ("INVALID_PARAMETER", {"image_destination": "example-images"}),
        ("IMAGE_DESTINATION_NEEDED", {"source_aws_conn_id": "example_other"}),
        ("UNKNOWN_PARAMETER", {"destination": "s3://example-images"}),
    ],
)
def test_refusals(code: str, params: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        ExistingDatasetRequest.parse(params)
    assert caught.value.code == code
    assert caught.value.next_step


def test_the_same_connection_named_twice_is_no_other_place() -> None:
    request = ExistingDatasetRequest.parse({"source_aws_conn_id": "aws_default"})
    assert not request.is_elsewhere
    assert request.needs.destinations == ()


def test_train_and_test_of_a_project() -> None:
    request = ExistingDatasetRequest.parse(
        {"source_dataset": PROJECT, "dataset_type": "train+test", "image_destination": "s3://example-images/a"}
    )
    assert request.dataset_types == ("train", "test")
    assert [str(each) for each in request.needs.destinations] == ["s3://example-images/a/"]
