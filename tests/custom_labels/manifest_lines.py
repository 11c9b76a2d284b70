"""Manifest lines for tests."""

from __future__ import annotations

import json
from typing import Any

BUCKET = "example-bucket"
TIME = "2026-11-22T20:00:00"


def label_pair(name: str = "label-0", label: str = "echo", **metadata: Any) -> dict[str, Any]:
    return {
        name: 1,
        f"{name}-metadata": {
            "class-name": label,
            "confidence": 1,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": TIME,
            **metadata,
        },
    }


def boxes_pair(name: str = "bounding-box", **metadata: Any) -> dict[str, Any]:
    return {
        name: {
            "image_size": [{"width": 640, "height": 480, "depth": 3}],
            "annotations": [
                {"class_id": 1, "top": 251, "left": 399, "width": 155, "height": 101},
                {"class_id": 0, "top": 65.5, "left": 86.0, "width": 220, "height": 334},
            ],
        },
        f"{name}-metadata": {
            "objects": [{"confidence": 1.0}, {"confidence": 0.5}],
            "class-map": {"1": "Echo Dot", "0": "Echo"},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": TIME,
            "job-name": "my job",
            **metadata,
        },
    }


def line_of(*parts: dict[str, Any], source_ref: str = f"s3://{BUCKET}/a.png") -> bytes:
    line: dict[str, Any] = {"source-ref": source_ref}
    for part in parts:
        line |= part
    return json.dumps(line).encode()
