from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from include.custom_labels.quotas import MAX_MANIFEST_BYTES
from include.custom_labels.risks import (
    BaseState,
    ProposedState,
    Risk,
    RiskFinding,
    as_seen,
    find_risks,
    is_suspicious,
)

DATASET_ARN = "arn:aws:rekognition:us-east-1:111122223333:project/example/dataset/train/1"
QUIET = ProposedState(
    dataset_type="TRAIN",
    region="us-east-1",
    images=200,
    size_bytes=50_000,
    images_per_label={"dot": 100, "echo": 100},
    images_seen=200,
    at_fault=0,
    base=BaseState(images=200, labels=["dot", "echo"]),
    max_removed_percent=10,
    other_labels=["echo", "dot"],
)
TEST = replace(QUIET, dataset_type="TEST")
FIRST = replace(QUIET, base=None)


def labelled(*labels: str) -> dict[str, int]:
    return dict.fromkeys(labels, 10)


def risks(state: ProposedState, **changes: Any) -> list[Risk]:
    return [finding.risk for finding in find_risks(replace(state, **changes), accepted=())]


def finding(state: ProposedState, risk: Risk, **changes: Any) -> RiskFinding:
    (found,) = [each for each in find_risks(replace(state, **changes), accepted=()) if each.risk is risk]
    return found


@pytest.mark.parametrize("state", [QUIET, TEST, FIRST, replace(QUIET, other_labels=None)])
def test_a_dataset_without_risks(state: ProposedState) -> None:
    assert risks(state) == []


