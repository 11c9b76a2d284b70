"""`import_ground_truth` from its first task to its last, against the local services."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.airflow_database import RunDag
from tests.fixtures.annotation_samples import boxes, boxes_metadata, line, metadata
from tests.fixtures.places import Place, picture

pytestmark = pytest.mark.integration

MULTI = {
    "class-map": {"0": "Echo", "1": "Echo Dot"},
    "confidence-map": {"0": 0.9, "1": 0.8},
    "type": "groundtruth/image-classification-multilabel",
    "human-annotated": "yes",
    "creation-date": "2020-03-06T17:46:39.176",
}


def test_odd_lines_and_two_buckets_end_in_one_dataset(
    place: Place, run_dag: RunDag, return_value: Callable[..., Any]
) -> None:
    other = f"{place.images}-other"
    place.aws.create_buckets(other)
    place.s3.put_object(Bucket=other, Key="a.png", Body=picture())
    place.put("스피커\u200b.png", "boxes.png", "empty.png", "multi.png", "bare.png")
    lines = [
        line(other, "a.png", species="0", species_metadata=metadata("Echo")),
        line(place.images, "스피커\u200b.png", species=1, species_metadata=metadata("Echo Dot")),
        line(place.images, "boxes.png", BB=boxes((1.5, 2, 30, 90)), BB_metadata=boxes_metadata(0)),
        line(place.images, "empty.png", BB=boxes(), BB_metadata=boxes_metadata(0)),
        line(place.images, "multi.png", multi=[0, 1], multi_metadata=MULTI),
        line(place.images, "bare.png"),
        b"{broken\n",
    ]
    place.s3.put_object(Bucket=place.images, Key="job/output.manifest", Body=b"".join(lines))
    conf = {
        "project": place.project,
        "manifest": f"s3://{place.images}/job/output.manifest",
        "image_root": f"s3://{place.images}/brought/",
        "repairs": ["clip_boxes", "fill_confidence"],
    }
    run = run_dag("import_ground_truth", conf)
    assert run.state == "success"
    summary = return_value(run, "train.summarize")
    assert summary["states"] == {"registered": 4, "unlabelled": 2, "rejected": 1}
    assert summary["images_per_label"] == {"Echo": 3, "Echo Dot": 2}
    pages = place.rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=place.dataset_arn())
    entries = {entry["source-ref"]: entry for page in pages for entry in map(json.loads, page["DatasetEntries"])}
    head = f"s3://{place.images}/"
    assert {ref.removeprefix(head) for ref in entries} == {
        f"brought/{other}/a.png",
        "스피커\u200b.png",
        "boxes.png",
        "empty.png",
        "multi.png",
        "bare.png",
    }
    (box,) = entries[f"{head}boxes.png"]["bounding-box-0"]["annotations"]
    assert (box["left"], box["height"]) == (1.5, 62)
