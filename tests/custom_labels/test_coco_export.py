"""COCO files, written and read back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.coco import read_coco
from include.custom_labels.coco_export import ExportedImage, coco_chunks
from include.custom_labels.entries import LabelledBox, Mending, box_labels
from include.custom_labels.label_attributes import ImageSize
from include.custom_labels.manifest import ManifestLine, canonical_line
from tests.custom_labels.manifest_lines import BUCKET, TIME, boxes_pair, label_pair, line_of

sides = st.integers(2, 300)
boxes = st.builds(
    LabelledBox,
    label=st.sampled_from(["Echo", "\u00c9cho", 'quo"ted']),
    left=st.integers(0, 300),
    top=st.one_of(st.integers(0, 150), st.just(65.5)),
    width=sides,
    height=st.integers(2, 150),
)


def export(*images: ExportedImage) -> Any:
    return json.loads(b"".join(coco_chunks(lambda: images)))


@given(st.lists(st.lists(boxes, max_size=4), max_size=4))
def test_boxes_come_back_as_they_were(drawn: list[list[LabelledBox]]) -> None:
    size = ImageSize(width=640, height=480, depth=3)
    lines = [
        canonical_line(
            ManifestLine(
                source_ref=f"s3://{BUCKET}/x/{number}.png", boxes=(box_labels(size, each, TIME),) if each else ()
            )
        )
        for number, each in enumerate(drawn)
    ]
    data = b"".join(coco_chunks(lambda: [ExportedImage(line=line) for line in lines]))
    read = read_coco(
        data, source_ref_of=lambda name: f"s3://{BUCKET}/{name}", creation_date=TIME, mending=Mending(frozenset())
    )
    assert [image.entry for image in read] == lines


def test_what_coco_has_no_place_for() -> None:
    file = export(
        ExportedImage(line=line_of(label_pair(), label_pair("label-1", "dot")), width=640, height=480),
        ExportedImage(line=b"no manifest line"),
        ExportedImage(line=line_of(boxes_pair(), source_ref=f"s3://{BUCKET}/b.png"), width=1, height=1),
    )
    assert file["images"] == [
        {"id": 1, "file_name": "a.png", "width": 640, "height": 480, "date_captured": TIME, "labels": ["dot", "echo"]},
        # Boxes say which picture they were drawn on.
        {"id": 2, "file_name": "b.png", "width": 640, "height": 480, "date_captured": TIME},
    ]
    assert [(each["image_id"], each["category_id"], each["area"]) for each in file["annotations"]] == [
        (2, 1, 155 * 101),
        (2, 2, 220 * 334),
    ]
    assert file["categories"] == [{"id": 1, "name": "Echo Dot"}, {"id": 2, "name": "Echo"}]


def test_nothing() -> None:
    assert export() == {"images": [], "annotations": [], "categories": []}
