"""Reading fast gives what decoding gives."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import ManifestError
from include.custom_labels.history import identity
from include.custom_labels.line_contents import LineContents
from include.custom_labels.manifest import parse_line
from tests.custom_labels.manifest_lines import BUCKET, boxes_pair, label_pair, line_of


def compact(line: bytes) -> bytes:
    return json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False).encode()


def ref(key: str, bucket: str = BUCKET) -> str:
    return f"s3://{bucket}/{key}"


LINES = [
    line_of(source_ref=ref("a.png")),
    line_of(label_pair(), source_ref=ref("a.png")),
    line_of(label_pair(**{"creation-date": "2020-01-01T00:00:00"}), source_ref=ref("b.png")),
    line_of(label_pair(**{"creation-date": "2020-01-01T00:00:00.123Z"}), source_ref=ref("c.png")),
    line_of(label_pair(**{"creation-date": "long ago"}), source_ref=ref("c.png")),
    line_of(label_pair(**{"job-name": "a job"}), source_ref=ref("d.png")),
    line_of(label_pair(), label_pair("label-1", "dot"), source_ref=ref("e.png")),
    line_of(label_pair(label='say "é" \\'), source_ref=ref("e.png")),
    line_of(label_pair(label="source-ref"), source_ref=ref("f.png")),
    line_of(boxes_pair(), source_ref=ref("g.png")),
    line_of(boxes_pair(**{"class-map": {"1": "Echo Dot"}}), source_ref=ref("g.png")),
    line_of(label_pair(), source_ref=ref("h.png", "example-other")),
    line_of(label_pair(), source_ref=ref('"quoted\\".png')),
    line_of(label_pair(), source_ref=ref("é/😀.png")),
    line_of(label_pair(), source_ref=ref("")),
    line_of(label_pair(), source_ref=ref("k" * 1024)),
    line_of(label_pair(), source_ref=ref("k" * 1025)),
    line_of(label_pair(), source_ref=ref("x/custom-labels-history/v1/x/echo/a.png")),
    line_of(label_pair(), source_ref="https://example.com/a.png"),
    line_of(label_pair(), {"source-ref": ref("second.png")}),
    line_of({"half-metadata": {}}, source_ref=ref("i.png")),
    line_of(boxes_pair() | {"bounding-box": {"image_size": [{"width": 9, "height": 9, "depth": 3}]}}),
    line_of({"part": 1, "part-metadata": {"type": "groundtruth/other"}}, source_ref=ref("j.png")),
    line_of({"broken": 1, "broken-metadata": {}}, source_ref=ref("k.png")),
    line_of({"cl-metadata": {"is-skipped": False}}, source_ref=ref("l.png")),
    line_of(label_pair("cl", ""), source_ref=ref("m.png")),
]
EXTRA = [
    compact(LINES[1]).replace(b'{"source-ref"', b'{"source-ref":"s3://example-bucket/z.png","source-ref"'),
    compact(LINES[1])[:-1] + b',"source-ref":"s3://example-bucket/z.png"}',
    compact(LINES[1])[:-1] + b',"source\\u002dref":"s3://example-bucket/z.png"}',
    compact(LINES[1]).replace(b'"2026-11-22T20:00:00"', b"\0"),
    compact(LINES[1]).replace(b'"creation-date":"2026-11-22T20:00:00"', b"\0"),
    compact(LINES[1]).replace(b'"creation-date":"2026-11-22T20:00:00"', b""),
    compact(LINES[1]).replace(b"T20:00:00", b'T20"00:00'),
    compact(LINES[1]).replace(b"/a.png", b"/\x01.png"),
    compact(LINES[1]).replace(b"/a.png", b"/\xff.png"),
    compact(LINES[1]).replace(b"/a.png", b"/\\ud800.png"),
    compact(LINES[1]) + b"\r",
    compact(LINES[1]) + b"}",
    b" " + compact(LINES[1]),
    b"",
    b"{}",
    b"[1]",
    b"\xef\xbb\xbf" + compact(LINES[1]),
]
ALL = [*LINES, *map(compact, LINES), *EXTRA]


def decoded(line: bytes) -> tuple[str, bytes, tuple[str, ...], bool]:
    """The same, read slowly."""
    source_ref, entry = read_entry(line)
    labels: set[str] = set()
    try:
        parsed = parse_line(line)
    except ManifestError:
        pass
    else:
        labels.update(label.metadata.class_name for label in parsed.labels)
        for _, boxes, metadata in parsed.boxes:
            ids = {str(box.class_id) for box in boxes.annotations}
            labels.update(label for id_, label in metadata.class_map.items() if id_ in ids)
    return identity(source_ref), entry.content, tuple(sorted(labels)), entry.is_labelled


def read(contents: LineContents, line: bytes) -> tuple[str, bytes, tuple[str, ...], bool]:
    name, content = contents.read(line)
    return name, content.digest, content.labels, content.is_labelled


@pytest.mark.parametrize("times", [1, 2])
def test_lines_of_every_kind(times: int) -> None:
    contents = LineContents()
    for line in ALL * times:
        assert read(contents, line) == decoded(line), line


mutations = st.builds(
    lambda line, at, cut, more: line[: at % (len(line) + 1)] + more + line[at % (len(line) + 1) + cut :],
    st.sampled_from(ALL),
    st.integers(0, 400),
    st.integers(0, 3),
    st.sampled_from([b"", b'"', b"\\", b"}", b"{", b",", b"\0", b"0", b"a", b'":"', b"\xff", b" "]),
)


@given(st.lists(st.one_of(st.sampled_from(ALL), mutations), max_size=8))
def test_reading_fast_agrees_with_decoding(lines: list[bytes]) -> None:
    contents = LineContents()
    # The usual shapes are known, so that whatever is taken for one of them is found out.
    for line in [*map(compact, LINES), *lines]:
        assert read(contents, line) == decoded(line)


@given(st.lists(st.one_of(st.sampled_from(list(map(compact, LINES[:4]))), st.sampled_from(ALL), mutations), min_size=1))
def test_reading_many_at_once_agrees_with_decoding(lines: list[bytes]) -> None:
    lines = sorted((line for line in lines if b"\n" not in line), key=lambda line: decoded(line)[0])
    run = LineContents().read_run(b"".join(line + b"\n" for line in lines)) if lines else None
    if run is None:
        return
    expected = [decoded(line) for line in lines]
    assert [address.decode() for address in run.addresses] == [name for name, *_ in expected]
    found: Counter[tuple[bytes, tuple[str, ...], bool]] = Counter()
    for content, count in run.contents:
        found[content.digest, content.labels, content.is_labelled] += count
    assert found == Counter((digest, labels, is_labelled) for _, digest, labels, is_labelled in expected)


def usual_lines(count: int) -> list[bytes]:
    pairs = ([label_pair(label=f"label {at % 3}")] if at % 7 else [] for at in range(count))
    return [compact(line_of(*pair, source_ref=ref(f"{at:05}.png"))) for at, pair in enumerate(pairs)]


def test_usual_lines_are_read_at_once() -> None:
    run = LineContents().read_run(b"".join(line + b"\n" for line in usual_lines(100)))
    assert run is not None
    assert len(run.addresses) == 100
    assert sum(count for _, count in run.contents) == 100
    assert {content.labels for content, _ in run.contents} == {(), ("label 0",), ("label 1",), ("label 2",)}


USUAL = compact(line_of(label_pair(label="label 1"), source_ref=ref("00002.png")))


@pytest.mark.parametrize("at", [0, 2, 4])
@pytest.mark.parametrize(
    "spoilt",
    [
        USUAL.replace(b'"creation-date":"2026-11-22T20:00:00"', b"\0"),
        USUAL.replace(b"T20:00:00", b'T20"00:00'),
        USUAL.replace(b'T20:00:00"', b'T20:00"000'),
        USUAL.replace(b"T20:00:00", b"T20:00"),
        USUAL.replace(b"T20:00:00", b"T20:00:00Z"),
        USUAL.replace(b"source-ref", b"source-REF"),
        USUAL.replace(b"/0", b"/\\u0030"),
        USUAL.replace(b"/0", b"/\x01"),
        USUAL.replace(b"/0", b"/\xff"),
        USUAL.replace(b"/0", b"/custom-labels-history/v/0"),
        USUAL.replace(b"/0", b"/" + b"k" * 1020 + b"0"),
        USUAL.replace(b"example-bucket", b"example-bucket-2"),
        USUAL.replace(b"example-bucket", b"example"),
        USUAL.replace(b"/00002.png", b"/"),
        USUAL.replace(b'":"s3', b'": "s3'),
        b"x" + USUAL,
        USUAL + b"x",
        USUAL[:-1],
        b"",
    ],
)
def test_a_single_unusual_line_is_found_among_usual_ones(spoilt: bytes, at: int) -> None:
    contents = LineContents()
    lines = [USUAL.replace(b"00002", b"%05d" % number) for number in range(5)]
    for line in [USUAL, compact(line_of(source_ref=ref("a.png")))]:
        contents.read(line)
    assert contents.read_run(b"".join(line + b"\n" for line in lines)) is not None
    lines[at] = spoilt.replace(b"00002", b"%05d" % at)
    assert contents.read_run(b"".join(line + b"\n" for line in lines)) is None


@pytest.mark.parametrize("name", [b"source-ref", b"source\\u002dref"])
def test_a_source_ref_that_is_given_twice_is_not_learned(name: bytes) -> None:
    contents = LineContents()
    first = compact(line_of(label_pair(), source_ref=ref("a.png")))
    twice = first[:-1] + b',"' + name + b'":"s3://example-bucket/a.png"}'
    for line in [first, twice, twice.replace(b"/a.png", b"/b.png", 1)]:
        assert read(contents, line) == decoded(line)


@pytest.mark.parametrize("spoil", [lambda lines: lines[::-1], lambda lines: [*lines, lines[-1]]])
def test_lines_out_of_order_are_not(spoil: object) -> None:
    assert callable(spoil)
    assert LineContents().read_run(b"".join(line + b"\n" for line in spoil(usual_lines(10)))) is None


def test_shapes_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.custom_labels.line_contents._SHAPES_MAX", 2)
    contents = LineContents()
    for line in [*usual_lines(20), *usual_lines(20)]:
        assert read(contents, line) == decoded(line)


def test_what_a_line_says_is_told_apart() -> None:
    contents = LineContents()
    nested = boxes_pair()
    nested["bounding-box"]["annotations"][0]["errors"] = [{"code": "ERROR_INVALID_BOUNDING_BOX"}, "OTHER"]
    nested["bounding-box-metadata"]["cl-errors"] = [{"code": "ERROR_MISSING_CLASS_MAP_ID"}]
    line = line_of(label_pair(), nested, {"errors": [{"code": "ERROR_INVALID_IMAGE"}] * 2}, source_ref=ref("a.png"))
    for each in (line, compact(line), compact(line)):
        _, content = contents.read(each)
        assert (content.labels, content.image_labels) == (("Echo", "Echo Dot", "echo"), ("echo",))
        assert (content.box_labels, content.boxes, content.size) == (("Echo", "Echo Dot"), 2, (640, 480))
        assert sorted(content.errors) == [
            "ERROR_INVALID_BOUNDING_BOX",
            "ERROR_INVALID_IMAGE",
            "ERROR_MISSING_CLASS_MAP_ID",
            "OTHER",
        ]
    # A label of that name is none.
    _, content = contents.read(compact(line_of(label_pair(label="errors"), source_ref=ref("a.png"))))
    assert (content.errors, content.labels) == ((), ("errors",))
    assert contents.read(b"no JSON")[1].errors != ()
