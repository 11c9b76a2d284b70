from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.errors import ManifestError
from include.custom_labels.manifest import (
    canonical_creation_date,
    canonical_line,
    decode_line,
    image_level_lines,
    parse_line,
    split_source_ref,
    submission_line,
)
from include.custom_labels.objects import ObjectPage
from tests.custom_labels.manifest_lines import BUCKET, TIME, boxes_pair, label_pair, line_of


def page_of(*keys: str, time: str = TIME) -> ObjectPage:
    return ObjectPage(list(keys), [1] * len(keys), ["etag"] * len(keys), [time] * len(keys))


def encoded_one_by_one(page: ObjectPage, label: str | None) -> bytes:
    lines = []
    for key, time in zip(page.keys, page.last_modified, strict=True):
        line: dict[str, Any] = {"source-ref": f"s3://{BUCKET}/{key}"}
        if label is not None:
            line |= label_pair(label=label, **{"creation-date": time})
        lines.append(msgspec.json.encode(line) + b"\n")
    return b"".join(lines)


def test_a_labelled_line_byte_for_byte() -> None:
    assert image_level_lines(BUCKET, page_of("echo/é \N{MICROSCOPE}.png"), 0, 1, "echo").decode() == (
        '{"source-ref":"s3://example-bucket/echo/é \N{MICROSCOPE}.png","label-0":1,"label-0-metadata":'
        '{"class-name":"echo","confidence":1,"type":"groundtruth/image-classification",'
        '"human-annotated":"yes","creation-date":"2026-11-22T20:00:00"}}\n'
    )


def test_an_unlabelled_line_byte_for_byte() -> None:
    assert image_level_lines(BUCKET, page_of("a.png"), 0, 1, None) == (b'{"source-ref":"s3://example-bucket/a.png"}\n')


def test_only_the_range_is_encoded_and_an_empty_range_is_empty() -> None:
    page = page_of("a", "b", "c", "d")
    assert image_level_lines(BUCKET, page, 1, 3, None) == encoded_one_by_one(page.slice(1, 3), None)
    assert image_level_lines(BUCKET, page, 2, 2, "echo") == b""


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ['"', "\\", "\n", "\r", "\t", "\x00", "\x1f", "\x7f", "a\\u0000b", "%20+ #", "{key}", "\u2028", "\u202eabc"]
)


@settings(deadline=None)
@given(keys=st.lists(text, max_size=8), times=text, label=st.none() | text)
def test_the_fast_encoder_writes_what_the_plain_one_does(keys: list[str], times: str, label: str | None) -> None:
    page = page_of(*keys, time=times)
    assert image_level_lines(BUCKET, page, 0, len(keys), label) == encoded_one_by_one(page, label)


@settings(deadline=None)
@given(keys=st.lists(text, min_size=1, max_size=8), label=text)
def test_written_lines_are_canonical_and_read_back(keys: list[str], label: str) -> None:
    for key, data in zip(
        keys, image_level_lines(BUCKET, page_of(*keys), 0, len(keys), label).splitlines(keepends=True), strict=True
    ):
        line = parse_line(data)
        assert line.source_ref == f"s3://{BUCKET}/{key}"
        assert [each.metadata.class_name for each in line.labels] == [label]
        assert canonical_line(line) == data


def test_several_labels_and_boxes_are_read() -> None:
    line = parse_line(line_of(label_pair("sport0", "football"), label_pair("sport1", "tennis"), boxes_pair()))
    assert {each.metadata.class_name for each in line.labels} == {"football", "tennis"}
    (boxes,) = line.boxes
    assert boxes.attribute == "bounding-box"
    assert boxes.boxes.annotations[1].top == 65.5
    assert boxes.metadata.class_map == {"0": "Echo", "1": "Echo Dot"}


def test_a_label_text_as_attribute_name_may_end_in_metadata() -> None:
    line = parse_line(line_of(label_pair("x-metadata", "x-metadata"), label_pair("y", "y")))
    assert {each.attribute for each in line.labels} == {"x-metadata", "y"}


def test_equal_content_gives_equal_canonical_bytes() -> None:
    one = line_of(label_pair("sport0", "football"), label_pair("sport1", "tennis"), boxes_pair("BB"))
    other = json.dumps(
        {
            **boxes_pair("img_BB", **{"class-map": {"0": "Echo", "1": "Echo Dot"}}),
            **label_pair("tennis", "tennis", confidence=1.0),
            **label_pair("football", "football", **{"creation-date": "2026-11-22 21:00:00.250+01:00"}),
            "source-ref": f"s3://{BUCKET}/a.png",
        },
        indent=1,
    ).replace("\n", "")
    assert canonical_line(parse_line(one)) == canonical_line(parse_line(other.encode()))


