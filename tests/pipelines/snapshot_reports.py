"""Reports for tests of what people see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from include.pipelines.snapshot_report import SnapshotReport

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>.png",
    "a|b``c`\\|d\\",
    "![x](http://example.com/x.png) [y](javascript:alert(1))",
    "line\nbreak\r\n# heading\n- item",
    "\u202egnp.exe",
    "\x1b[31mred",
    "www.example.com/http://example.com me@example.com",
    "{{ 7 * 7 }}{% raw %}",
    '"onmouseover="alert(1)',
    "`",
    "``` ```",
    " padded ",
    "   ",
    "&lt;b&gt;&#124;",
    "שלום עולם",
    "x" * 900,
    "</style><style>*{display:none}",
]


def snapshot_report(text: str = "echo", **more: Any) -> SnapshotReport:
    """A report in which keys, labels and details are ``text``."""
    image = {"image": f"s3://example-images/{text}", "before": repr(text), "after": text}
    plain: dict[str, Any] = {
        "project": "alexa-devices",
        "dataset_type": "train",
        "action": "replace",
        "as_of": datetime(2026, 11, 22, 20, tzinfo=UTC),
        "snapshot_id": "20261122T200000Z-0a1b2c3d",
        "dataset_arn": "arn:aws:rekognition:us-east-1:111122223333:project/alexa-devices/dataset/train/1",
        "manifest": f"s3://example-workspace/{text}.manifest",
        "ledger": "s3://example-workspace/ledger.parquet",
        "images_per_label": {text: 1200, "another": 30},
        "images_per_label_before": {text: 1000, "gone": 5},
        "reasons": [
            _reason("registered", "IN_FOLDER", 1200, text),
            _reason("unlabelled", "AT_FOLDER_LEVEL", 40, text),
            _reason("quarantined", "EMPTY_OBJECT", 3, text),
        ],
        "difference": {
            "base_snapshot_id": "20261121T200000Z-0a1b2c3d",
            "added": 1230,
            "removed": 1005,
            "relabelled": 7,
            "moved": 2,
            "labels_appeared": [text],
            "labels_vanished": ["gone"],
            "samples": {kind: [image] * 3 for kind in ("added", "removed", "relabelled", "moved")},
        },
        "risks": [
            {
                "code": "MANY_REMOVED",
                "explanation": "More images are gone than `max_removed_percent` allows; look whether that was meant.",
                "detail": f"1,005 of 1,043 images, of {text}",
                "count": 1005,
                "samples": [text] * 3,
            },
            {"code": "NEW_LABEL", "explanation": "A label is new.", "count": 1, "samples": [text]},
        ],
        "approval": {"by": text, "at": datetime(2026, 11, 22, 21, tzinfo=UTC), "option": "Approve"},
        "findings": {"WARNING_UNANNOTATED_RECORD": 40, "SOMETHING_NEW": 1},
        "split": _split(text),
        "provenance": {"source": {"dataset_arn": text, "entries": 12, "nothing": None}, "parts": [1, 2]},
        "timings": {"list_objects": 1.5, "inspect_images": 1234.5},
    }
    return msgspec.convert(plain | more, SnapshotReport)


def _reason(state: str, reason: str, count: int, text: str) -> dict[str, Any]:
    samples = [{"key": text, "detail": text}, {"key": text, "detail": ""}]
    return {"state": state, "reason": reason, "count": count, "what_to_do": "See `as_of`.", "samples": samples}


def _split(text: str) -> dict[str, Any]:
    violation = {"code": "ERROR_INSUFFICIENT_LABEL_OVERLAP", "message": "Too few.", "detail": text, "next_step": "Add."}
    return {
        "wanted_test_share": 0.2,
        "test_share": 0.1875,
        "group_by": None,
        "seed": "",
        "is_frozen": False,
        "train_images": 1000,
        "test_images": 240,
        "unlabelled_images": 40,
        "withheld_images": 2,
        "images_of_both_sides": 0,
        "units": 900,
        "new_units": 10,
        "labels": {},
        "labels_without_test": [text],
        "labels_without_train": [],
        "leakage": {"units": 0, "train_images": 0, "test_images": 0, "samples": []},
        "violations": [violation],
    }
