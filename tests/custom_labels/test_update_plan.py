"""No entry that a person touched is ever sent, and no image that is gone goes unnoticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.update_plan import Decision, Entry, UpdatePlan, read_entries, read_entry

FOLDER = "s3://example-images/x/"


def line(label: str | None = None, key: str = "x/a.png", **more: object) -> bytes:
    members: dict[str, object] = {"source-ref": f"s3://example-images/{key}"}
    if label is not None:
        name = str(more.pop("name", "label-0"))
        members[name] = 1
        members[f"{name}-metadata"] = {
            "class-name": label,
            "confidence": 1,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": more.pop("date", "2026-11-22T20:00:00"),
        }
    return json.dumps(members | more).encode()


BOXES = {
    "bounding-box": {
        "image_size": [{"width": 640, "height": 480, "depth": 3}],
        "annotations": [{"class_id": 0, "top": 1, "left": 2, "width": 30, "height": 40}],
    },
    "bounding-box-metadata": {
        "objects": [{"confidence": 1}],
        "class-map": {"0": "echo"},
        "type": "groundtruth/object-detection",
        "human-annotated": "yes",
        "creation-date": "2026-11-22T20:00:00",
    },
}
ERROR = {"cl-errors": [{"code": "ERROR_INVALID_IMAGE", "message": "The image is invalid."}]}


@pytest.mark.parametrize(
    ("theirs", "base", "decision"),
    [
        (None, None, Decision.SEND),
        (None, line("echo"), Decision.SEND),
        (line("echo"), None, Decision.LEAVE),
        (line("echo", date="2020-01-01T00:00:00", name="my-label"), line("echo"), Decision.LEAVE),
        (line("echo", **{"cl-metadata": {"is_labeled": True}}), line("echo"), Decision.LEAVE),
        (line("dot"), line("dot"), Decision.SEND),
        (line(), line(), Decision.SEND),
        (line("dot"), None, Decision.KEEP),
        (line("dot"), line("echo"), Decision.KEEP),
        (line(), line("echo"), Decision.KEEP),
        (line("echo", **BOXES), line("echo"), Decision.KEEP),
        (line("echo", **ERROR), line("echo"), Decision.SEND),
        (line("dot", **ERROR), line("echo"), Decision.KEEP),
        (line(**{"half-metadata": {}}), line("echo"), Decision.KEEP),
    ],
)
def test_decisions(theirs: bytes | None, base: bytes | None, decision: Decision) -> None:
    plan = UpdatePlan(read_entries([theirs] if theirs else []), read_entries([base] if base else []), FOLDER)
    assert plan.decide(*read_entry(line("echo"))) is decision
    assert plan.removed() == []


def test_errors_are_found_under_both_names() -> None:
    for member in ("errors", "cl-errors"):
        _, entry = read_entry(line("echo", **{member: [{"code": "ERROR_INVALID_IMAGE"}]}))
        assert entry.errors == ("ERROR_INVALID_IMAGE",)


def test_what_is_gone_counts_as_removed_when_it_came_from_here() -> None:
    theirs = read_entries([line("a", "x/1.png"), line("a", "x/2.png"), line("a", "y/3.png"), line("a", "z/4.png")])
    plan = UpdatePlan(theirs, read_entries([line("a", "y/3.png")]), FOLDER)
    plan.decide(*read_entry(line("a", "x/1.png")))
    assert plan.removed() == ["s3://example-images/x/2.png", "s3://example-images/y/3.png"]
    assert plan.others() == 1


entries = st.dictionaries(
    st.sampled_from([f"{FOLDER}{name}.png" for name in "abcdef"]),
    st.builds(Entry, st.sampled_from([b"echo", b"dot", b""]), st.booleans(), st.sampled_from([(), ("ERROR",)])),
)


@given(theirs=entries, base=entries, ours=entries)
def test_no_human_edit_is_sent_over_and_none_is_lost(
    theirs: dict[str, Entry], base: dict[str, Entry], ours: dict[str, Entry]
) -> None:
    plan = UpdatePlan(theirs, base, FOLDER)
    decisions = {ref: plan.decide(ref, entry) for ref, entry in ours.items()}
    for ref, entry in theirs.items():
        edited = ref not in base or base[ref].content != entry.content
        if ref in ours and edited and entry.content != ours[ref].content:
            assert decisions[ref] is Decision.KEEP
    assert set(plan.removed()) == set(theirs) - set(ours)
    # Once sent, a second plan with the result as its base has nothing left to send.
    after = theirs | {
        ref: Entry(e.content, e.is_labelled) for ref, e in ours.items() if decisions[ref] is Decision.SEND
    }
    again = UpdatePlan(after, ours, FOLDER)
    assert Decision.SEND not in {again.decide(ref, entry) for ref, entry in ours.items() if not after[ref].errors}
