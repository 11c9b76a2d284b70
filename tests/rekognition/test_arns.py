from __future__ import annotations

import pytest

from include.rekognition.arns import DatasetArn, project_name_of
from tests.rekognition.arns import DATASET_ARN, OTHER_DATASET_ARN, PROJECT, PROJECT_ARN


def test_dataset_arn() -> None:
    assert DatasetArn.parse(DATASET_ARN) == DatasetArn("eu-west-1", PROJECT, "TRAIN")
    assert DatasetArn.parse(OTHER_DATASET_ARN).dataset_type == "TEST"


@pytest.mark.parametrize("text", ["", PROJECT, PROJECT_ARN, "arn:aws:s3:::example-bucket"])
def test_not_a_dataset_arn(text: str) -> None:
    with pytest.raises(ValueError, match="is not the ARN of a Rekognition dataset"):
        DatasetArn.parse(text)


def test_project_name() -> None:
    assert project_name_of(PROJECT_ARN) == project_name_of(DATASET_ARN) == PROJECT


@pytest.mark.parametrize("text", ["", PROJECT, "arn:aws:s3:::example-bucket", "arn:aws:rekognition:::project/"])
def test_not_a_project_arn(text: str) -> None:
    with pytest.raises(ValueError, match="is not the ARN of a Rekognition project"):
        project_name_of(text)
