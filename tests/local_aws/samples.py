"""Manifest lines and images to feed the service with."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

BUCKET = "example-images"


def source_ref(key: str, bucket: str = BUCKET) -> str:
    return f"s3://{bucket}/{key}"


def labelled(key: str, *labels: str, bucket: str = BUCKET) -> dict[str, Any]:
    """A line with image-level labels, or a bare one without any."""
    line: dict[str, Any] = {"source-ref": source_ref(key, bucket)}
    for number, label in enumerate(labels):
        line[f"label-{number}"] = 1
        line[f"label-{number}-metadata"] = classification(label)
    return line


def classification(label: str, **changes: Any) -> dict[str, Any]:
    return {
        "class-name": label,
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "creation-date": "2026-11-22T20:00:00",
    } | changes


def box(class_id: int = 0, left: float = 10, top: float = 10, width: float = 20, height: float = 20) -> dict[str, Any]:
    return {"class_id": class_id, "left": left, "top": top, "width": width, "height": height}


def boxed(
    key: str,
    *boxes: dict[str, Any],
    class_map: dict[str, str] | None = None,
    size: tuple[int, int] = (200, 100),
    **metadata: Any,
) -> dict[str, Any]:
    """A line with one bounding-box attribute."""
    return {
        "source-ref": source_ref(key),
        "boxes": {"image_size": [{"width": size[0], "height": size[1], "depth": 3}], "annotations": list(boxes)},
        "boxes-metadata": {
            "objects": [{"confidence": 1}] * len(boxes),
            "class-map": {"0": "Cup", "1": "Plate"} if class_map is None else class_map,
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2026-11-22T20:00:00",
        }
        | metadata,
    }


def json_lines(*lines: dict[str, Any] | str) -> bytes:
    """Lines as they stand in a manifest; text is taken as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    return "\n".join(texts).encode() + b"\n"


def image(size: tuple[int, int] = (200, 100), form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, form, **options)
    return stream.getvalue()
