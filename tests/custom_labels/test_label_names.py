"""One rule says which characters no label has, and every source, alias and edit goes by it."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.codes import Code
from include.custom_labels.csv_labels import read_csv_row
from include.custom_labels.entries import AnnotatedImage, Mending
from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.ground_truth import GroundTruthLines
from include.custom_labels.label_names import is_allowed
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import State
from include.custom_labels.line_edits import AssignLabels, edit_line
from include.custom_labels.reasons import Reason
from include.gallery.uploads import check_folder
from include.pipelines.existing_dataset import read_row
from include.pipelines.requests import S3FolderRequest, form
from tests.fixtures.existing_datasets import boxed, image_level

REFUSED = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}"]
HARD = ["\n", "\r", "\0", "\t", "\x7f", "\x85", "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}"]
IMAGE = "s3://example-images/a.png"


def test_control_characters_and_line_ends_are_in_no_label() -> None:
    every = [chr(point) for point in range(0x110000)]
    refused = [character for character in every if not is_allowed(f"e{character}o")]
    assert refused == REFUSED
    assert {unicodedata.category(character) for character in refused} == {"Cc", "Zl", "Zp"}


@pytest.mark.parametrize("character", HARD)
def test_no_folder_of_such_a_name_is_a_label(character: str) -> None:
    for label in (f"echo{character}", f"{character}echo", f"ec{character}ho"):
        placed = FolderLabelling(prefix="x/").place(f"x/{label}/a.png")
        assert placed == (State.REJECTED, label, Reason.LABEL_NOT_ALLOWED)


@pytest.mark.parametrize("character", HARD)
def test_no_alias_has_one(character: str) -> None:
    schema = form(S3FolderRequest)["label_aliases"].schema
    for alias in (f"echo{character}", f"{character}echo", f"ec{character}ho"):
        with pytest.raises(CustomLabelsError) as caught:
            S3FolderRequest.parse({"label_aliases": {"echo": alias}})
        assert caught.value.code == "INVALID_PARAMETER"
        assert "$.label_aliases" in caught.value.message
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"echo": alias}, schema)
    # The name of a folder may be anything: an alias is how it gets a label.
    request = S3FolderRequest.parse({"label_aliases": {f"echo{character}": "Écho \U0001f600"}})
    placed = request.labelling("").place(f"{request.location.prefix}echo{character}/a.png")
    assert placed == (State.LABELLED, "Écho \U0001f600", Reason.IN_FOLDER)


@pytest.mark.parametrize("character", HARD)
def test_no_annotation_and_no_entry_has_one(character: str) -> None:
    label = f"ec{character}ho"
    for line in (boxed(IMAGE, label), {**image_level(IMAGE, "echo"), **renamed(image_level(IMAGE, "echo"), label)}):
        data = json.dumps(line).encode()
        read = GroundTruthLines(label_attribute="*", mending=Mending(), bucket="example-images").read(data, 1)
        assert (read.entry, read.reason) == (None, Reason.LABEL_NOT_ALLOWED)
        assert str(Code.ERROR_INVALID_LABEL_NAME) in read.detail
        _, row = read_row(data, 1, None)
        assert (row.state, row.reason, row.line) == (State.REJECTED, Reason.LABEL_NOT_ALLOWED, None)
        assert row.detail == f"ERROR_INVALID_LABEL_NAME: {label!r}"


@pytest.mark.parametrize("character", [each for each in HARD if each not in "\n\r"])
def test_no_row_of_a_csv_file_has_one(character: str) -> None:
    row: AnnotatedImage = read_csv_row(
        f'{IMAGE},"ec{character}ho"'.encode(),
        1,
        source_ref_of=lambda name: name,
        creation_date="2026-11-22T20:00:00",
        mending=Mending(),
    )
    assert (row.entry, row.reason) == (None, Reason.LABEL_NOT_ALLOWED)


@pytest.mark.parametrize("character", HARD)
def test_no_edit_and_no_folder_of_an_upload_has_one(character: str) -> None:
    label = f"ec{character}ho"
    with pytest.raises(CustomLabelsError) as caught:
        edit_line(json.dumps({"source-ref": IMAGE}).encode(), [AssignLabels(assign=(label,))], "2026-11-22T20:00:00")
    assert caught.value.code == Code.ERROR_INVALID_LABEL_NAME
    with pytest.raises(CustomLabelsError) as caught:
        check_folder(label)
    assert caught.value.code == "UPLOAD_NAME_REFUSED"


def renamed(line: dict[str, Any], label: str) -> dict[str, Any]:
    (name,) = (name for name in line if name.endswith("-metadata"))
    return {name: {**line[name], "class-name": label}}


@given(st.text(min_size=1, max_size=10))
def test_the_pattern_of_an_alias_says_what_the_rule_says(label: str) -> None:
    schema = form(S3FolderRequest)["label_aliases"].schema
    assert (jsonschema.Draft7Validator(schema).is_valid({"echo": label})) is is_allowed(label)
