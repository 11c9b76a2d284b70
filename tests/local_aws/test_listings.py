from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_aws.conftest import Service, created, entries
from tests.local_aws.samples import box, boxed, json_lines, labelled, source_ref


@pytest.fixture
def dataset_arn(rekognition: Any, project_arn: str) -> str:
    """250 entries: cups, plates, both, bare ones, and boxes of which some are off."""
    lines: list[dict[str, Any]] = [
        *[labelled(f"cups/{number:03}.png", "Cup") for number in range(120)],
        *[labelled(f"plates/{number:03}.png", "Plate") for number in range(60)],
        *[labelled(f"both/{number:03}.png", "Cup", "Plate") for number in range(20)],
        *[labelled(f"bare %20/{number:03}.png") for number in range(30)],
        *[boxed(f"boxes/{number:03}.png", box(), box(), box(class_id=1)) for number in range(15)],
        *[boxed(f"off/{number:03}.png", box(), box(left=-1)) for number in range(5)],
    ]
    return created(rekognition, project_arn, json_lines(*lines))


def test_pages_hold_a_hundred_and_the_last_has_no_token(rekognition: Any, dataset_arn: str) -> None:
    pages = list(rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn))
    assert [len(page["DatasetEntries"]) for page in pages] == [100, 100, 50]
    assert "NextToken" not in pages[-1]
    shown = [json.loads(entry)["source-ref"] for page in pages for entry in page["DatasetEntries"]]
    assert len(set(shown)) == 250
    assert shown[0] == source_ref("cups/000.png")
    # An empty token, as AWS's samples show on last pages, begins anew.
    assert len(rekognition.list_dataset_entries(DatasetArn=dataset_arn, NextToken="")["DatasetEntries"]) == 100


@pytest.mark.parametrize("size", [1, 7, 50, 100])
def test_the_page_size_changes_nothing_else(rekognition: Any, dataset_arn: str, size: int) -> None:
    whole = entries(rekognition, dataset_arn, ContainsLabels=["Plate"])
    assert entries(rekognition, dataset_arn, ContainsLabels=["Plate"], PaginationConfig={"PageSize": size}) == whole


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 250),
        ({"ContainsLabels": ["Cup"]}, 160),
        ({"ContainsLabels": ["Plate"]}, 95),
        ({"ContainsLabels": ["Cup", "Plate"]}, 220),
        ({"ContainsLabels": ["cup"]}, 0),
        ({"Labeled": True}, 220),
        ({"Labeled": False}, 30),
        ({"HasErrors": True}, 5),
        ({"HasErrors": False}, 245),
        ({"SourceRefContains": "cups/"}, 120),
        ({"SourceRefContains": "CUPS/"}, 0),
        ({"SourceRefContains": "bare %20/00"}, 10),
        ({"SourceRefContains": "_"}, 0),
        ({"SourceRefContains": "0.png", "ContainsLabels": ["Cup"], "HasErrors": False}, 16),
        ({"Labeled": False, "HasErrors": True}, 0),
    ],
)
def test_filters(rekognition: Any, dataset_arn: str, filters: dict[str, Any], count: int) -> None:
    assert len(entries(rekognition, dataset_arn, **filters)) == count


def test_a_token_fits_only_its_own_listing(rekognition: Any, dataset_arn: str) -> None:
    token = rekognition.list_dataset_entries(DatasetArn=dataset_arn, MaxResults=10)["NextToken"]
    again = rekognition.list_dataset_entries(DatasetArn=dataset_arn, MaxResults=20, NextToken=token)
    assert json.loads(again["DatasetEntries"][0])["source-ref"] == source_ref("cups/010.png")
    for refused in (
        lambda: rekognition.list_dataset_entries(DatasetArn=dataset_arn, Labeled=True, NextToken=token),
        lambda: rekognition.list_dataset_labels(DatasetArn=dataset_arn, NextToken=token),
        lambda: rekognition.list_dataset_entries(DatasetArn=dataset_arn, NextToken=token[:-4]),
        lambda: rekognition.list_dataset_labels(DatasetArn=dataset_arn, NextToken="é"),
    ):
        with pytest.raises(rekognition.exceptions.InvalidPaginationTokenException):
            refused()


def test_label_statistics_count_images(rekognition: Any, dataset_arn: str) -> None:
    described = rekognition.list_dataset_labels(DatasetArn=dataset_arn)["DatasetLabelDescriptions"]
    assert described == [
        {"LabelName": "Cup", "LabelStats": {"EntryCount": 160, "BoundingBoxCount": 20}},
        {"LabelName": "Plate", "LabelStats": {"EntryCount": 95, "BoundingBoxCount": 15}},
    ]


def test_labels_come_in_pages_too(rekognition: Any, project_arn: str) -> None:
    names = sorted([*(f"Label {number:03}" for number in range(240)), "Ünï", "a,b", "'", '"', "100%", "\\", "🙂"])
    lines = [labelled(f"{number}.png", name) for number, name in enumerate(names)]
    arn = created(rekognition, project_arn, json_lines(*lines))
    pages = list(rekognition.get_paginator("list_dataset_labels").paginate(DatasetArn=arn))
    assert [len(page["DatasetLabelDescriptions"]) for page in pages] == [100, 100, 47]
    listed = [label["LabelName"] for page in pages for label in page["DatasetLabelDescriptions"]]
    assert listed == names
    assert len(entries(rekognition, arn, ContainsLabels=["🙂", '"'])) == 2


def test_absent_datasets(service: Service, rekognition: Any, dataset_arn: str) -> None:
    for call in (
        rekognition.describe_dataset,
        rekognition.list_dataset_entries,
        rekognition.list_dataset_labels,
        rekognition.delete_dataset,
    ):
        with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
            call(DatasetArn=dataset_arn + "0")
