from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.local_aws.conftest import Start, created, entries, settled
from tests.local_aws.samples import json_lines, labelled


def distribute(rekognition: Any, *arns: str) -> None:
    rekognition.distribute_dataset_entries(Datasets=[{"Arn": arn} for arn in arns])


def label_counts(rekognition: Any, arn: str) -> Counter[str]:
    described = rekognition.list_dataset_labels(DatasetArn=arn)["DatasetLabelDescriptions"]
    return Counter({label["LabelName"]: label["LabelStats"]["EntryCount"] for label in described})


def test_a_fifth_of_every_label_moves(rekognition: Any, project_arn: str) -> None:
    lines = [
        *[labelled(f"cups/{number}.png", "Cup") for number in range(50)],
        *[labelled(f"plates/{number}.png", "Plate") for number in range(10)],
        *[labelled(f"forks/{number}.png", "Fork") for number in range(2)],
        *[labelled(f"bare/{number}.png") for number in range(20)],
    ]
    train, test = created(rekognition, project_arn, json_lines(*lines)), created(rekognition, project_arn, None, "TEST")
    before = entries(rekognition, train)
    distribute(rekognition, test, train)
    for arn in (train, test):
        assert settled(rekognition, arn)["Status"] == "UPDATE_COMPLETE"
    assert label_counts(rekognition, test) == {"Cup": 10, "Plate": 2, "Fork": 1}
    assert label_counts(rekognition, train) == {"Cup": 40, "Plate": 8, "Fork": 1}
    moved, left = entries(rekognition, test), entries(rekognition, train)
    assert len(moved) == 17
    assert sorted(moved + left) == sorted(before)
    assert settled(rekognition, test)["DatasetStats"]["TotalEntries"] == 17
    assert settled(rekognition, train)["DatasetStats"]["TotalLabels"] == 3


def test_images_with_several_labels_leave_every_label_on_both_sides(rekognition: Any, project_arn: str) -> None:
    lines = [labelled(f"{number}.png", f"Label {number % 7}", f"Other {number % 5}") for number in range(70)]
    train, test = created(rekognition, project_arn, json_lines(*lines)), created(rekognition, project_arn, None, "TEST")
    distribute(rekognition, train, test)
    settled(rekognition, train)
    assert set(label_counts(rekognition, train)) == set(label_counts(rekognition, test))
    assert len(label_counts(rekognition, test)) == 12
    assert 14 <= len(entries(rekognition, test)) <= 21


@pytest.mark.parametrize(
    "lines",
    [
        json_lines(labelled("a.png"), labelled("b.png")),
        json_lines(labelled("a.png", "Cup"), labelled("b.png", "Cup"), labelled("c.png", "Plate")),
    ],
    ids=["no labels", "one image of a label"],
)
def test_too_few_images_move_nothing(rekognition: Any, project_arn: str, lines: bytes) -> None:
    train, test = created(rekognition, project_arn, lines), created(rekognition, project_arn, None, "TEST")
    before = entries(rekognition, train)
    distribute(rekognition, train, test)
    for arn in (train, test):
        description = settled(rekognition, arn)
        assert description["Status"] == "UPDATE_FAILED"
        assert description["StatusMessage"] == (
            "The manifest file doesn't have enough labeled images to distribute the dataset."
        )
    assert entries(rekognition, train) == before
    assert entries(rekognition, test) == []


def test_requests_that_make_no_sense(rekognition: Any, project_arn: str) -> None:
    content = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(5)])
    train, test = created(rekognition, project_arn, content), created(rekognition, project_arn, content, "TEST")
    other = created(rekognition, rekognition.create_project(ProjectName="example-other")["ProjectArn"], None, "TEST")
    for arns in ((train, test), (train, train), (train, other), (test, other)):
        with pytest.raises(rekognition.exceptions.InvalidParameterException):
            distribute(rekognition, *arns)
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        distribute(rekognition, train, test + "0")
    assert [json.loads(entry)["source-ref"] for entry in entries(rekognition, other)] == []


def test_datasets_under_way(start: Start) -> None:
    rekognition = start(status_delay_s=60).client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    arns = [
        rekognition.create_dataset(ProjectArn=project, DatasetType=dataset_type)["DatasetArn"]
        for dataset_type in ("TRAIN", "TEST")
    ]
    with pytest.raises(rekognition.exceptions.ResourceNotReadyException):
        distribute(rekognition, *arns)