def test_canonical_form_is_a_fixed_point() -> None:
    once = canonical_line(parse_line(line_of(boxes_pair(), label_pair("sport0", "football"))))
    assert canonical_line(parse_line(once)) == once
    assert once.startswith(b'{"source-ref":')
    assert once.endswith(b"}\n")
    assert b'"confidence":0.5' in once
    assert b'"left":86,' in once


def test_unsupported_attributes_are_named() -> None:
    line = parse_line(line_of(label_pair("ok"), label_pair("odd", type="groundtruth/label-verification")))
    assert line.unsupported == ("odd",)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ERROR_INVALID_JSON_LINE"),
        (b"[]", "ERROR_INVALID_JSON_LINE"),
        (b'{"source-ref":"s3://example-bucket/\xff"}', "ERROR_INVALID_JSON_LINE"),
        (b"[" * 100_000, "ERROR_INVALID_JSON_LINE"),
        (b"{}", "ERROR_MISSING_SOURCE_REF"),
        (b'{"source-ref":"https://example-bucket/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (b'{"source-ref":7}', "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (b'{"source-ref":"s3://example-bucket/a.png","echo":1}', "ERROR_NO_LABEL_ATTRIBUTES"),
        (line_of(label_pair() | {"label-0": 1.5}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"),
        (line_of(label_pair(type=None)), "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"),
    ],
)
def test_a_line_without_the_format_is_refused_with_its_code(data: bytes, code: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_line(data)
    assert caught.value.code == code
    assert caught.value.next_step


def test_what_the_service_wrote_is_stripped_and_the_rest_kept_in_place() -> None:
    reports = [{"code": "ERROR_INVALID_IMAGE", "message": "odd"}]
    boxes = boxes_pair()
    listed = {
        "source-ref": f"s3://{BUCKET}/a.png",
        **label_pair("echo"),
        "bounding-box": boxes["bounding-box"] | {"warnings": reports},
        "bounding-box-metadata": boxes["bounding-box-metadata"] | {"errors": reports},
        "errors": reports,
        "warnings": reports,
        "cl-errors": reports,
        "cl-metadata": {"is_labeled": True},
    }
    listed["bounding-box"]["annotations"] = [
        {**each, "errors": reports} for each in boxes["bounding-box"]["annotations"]
    ]
    sent = submission_line(json.dumps(listed).encode())
    assert json.loads(sent) == {"source-ref": f"s3://{BUCKET}/a.png", **label_pair("echo"), **boxes}
    assert list(json.loads(sent))[:2] == ["source-ref", "echo"]
    assert submission_line(sent) == sent


@pytest.mark.parametrize("name", ["errors", "warnings", "cl-1", "cl"])
def test_a_label_named_like_a_service_member_survives(name: str) -> None:
    data = line_of(label_pair(name, name))
    assert json.loads(submission_line(data)) == json.loads(data)


def test_a_class_named_errors_survives() -> None:
    data = line_of(boxes_pair(**{"class-map": {"0": "errors", "1": "warnings"}}))
    assert json.loads(submission_line(data)) == json.loads(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T20:00:00", TIME),
        ("2026-11-22T20:00:00.528256", TIME),
        ("2026-11-22T20:00:00Z", TIME),
        ("2026-11-22 20:00:00", TIME),
        ("2026-11-22T22:00:00+02:00", TIME),
        ("2026-11-22", None),
        ("yesterday at noon", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ],
)
def test_creation_dates(text: str, expected: str | None) -> None:
    assert canonical_creation_date(text) == expected


@pytest.mark.parametrize(
    ("source_ref", "expected"),
    [
        ("s3://example-bucket/a.png", ("example-bucket", "a.png")),
        ("s3://example-bucket//a//b", ("example-bucket", "/a//b")),
        ("s3://example-bucket/a\nb %20+#?", ("example-bucket", "a\nb %20+#?")),
        ("s3://example-bucket/" + "é" * 512, ("example-bucket", "é" * 512)),
        ("s3://example-bucket/" + "é" * 513, None),
        ("s3://example-bucket/", None),
        ("s3://example-bucket", None),
        ("s3:///a.png", None),
        ("s3://ab/a.png", None),
        ("s3://example bucket/a.png", None),
        ("S3://example-bucket/a.png", None),
        ("https://example-bucket/a.png", None),
        (" s3://example-bucket/a.png", None),
        ("", None),
    ],
)
def test_source_refs(source_ref: str, expected: tuple[str, str] | None) -> None:
    assert split_source_ref(source_ref) == expected


def test_why_a_line_is_no_object() -> None:
    assert decode_line(b" \r") == "blank line"
    assert decode_line(b"\xef\xbb\xbf{}") == "starts with a byte order mark"
    assert decode_line(b"7") == "not a JSON object"
