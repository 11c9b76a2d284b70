from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from demo.pictures import draw_sample_tree, loose_pictures
from demo.sources import boxes_manifest


def test_boxes_lie_inside_the_pictures_that_are_drawn(tmp_path: Path) -> None:
    folder = draw_sample_tree(tmp_path)
    for name, boxes in loose_pictures().items():
        with Image.open(folder / name) as picture:
            for box in boxes:
                assert 0 <= box.left < box.left + box.width <= picture.width
                assert 0 <= box.top < box.top + box.height <= picture.height


def test_the_manifest_is_a_labeling_jobs() -> None:
    lines = [json.loads(line) for line in boxes_manifest("example-images", "alexa-devices/").splitlines()]
    assert [line["source-ref"].rpartition("/")[2] for line in lines] == list(loose_pictures())
    for line in lines:
        classes = line["devices-metadata"]["class-map"]
        assert {classes[str(box["class_id"])] for box in line["devices"]["annotations"]} == {"echo", "echo-dot"}
