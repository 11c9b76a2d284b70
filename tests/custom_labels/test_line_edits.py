"""What edits make of entries: the labels and boxes that were meant, and nothing else that is different."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.codes import Code
from include.custom_labels.entries import LabelledBox
from include.custom_labels.errors import ManifestError
from include.custom_labels.line_edits import (
    AssignLabels,
    LineEdit,
    Redraw,
    RenameLabel,
    edit_line,
    read_content,
)
from include.custom_labels.line_rules import check_line

CREATION_DATE = "2026-11-22T20:00:00"
NOW = "2026-11-24T18:00:00"
SOURCE_REF = "s3://example-images/echo/1.png"
HOSTILE = ("<img src=x onerror=alert(1)>", "\u202egnp", 'a"b\\c', " ", "源", "cl-errors", "source-ref")


def label(name: str, **more: Any) -> dict[str, Any]:
    metadata = {
        "class-name": name,
        "confidence": 0.5,
        "type": "groundtruth/image-classification",
        "human-annotated": "no",
        "creation-date": CREATION_DATE,
        "job-name": "example-job",
    }
    return metadata | more


def boxes(*drawn: tuple[str, float, float, float, float], size: tuple[int, int] = (640, 480)) -> tuple[Any, Any]:
    names = list(dict.fromkeys(name for name, *_ in drawn))
    value = {
        "image_size": [{"width": size[0], "height": size[1], "depth": 1}],
        "annotations": [
            {"class_id": names.index(name), "left": left, "top": top, "width": width, "height": height}
            for name, left, top, width, height in drawn
        ],
    }
    metadata = {
        "objects": [{"confidence": 0.25} for _ in drawn],
        "class-map": {str(number): name for number, name in enumerate(names)},
        "type": "groundtruth/object-detection",
        "human-annotated": "yes",
        "creation-date": CREATION_DATE,
        "job-name": "example-job",
        "example-member": [1, {"x": None}],
    }
    return value, metadata


def line(**members: Any) -> bytes:
    """A line with ``__`` for dashes in names of members."""
    return json.dumps({"source-ref": SOURCE_REF} | {k.replace("__", "-"): v for k, v in members.items()}).encode()


def edited(data: bytes, *edits: LineEdit) -> dict[str, Any]:
    found = edit_line(data, edits, NOW)
    assert found is not None
    assert found.endswith(b"\n")
    assert next(iter(json.loads(found))) == "source-ref"
    assert json.loads(found)["source-ref"] == SOURCE_REF
    return dict(json.loads(found))


def box(name: str, left: float, top: float, width: float, height: float) -> LabelledBox:
    return LabelledBox(label=name, left=left, top=top, width=width, height=height)


ECHO = {"kind": 1, "kind__metadata": label("echo")}
OTHER = {
    "sketch__ref": "s3://example-images/sketch.png",
    "sketch__ref__metadata": {"type": "groundtruth/semantic-segmentation", "x": [1.0, None]},
    "half": {"left": "alone"},
}


def test_assigning_keeps_everything_else() -> None:
    value, metadata = boxes(("dot", 1, 2, 30, 40.5))
    before = {**ECHO, **OTHER, "drawn": value, "drawn__metadata": metadata}
    after = edited(line(**before), AssignLabels(assign=("white", "black", "echo"), remove=("dot", "nothing")))
    assert list(after)[-4:] == ["label-0", "label-0-metadata", "label-1", "label-1-metadata"]
    assert json.dumps({k: v for k, v in after.items() if not k.startswith("label-")}) == line(**before).decode()
    assert after["label-0-metadata"] == {
        "class-name": "white",
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "creation-date": NOW,
    }
    assert after["label-0"] == 1


def test_removing_takes_every_pair_of_the_label_and_no_box() -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40))
    data = line(**ECHO, label__0=0, label__0__metadata=label("echo"), drawn=value, drawn__metadata=metadata)
    after = edited(data, AssignLabels(remove=("echo",)))
    assert list(after) == ["source-ref", "drawn", "drawn-metadata"]
    assert edited(line(**ECHO), AssignLabels(assign=("dot",), remove=("echo",))).keys() == {
        "source-ref",
        "label-0",
        "label-0-metadata",
    }


def test_a_label_gets_a_name_that_is_free() -> None:
    data = line(label__0=1, label__0__metadata=label("a"), label__1={"half": 1}, label__2__metadata=label("b"))
    assert list(edited(data, AssignLabels(assign=("c",))))[-2:] == ["label-3", "label-3-metadata"]


def test_renaming_on_image_and_boxes() -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40), ("dot", 5, 6, 30, 40))
    data = line(**ECHO, **OTHER, drawn=value, drawn__metadata=metadata)
    after = edited(data, RenameLabel(old="echo", new="dot"), RenameLabel(old="nothing", new="x"))
    assert after["kind-metadata"] == label("dot")
    assert after["drawn-metadata"] == metadata | {"class-map": {"0": "dot"}}
    assert [each["class_id"] for each in after["drawn"]["annotations"]] == [0, 0]
    assert after["half"] == OTHER["half"]
    assert read_content(json.dumps(after).encode()).boxes == (box("dot", 1, 2, 30, 40), box("dot", 5, 6, 30, 40))


def test_a_renamed_label_is_taken_in_by_one_that_is_there() -> None:
    after = edited(line(**ECHO, b=1, b__metadata=label("dot")), RenameLabel(old="echo", new="dot"))
    assert list(after) == ["source-ref", "b", "b-metadata"]
    twice = line(**ECHO, b=1, b__metadata=label("echo"))
    assert list(edited(twice, RenameLabel(old="echo", new="dot"))) == ["source-ref", "kind", "kind-metadata"]


@pytest.mark.parametrize(
    "class_map", [{"x": "echo", "0": "echo", "1": "dot"}, {"-1": "dot", "01": "echo", "0": "echo"}]
)
def test_renaming_with_odd_class_maps(class_map: dict[str, str]) -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40))
    data = line(drawn=value, drawn__metadata=metadata | {"class-map": class_map})
    (drawn,) = read_content(edit_line(data, [RenameLabel(old="echo", new="dot")], NOW) or b"").boxes
    assert drawn.label == "dot"


def test_drawing_keeps_names_classes_and_what_is_not_drawn() -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40), ("dot", 5, 6, 30, 40))
    data = line(**ECHO, **OTHER, drawn=value, drawn__metadata=metadata, more=value, more__metadata=metadata)
    wanted = (box("new", 0, 0, 640.0, 480.0), box("dot", 5, 6, 30, 40), box("a", 1.5, 2.5, 30, 40))
    after = edited(data, Redraw(labels=("echo", "white"), boxes=wanted, width=640, height=480))
    assert list(after) == [
        "source-ref",
        *("kind", "kind-metadata", "sketch-ref", "sketch-ref-metadata", "half"),
        *("drawn", "drawn-metadata", "label-0", "label-0-metadata"),
    ]
    assert after["drawn"]["image_size"] == [{"width": 640, "height": 480, "depth": 1}]
    assert after["drawn"]["annotations"] == [
        {"class_id": 2, "top": 0, "left": 0, "width": 640, "height": 480},
        {"class_id": 1, "top": 6, "left": 5, "width": 30, "height": 40},
        {"class_id": 0, "top": 2.5, "left": 1.5, "width": 30, "height": 40},
    ]
    assert after["drawn-metadata"] == metadata | {
        "objects": [{"confidence": 1}, {"confidence": 0.25}, {"confidence": 1}],
        "class-map": {"0": "a", "1": "dot", "2": "new"},
        "human-annotated": "yes",
        "creation-date": NOW,
    }
    assert "640.0" not in json.dumps(after)


def test_the_first_boxes_of_an_image() -> None:
    after = edited(line(), Redraw(labels=(), boxes=(box("echo", 1, 2, 30, 40),), width=640, height=480))
    assert list(after) == ["source-ref", "bounding-box-0", "bounding-box-0-metadata"]
    assert after["bounding-box-0"]["image_size"] == [{"width": 640, "height": 480, "depth": 3}]
    assert check_line(json.dumps(after).encode()).problems == ()


def test_without_boxes_there_is_no_attribute_of_boxes() -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40))
    data = line(drawn=value, drawn__metadata=metadata, more=value, more__metadata=metadata)
    assert list(edited(data, Redraw(labels=(), boxes=()))) == ["source-ref"]


def test_an_image_size_that_is_not_the_images_is_mended() -> None:
    value, metadata = boxes(("echo", 1, 2, 30, 40), size=(1000, 1000))
    same = Redraw(labels=(), boxes=(box("echo", 1, 2, 30, 40),), width=640, height=480)
    after = edited(line(drawn=value, drawn__metadata=metadata), same)
    assert after["drawn"]["image_size"][0]["width"] == 640
    assert after["drawn-metadata"]["objects"] == [{"confidence": 0.25}]


def test_what_is_broken_is_left_alone_by_labels_and_mended_by_drawing() -> None:
    broken = {"drawn": {"image_size": []}, "drawn__metadata": {"type": "groundtruth/object-detection"}}
    odd = {"drawn__metadata__metadata": {"type": "groundtruth/image-classification"}}
    data = line(**broken, **odd)
    kept = edited(data, AssignLabels(assign=("echo",)))
    assert kept["drawn"] == broken["drawn"]
    mended = edited(data, Redraw(labels=("echo",), boxes=()))
    assert "drawn" not in mended
    assert check_line(json.dumps(mended).encode()).image_labels == {"echo"}


def test_what_the_service_wrote_is_not_sent_again() -> None:
    data = line(**ECHO, cl__metadata={"is_labeled": True}, errors=[{"code": "ERROR_NO_VALID_ANNOTATIONS"}])
    assert list(edited(data, AssignLabels(remove=("echo",)))) == ["source-ref"]
    # Nothing but what the service wrote would be different.
    assert edit_line(data, [AssignLabels(assign=("echo",))], NOW) is None


@pytest.mark.parametrize(
    "edit",
    [
        AssignLabels(assign=("echo",)),
        AssignLabels(remove=("dot",)),
        RenameLabel(old="dot", new="white"),
        RenameLabel(old="echo", new="echo"),
        Redraw(labels=("echo",), boxes=(box("a", 1, 2, 30, 40), box("b", 1, 2, 30, 40)), width=640, height=480),
    ],
)
def test_an_edit_that_changes_nothing(edit: LineEdit) -> None:
    value, metadata = boxes(("b", 1.0, 2, 30, 40), ("a", 1, 2, 30, 40))
    assert edit_line(line(**ECHO, drawn=value, drawn__metadata=metadata), [edit], NOW) is None


def test_edits_that_take_each_other_back() -> None:
    edits = [RenameLabel(old="echo", new="dot"), RenameLabel(old="dot", new="echo")]
    assert edit_line(line(**ECHO), edits, NOW) is None


def redraw(*drawn: LabelledBox, labels: tuple[str, ...] = ()) -> Redraw:
    return Redraw(labels=labels, boxes=drawn, width=640, height=480)


@pytest.mark.parametrize(
    ("data", "edit", "code"),
    [
        (b"no json", AssignLabels(assign=("a",)), Code.ERROR_INVALID_JSON_LINE),
        (b"[]", AssignLabels(assign=("a",)), Code.ERROR_INVALID_JSON_LINE),
        (b"{}", AssignLabels(assign=("a",)), Code.ERROR_MISSING_SOURCE_REF),
        (line(), AssignLabels(assign=("a" * 256,)), Code.ERROR_INVALID_LABEL_NAME_LENGTH),
        (line(), AssignLabels(assign=("",)), Code.ERROR_INVALID_LABEL_NAME_LENGTH),
        (line(), AssignLabels(assign=("a\nb",)), Code.ERROR_INVALID_LABEL_NAME),
        (line(**ECHO), RenameLabel(old="echo", new="a\nb"), Code.ERROR_INVALID_LABEL_NAME),
        (line(), AssignLabels(assign=tuple(map(str, range(51)))), Code.ERROR_TOO_MANY_LABELS_PER_IMAGE),
        (line(), redraw(box("a", -1, 0, 30, 30)), Code.ERROR_INVALID_BOUNDING_BOX),
        (line(), redraw(box("a", 620, 0, 30, 30)), Code.ERROR_INVALID_BOUNDING_BOX),
        (line(), redraw(box("a", 0, 451, 30, 30)), Code.ERROR_INVALID_BOUNDING_BOX),
        (line(), redraw(box("a", 0, 0, 30, -30)), Code.ERROR_INVALID_BOUNDING_BOX),
        (line(), redraw(box("a", 0, 0, 1, 30)), Code.ERROR_BOUNDING_BOX_TOO_SMALL),
        (line(), redraw(box("a", 0, 0, 30, 30), box("a", 0, 0, 0, 0)), Code.ERROR_BOUNDING_BOX_TOO_SMALL),
        (line(), redraw(*[box("a", 0, 0, 30, 30 + n) for n in range(51)]), Code.ERROR_TOO_MANY_BOUNDING_BOXES),
        (line(), redraw(box("a\nb", 0, 0, 30, 30)), Code.ERROR_INVALID_LABEL_NAME),
    ],
)
def test_what_aws_refuses_is_refused(data: bytes, edit: LineEdit, code: Code) -> None:
    with pytest.raises(ManifestError) as caught:
        edit_line(data, [edit], NOW)
    assert caught.value.code == code


def test_an_error_that_was_there_stops_no_other_edit() -> None:
    value, metadata = boxes(("echo", 600, 2, 300, 40))
    data = line(drawn=value, drawn__metadata=metadata)
    assert any(problem.code is Code.ERROR_INVALID_BOUNDING_BOX for problem in check_line(data).problems)
    assert edited(data, AssignLabels(assign=("dot",)))["drawn"] == value


@pytest.mark.parametrize("name", HOSTILE)
def test_labels_are_text(name: str) -> None:
    assigned = edit_line(line(), [AssignLabels(assign=(name,))], NOW)
    assert read_content(assigned or b"").labels == (name,)
    drawn = edit_line(line(), [redraw(box(name, 1, 2, 30, 40))], NOW)
    assert read_content(drawn or b"").boxes == (box(name, 1, 2, 30, 40),)
    renamed = edit_line(drawn or b"", [RenameLabel(old=name, new="plain")], NOW)
    assert read_content(renamed or b"").boxes == (box("plain", 1, 2, 30, 40),)


def errors(data: bytes) -> list[Any]:
    return [problem for problem in check_line(data).problems if problem.code.severity == "error"]


NAMES = st.sampled_from(["a", "b", "c", *HOSTILE[:3]])
BOXES = st.builds(
    box, NAMES, *[st.integers(0, 300) | st.floats(0, 300)] * 2, *[st.integers(2, 100) | st.floats(2, 100)] * 2
)
REDRAWS = st.builds(redraw, labels=st.lists(NAMES, max_size=4, unique=True).map(tuple)) | st.lists(
    BOXES, max_size=5
).map(lambda drawn: redraw(*drawn))
EDITS = (
    st.builds(
        AssignLabels, assign=st.lists(NAMES, max_size=3).map(tuple), remove=st.lists(NAMES, max_size=3).map(tuple)
    )
    | st.builds(RenameLabel, old=NAMES, new=NAMES)
    | REDRAWS
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EDITS, max_size=5), REDRAWS)
def test_after_any_edits_the_line_is_valid_and_a_drawing_is_what_was_drawn(edits: list[LineEdit], last: Redraw) -> None:
    data = line(**OTHER, **ECHO)
    # The image keeps a label, since without any the line would be invalid for the rest of it.
    edits, last = [*edits, AssignLabels(assign=("echo",))], replace(last, labels=(*last.labels, "echo"))
    after = edit_line(data, edits, NOW) or data
    assert errors(after) == errors(data)
    drawn = edit_line(after, [last], NOW) or after
    content = read_content(drawn)
    assert set(content.labels) == set(last.labels)
    assert sorted(content.boxes, key=repr) == sorted(
        (
            box(each.label, *(int(n) if n == int(n) else n for n in (each.left, each.top, each.width, each.height)))
            for each in last.boxes
        ),
        key=repr,
    )
    assert edit_line(drawn, [last], NOW) is None
    for name, value in json.loads(line(**OTHER)).items():
        assert json.loads(drawn)[name] == value
