"""What the steps of a run know, in the question for approval."""

from __future__ import annotations

from datetime import UTC, datetime

from include.custom_labels.diff import LabelCount, SnapshotDiff
from include.pipelines.gates import Gate
from include.pipelines.registration import Plan
from include.pipelines.reporting import question_of
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from tests.fixtures.places import HOLDER


def test_a_first_registration_says_what_there_would_be() -> None:
    run = ImportRun(request=S3FolderRequest(), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="run", holder=HOLDER)
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
    built = {"manifest": "s3://example-workspace/m", "ledger": "s3://example-workspace/l", "lines": 1240}
    question = question_of(run, built, Plan(action="create", project="alexa-devices"), Gate(diff=diff))
    assert question["subject"] == "Create the train dataset of alexa-devices? 1,240 images, 2 labels; 0 risks"
    assert "1,240 images, 2 labels" in question["body"]
    assert "- manifest: `s3://example-workspace/m`" in question["body"]