@pytest.mark.parametrize(
    ("state", "changes", "expected"),
    [
        (QUIET, {"removed": 20}, []),
        (QUIET, {"removed": 21}, [Risk.REMOVED_SHARE]),
        (QUIET, {"removed": 1, "max_removed_percent": 0}, [Risk.REMOVED_SHARE]),
        (QUIET, {"removed": 200, "max_removed_percent": 100}, []),
        (QUIET, {"base": BaseState(images=0, labels=["dot", "echo"])}, []),
        (QUIET, {"removed": 20, "moved": 180}, []),
        (QUIET, {"gone_dataset": DATASET_ARN}, [Risk.REGISTERED_DATASET_GONE]),
        (QUIET, {"work_removed": 1}, [Risk.WORK_REMOVED]),
        (QUIET, {"removed": 21, "work_removed": 1}, [Risk.REMOVED_SHARE, Risk.WORK_REMOVED]),
        (QUIET, {"work_overwritten": 1}, [Risk.WORK_OVERWRITTEN]),
        (FIRST, {"work_overwritten": 1}, [Risk.WORK_OVERWRITTEN]),
        (QUIET, {"new_content": 1}, [Risk.BOXES_ON_NEW_CONTENT]),
        (QUIET, {"base": BaseState(images=200, labels=["echo"])}, [Risk.NEW_LABELS]),
        (QUIET, {"base": BaseState(images=200, labels=["dot", "echo", "show"])}, [Risk.VANISHED_LABELS]),
        (QUIET, {"base": BaseState(images=200, labels=["echo", "show"])}, [Risk.NEW_LABELS, Risk.VANISHED_LABELS]),
        (FIRST, {"removed": 21}, []),
        (FIRST, {"images_per_label": labelled("echo", "Echo")}, [Risk.LOOKALIKE_LABELS]),
        (FIRST, {"images_per_label": labelled("echo", "test"), "other_labels": None}, [Risk.SUSPICIOUS_LABELS]),
        (QUIET, {"at_fault": 30}, []),
        (QUIET, {"at_fault": 31}, [Risk.FAULTS_NEAR_LIMIT]),
        (QUIET, {"images_seen": 0}, []),
        (QUIET, {"other_labels": ["echo"]}, []),
        (QUIET, {"other_labels": []}, [Risk.LABEL_OVERLAP]),
        (TEST, {"other_labels": ["dot", "echo", "a", "b"]}, []),
        (TEST, {"other_labels": ["dot", "echo", "a", "b", "c"]}, [Risk.LABEL_OVERLAP]),
        (TEST, {"other_labels": ["echo"]}, []),
        (QUIET, {"images": 225_000}, []),
        (QUIET, {"images": 225_001}, [Risk.QUOTA_NEAR]),
        (QUIET, {"images": 25_201, "region": "eu-west-2"}, [Risk.QUOTA_NEAR]),
        (TEST, {"images": 6_300, "region": "eu-west-2"}, []),
        (TEST, {"images": 6_301, "region": "eu-west-2"}, [Risk.QUOTA_NEAR]),
        (QUIET, {"size_bytes": MAX_MANIFEST_BYTES.value * 9 // 10}, []),
        (QUIET, {"size_bytes": MAX_MANIFEST_BYTES.value * 9 // 10 + 1}, [Risk.QUOTA_NEAR]),
        (FIRST, {"images_per_label": labelled(*(f"class {at}" for at in range(225))), "other_labels": None}, []),
        (
            FIRST,
            {"images_per_label": labelled(*(f"class {at}" for at in range(226))), "other_labels": None},
            [Risk.QUOTA_NEAR],
        ),
        (QUIET, {"leaked": 1}, [Risk.LEAKAGE]),
        (TEST, {"images_per_label": {"dot": 1_000, "echo": 1}}, []),
        (TEST, {"images_per_label": {"dot": 1_001, "echo": 1}}, [Risk.TEST_LABEL_TOO_LARGE]),
        (QUIET, {"images_per_label": {"dot": 1_001, "echo": 1}}, []),
    ],
)
def test_risks_begin_where_they_are_said_to(
    state: ProposedState, changes: dict[str, Any], expected: list[Risk]
) -> None:
    assert risks(state, **changes) == expected


def test_findings_say_how_much_and_what() -> None:
    removed = finding(QUIET, Risk.REMOVED_SHARE, removed=50, removed_samples=["s3://example-images/a.png"])
    assert (removed.count, removed.samples) == (50, ("s3://example-images/a.png",))
    assert removed.detail == "50 of 200 registered images are gone, more than 10 %."
    new = finding(QUIET, Risk.NEW_LABELS, base=BaseState(images=200, labels=[]))
    assert (new.count, new.samples) == (2, ("dot", "echo"))
    overlap = finding(TEST, Risk.LABEL_OVERLAP, other_labels=["dot", "x", "y"])
    assert (overlap.count, overlap.samples) == (2, ("x", "y"))
    assert overlap.detail == "1 of 3 training labels have test images."
    near = finding(QUIET, Risk.QUOTA_NEAR, images=240_000, size_bytes=MAX_MANIFEST_BYTES.value)
    assert (near.count, near.samples[0]) == (2, "240,000 of 250,000 images")


def test_a_move_is_told_and_not_counted() -> None:
    removed = finding(QUIET, Risk.REMOVED_SHARE, removed=50, moved=1_200)
    assert removed.count == 50
    assert removed.detail == (
        "50 of 200 registered images are gone, more than 10 %. Not counted: 1,200 that were moved, and stay."
    )


def test_peoples_work_that_a_run_would_touch_is_counted_and_named() -> None:
    keys = ["echo/a.png", "echo/b.png"]
    removed = finding(QUIET, Risk.WORK_REMOVED, work_removed=1_200, work_removed_samples=keys)
    assert (removed.count, removed.samples) == (1_200, tuple(keys))
    assert removed.detail == "1,200 images with people's labels or boxes would leave the dataset."
    assert finding(QUIET, Risk.WORK_REMOVED, work_removed=1).detail == (
        "1 image with people's labels or boxes would leave the dataset."
    )
    overwritten = finding(QUIET, Risk.WORK_OVERWRITTEN, work_overwritten=2, work_overwritten_samples=keys)
    assert (overwritten.count, overwritten.samples) == (2, tuple(keys))
    assert overwritten.detail == "People's labels or boxes of 2 images would be overwritten."
    drawn = finding(QUIET, Risk.BOXES_ON_NEW_CONTENT, new_content=1, new_content_samples=keys[:1])
    assert (drawn.count, drawn.samples) == (1, ("echo/a.png",))
    assert drawn.detail == "People's boxes stay on the new content of 1 image."


def test_a_registered_dataset_that_is_gone_is_named() -> None:
    gone = finding(QUIET, Risk.REGISTERED_DATASET_GONE, gone_dataset=DATASET_ARN)
    assert (gone.count, gone.samples) == (1, (DATASET_ARN,))
    assert gone.detail == f"{DATASET_ARN} no longer exists; a dataset of 200 images would take its place."


def test_labels_of_entries_that_stay_have_not_vanished() -> None:
    # The source has `echo` alone; `kite` is of another import or of a person, before and after.
    base = BaseState(images=200, labels=["echo", "kite"])
    state = replace(QUIET, base=base, other_labels=None)
    assert risks(state, images_per_label={"echo": 100, "kite": 1}) == []
    vanished = finding(state, Risk.VANISHED_LABELS, images_per_label={"echo": 100})
    assert vanished.detail == "1 label no longer has any images."
    new = finding(state, Risk.NEW_LABELS, images_per_label=labelled("echo", "kite", "dot", "show"))
    assert new.detail == "2 labels are new to the dataset."


def test_a_dataset_that_is_created_anew_has_lost_images_and_has_no_new_labels() -> None:
    base = BaseState(images=200, labels=None)
    assert risks(QUIET, base=base, images_per_label=labelled("echo", "dot")) == []
    assert risks(QUIET, base=base, removed=21) == [Risk.REMOVED_SHARE]


def test_images_at_fault_are_named() -> None:
    faults = finding(QUIET, Risk.FAULTS_NEAR_LIMIT, at_fault=31, fault_samples=["echo/broken.png"])
    assert (faults.count, faults.samples) == (31, ("echo/broken.png",))


def test_samples_are_capped_and_counts_true() -> None:
    many = finding(QUIET, Risk.VANISHED_LABELS, base=BaseState(images=1, labels=[f"class {at}" for at in range(99)]))
    assert (many.count, len(many.samples)) == (99, 20)


def test_an_accepted_risk_is_left_out() -> None:
    state = replace(QUIET, leaked=1, other_labels=[])
    assert [each.risk for each in find_risks(state, accepted={Risk.LEAKAGE})] == [Risk.LABEL_OVERLAP]
    assert find_risks(state, accepted=list(Risk)) == []


def test_findings_survive_json() -> None:
    found = find_risks(replace(QUIET, leaked=1, other_labels=[]), accepted=())
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[RiskFinding]) == found
    assert msgspec.to_builtins(found)[0]["risk"] == "LABEL_OVERLAP"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("echo", "Echo"),
        ("straße", "STRASSE"),
        ("Echo Dot", "EchoDot"),
        ("echo", " echo "),
        ("echo dot", "echo\N{NO-BREAK SPACE}dot"),
        ("café", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("É", "e\N{COMBINING ACUTE ACCENT}"),
        ("echo", "ec\N{ZERO WIDTH SPACE}ho"),
        ("echo", "\N{ZERO WIDTH NO-BREAK SPACE}echo"),
        ("echo", "echo\N{RIGHT-TO-LEFT MARK}"),
        ("echo", "ec\N{SOFT HYPHEN}ho"),
        ("\N{HEAVY BLACK HEART}", "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}"),
        ("echo", "echo\x00"),
    ],
)
def test_labels_that_look_alike(one: str, other: str) -> None:
    assert as_seen(one) == as_seen(other)
    alike = finding(FIRST, Risk.LOOKALIKE_LABELS, images_per_label=labelled(one, other, "dot"), other_labels=None)
    assert alike.count == 1
    assert set(alike.samples[0].split(", ")) == {ascii(one), ascii(other)}


@pytest.mark.parametrize(
    ("one", "other"), [("echo", "echo-dot"), ("echo-dot", "echo_dot"), ("cafe", "café"), ("a1", "a2"), ("", "x")]
)
def test_labels_that_do_not(one: str, other: str) -> None:
    assert as_seen(one) != as_seen(other)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("test", True),
        ("Train", True),
        (" VAL ", True),
        ("validation", True),
        ("train_2", True),
        ("New folder", True),
        ("New Folder (2)", True),
        ("Thumbs", True),
        (".ipynb_checkpoints", True),
        ("__MACOSX", True),
        ("\N{ZERO WIDTH SPACE}.hidden", True),
        ("$RECYCLE.BIN", True),
        ("@eaDir", True),
        ("images", True),
        ("tmp", True),
        ("test tube", False),
        ("trains", False),
        ("valve", False),
        ("_echo", False),
        ("echo.test", False),
        ("12", False),
        ("echo", False),
        ("", False),
    ],
)
def test_labels_with_the_name_of_something_else(label: str, expected: bool) -> None:
    assert is_suspicious(label) is expected
