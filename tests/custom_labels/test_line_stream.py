from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.line_stream import LineStream

LINES = [b"%0250d" % at for at in range(100)]


def stream_of(lines: list[bytes]) -> LineStream:
    return LineStream("first", [b"".join(line + b"\n" for line in lines)])


def read_all(stream: LineStream) -> list[bytes]:
    lines = []
    while stream.line is not None:
        lines.append(stream.line)
        stream.step()
    stream.step()
    return lines


@given(st.binary(max_size=40), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(data: bytes, size: int) -> None:
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    stream = LineStream("first", chunks)
    lines = data.split(b"\n")
    assert read_all(stream) == (lines if lines[-1] else lines[:-1])
    assert stream.number == 1 + len(lines) - (not lines[-1])


@pytest.mark.parametrize("other_at", [0, 1, 4, 5, 50, 98, 99])
@pytest.mark.parametrize("skipped", [0, 3])
def test_a_common_block_ends_where_the_lines_differ(other_at: int, skipped: int) -> None:
    others = [*LINES[:other_at], b"other", *LINES[other_at + 1 :]]
    ours, theirs = stream_of(LINES), stream_of([b"more", *others])
    theirs.step()
    for stream in (ours, theirs):
        stream.skip(b"".join(line + b"\n" for line in LINES[: min(skipped, other_at)]))
    block = ours.common_block(theirs)
    assert block == b"".join(line + b"\n" for line in LINES[min(skipped, other_at) : other_at])
    for stream in (ours, theirs):
        stream.skip(block)
    assert (ours.line, theirs.line) == (LINES[other_at], b"other")
