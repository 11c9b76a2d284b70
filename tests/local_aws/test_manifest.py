from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.local_aws.manifest import Drop, Entry, read_line, split_lines
from tests.local_aws.samples import labelled


@pytest.mark.parametrize(
    ("raw", "drop"),
    [
        (b"", Drop.INVALID_CONTENTS),
        (b"{", Drop.INVALID_CONTENTS),
        (b"[]", Drop.INVALID_CONTENTS),
        (b'{"source-ref": NaN}', Drop.INVALID_CONTENTS),
        (b'{"source-ref": "s3://example-images/\xff"}', Drop.INVALID_CONTENTS),
        (b'{"source-ref": "s3://example-images/\\ud800"}', Drop.INVALID_CONTENTS),
        (b"{}", Drop.MISSING_SOURCE_REF),
        (b'{"Source-Ref": "s3://example-images/a"}', Drop.MISSING_SOURCE_REF),
        (b'{"source-ref": 1}', Drop.MALFORMED_SOURCE_REF),
        (b'{"source-ref": "https://example-images/a"}', Drop.MALFORMED_SOURCE_REF),
        (b'{"source-ref": "s3://example-images"}', Drop.MALFORMED_SOURCE_REF),
        (b'{"source-ref": "s3://example-images/"}', Drop.MALFORMED_SOURCE_REF),
        (b'{"source-ref": "s3:///a"}', Drop.MALFORMED_SOURCE_REF),
        (b'{"source-ref": "s3://example-images/' + b"k" * 1025 + b'"}', Drop.MALFORMED_SOURCE_REF),
        (json.dumps({"source-ref": "s3://example-images/a", "x": "y" * 100_000}).encode(), Drop.TOO_LONG),
    ],
)
def test_lines_that_are_dropped(raw: bytes, drop: Drop) -> None:
    assert read_line(raw) is drop


@pytest.mark.parametrize("length", [99_990, 100_000])
def test_a_line_up_to_the_limit_is_kept_and_shown_within_it(length: int) -> None:
    empty = json.dumps({"source-ref": "s3://example-images/a", "x": ""}, separators=(",", ":"))
    line = empty.replace('""', '"' + "é" * (length - len(empty)) + '"')
    assert len(line) == length
    entry = read_line(line.encode())
    assert isinstance(entry, Entry)
    assert len(entry.text()) <= 100_000


def test_an_entry_shows_the_line_and_whether_it_is_labelled() -> None:
    line = labelled("a b/ü+%20#\u200b.png", "Cup")
    entry = read_line(json.dumps(line).encode())
    assert isinstance(entry, Entry)
    assert json.loads(entry.text()) == line | {"cl-metadata": {"is_labeled": True}}
    assert entry.key == "a b/ü+%20#\u200b.png"
    assert "\\u" not in entry.text()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)), st.data())
def test_lines_do_not_depend_on_how_the_body_arrives(lines: list[str], data: st.DataObject) -> None:
    body = b"".join(line.encode() + data.draw(st.sampled_from([b"\n", b"\r\n"])) for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert [line.decode() for line in split_lines(chunks)] == lines


def test_a_last_line_needs_no_end_and_blank_lines_are_lines() -> None:
    assert list(split_lines([b"a\n\nb"])) == [b"a", b"", b"b"]
    assert list(split_lines([])) == []
