"""What the steps of a run know, in the question for approval."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.custom_labels.diff import DiffSample, LabelCount, SnapshotDiff
from include.pipelines.gates import Gate
from include.pipelines.registration import Plan
from include.pipelines.reporting import question_of, registered_report_of, report_of
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.snapshot_report import Departures, ImageChange, SnapshotReport
from tests.fixtures.places import HOLDER

RUN = ImportRun(request=S3FolderRequest(), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="run", holder=HOLDER)
BUILT = {"manifest": "s3://example-workspace/m", "ledger": "s3://example-workspace/l", "lines": 1240}


def test_a_first_registration_says_what_there_would_be() -> None:
    diff = SnapshotDiff(
        images_before=0,
        images_after=1240,
        added=1240,
        removed=0,
        changed=0,
        relabelled=0,
        moved=0,
        not_compared=0,
        labels={"echo": LabelCount(before=0, after=1200), "echo-dot": LabelCount(before=0, after=30)},
        labels_appeared=["echo", "echo-dot"],
        labels_vanished=[],
        samples={},
    )
    question = question_of(RUN, BUILT, Plan(action="create", project="alexa-devices"), Gate(diff=diff))
    assert question["subject"] == "Create the train dataset of alexa-devices? 1,240 images, 2 labels; 0 risks"
    assert "1,240 images, 2 labels" in question["body"]
    assert "- manifest: `s3://example-workspace/m`" in question["body"]


def samples(*keys: str) -> list[DiffSample]:
    return [DiffSample(image=f"s3://example-images/{key}", before="'echo'", after="'echo'") for key in keys]


MOVED = SnapshotDiff(
    images_before=10,
    images_after=10,
    added=3,
    removed=3,
    changed=0,
    relabelled=0,
    moved=2,
    not_compared=0,
    labels={"echo": LabelCount(before=10, after=10), "kite": LabelCount(before=0, after=1)},
    labels_appeared=[],
    labels_vanished=[],
    samples={
        "added": samples("new.png", "b/1.png", "b/2.png"),
        "removed": samples("gone.png", "a/1.png", "a/2.png"),
        "moved": samples("b/1.png", "b/2.png"),
    },
)
GATE = Gate(base_snapshot_id="20261121T200000Z-0a1b2c3d", diff=MOVED)


def test_a_moved_image_is_neither_removed_nor_added() -> None:
    report = report_of(RUN, Plan(action="update", project="alexa-devices"), GATE)
    assert report.difference is not None
    assert (report.total("removed"), report.total("added"), report.total("moved")) == (1, 1, 2)
    removed, added = report.difference.samples["removed"], report.difference.samples["added"]
    assert [change.image for change in (*removed, *added)] == [
        "s3://example-images/gone.png",
        "s3://example-images/new.png",
    ]
    assert isinstance(removed[0], ImageChange)
    assert len(report.difference.samples["moved"]) == 2


def test_the_question_counts_the_dataset_where_it_is_known() -> None:
    plan = Plan(action="update", project="alexa-devices")
    question = question_of(
        RUN, BUILT, plan, GATE, images_per_label={"echo": 5}, departures=Departures(removed=0, moved=3, kept_aside=7)
    )
    assert question["subject"] == "Update the train dataset of alexa-devices? 1 added, 3 moved; 0 risks"
    assert "ledger keeps: 7." in question["body"]
    first = question_of(RUN, BUILT, plan, Gate(diff=MOVED), images_per_label={"echo": 5, "kite": 1, "dot": 1})
    assert first["subject"] == "Update the train dataset of alexa-devices? 1,240 images, 3 labels; 0 risks"


def registered(**more: Any) -> SnapshotReport:
    reconciled = {
        "plan": {"action": "update", "project": "alexa-devices"},
        "dataset_arn": "",
        "images_per_label": {"echo": 9, "by a person": 1},
        "reasons": [],
    }
    names = {"snapshot_id": "20261122T200000Z-0a1b2c3d", "manifest": "", "ledger": ""}
    nothing: dict[str, Any] = {"findings": {}, "approval": None, "provenance": None, "timings": {}}
    return registered_report_of(RUN, GATE, reconciled, **names, **nothing, **more)


@pytest.mark.parametrize(
    ("of_source", "shown"), [(None, None), ({"echo": 9, "by a person": 1}, None), ({"echo": 10}, {"echo": 10})]
)
def test_what_the_source_says_is_shown_only_where_it_differs(
    of_source: dict[str, int] | None, shown: dict[str, int] | None
) -> None:
    report = registered(images_per_label_of_source=of_source)
    assert report.images_per_label == {"echo": 9, "by a person": 1}
    assert report.images_per_label_of_source == shown
    assert report.images_per_label_before == {"echo": 10}
    assert report.departures is None
    before = registered(images_per_label_before={"echo": 8}, departures=Departures(removed=1))
    assert (before.images_per_label_before, before.total("removed"), before.kept_aside) == ({"echo": 8}, 1, 0)
