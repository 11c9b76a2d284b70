"""The quick way through the validator and the full one agree, on lines that are valid, odd and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.findings import Finding
from include.custom_labels.line_rules import ImageFacts
from include.custom_labels.validation import ManifestValidator
from include.custom_labels.validation_results import ValidationResult
from tests.custom_labels.manifest_lines import boxes_pair, label_pair

names = st.sampled_from(["label-0", "echo", "echo dot", "é", "errors", "cl", "x-metadata", "a", "a-metadata"])
label_texts = st.sampled_from(["echo", "dot", "é", "\N{MICROSCOPE}"]) | st.sampled_from(["", "x" * 256, "a\nb", "\x00"])
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
dates = st.sampled_from(
    [
        "2026-11-22T20:00:00",
        "2020-03-06T17:46:39.176",
        "2013-11-18 02:53:27",
        "2026-11-22T20:00:00Z",
        "2026-11-22T20:00:00+01:00",
        "2026-11-22",
        "2026-11-22t20:00:00z",
        "2026-02-30T20:00:00",
        "soon",
        "",
    ]
)
source_refs = st.builds(
    "s3://{}/{}".format,
    st.sampled_from(["example-bucket", "example-bucket", "example-other", "no"]),
    st.sampled_from(["1.png", "2.png", "3.png", "4.png", "é \n.png", "", "/", "k" * 1024, "é" * 600, "\x00"]),
) | st.sampled_from(["", "https://example-bucket/a.png", "example-bucket/a.png"])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line that starts out valid and is then bent a little, or a lot."""
    line: dict[str, Any] = {"source-ref": draw(source_refs)}
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2, 3]))):
        pair = label_pair(draw(names), draw(label_texts), **{"creation-date": draw(dates)})
        line |= boxes_pair() if draw(st.sampled_from([True, *[False] * 9])) else pair
    if draw(st.booleans()):
        _bend(draw, line)
    if draw(st.sampled_from([True, False, False])):
        line = dict(draw(st.permutations(list(line.items()))))
    text = json.dumps(line, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([None, (",", ":")])))
    data = text.encode("utf-8", "surrogatepass")
    if draw(st.sampled_from([True, *[False] * 5])):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data.replace(b"\n", b"") + draw(st.sampled_from([b"", b"", b"\r", b" "]))


def _bend(draw: st.DrawFn, line: dict[str, Any]) -> None:
    members = [line, *(value for value in line.values() if isinstance(value, dict))]
    member = draw(st.sampled_from(members))
    name = draw(st.sampled_from([*member, "job-name", "errors", "cl-metadata", "unknown"]))
    if draw(st.booleans()):
        member.pop(name, None)
    else:
        member[name] = draw(scalars)


def validated(
    data: bytes, *, is_full: bool, on_finding: Callable[[Finding], None] | None = None, samples_per_code: int = 0
) -> ValidationResult:
    """With image facts every line takes the full way; these facts find fault with no image."""
    validator = ManifestValidator(
        region="us-east-1",
        image_facts=(lambda source_ref: ImageFacts(640, 480)) if is_full else None,
        on_finding=on_finding,
        samples_per_code=samples_per_code,
    )
    validator.feed(data)
    return validator.finish()


def summary(result: ValidationResult) -> dict[str, Any]:
    counts = {
        name: getattr(result, name)
        for name in (
            "size_bytes",
            "lines",
            "checked_lines",
            "valid_lines",
            "invalid_lines",
            "ignored_lines",
            "dropped_lines",
            "images_per_label",
            "declared_labels",
            "buckets",
            "use_case",
            "images",
        )
    }
    return counts | {"totals": dict(result.report.totals), "kept": list(result.report)}


@settings(max_examples=200, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=8))
def test_both_ways_agree(some: list[bytes]) -> None:
    # Valid lines come first, and every line twice: only what is known from before goes the quick way.
    known = [
        json.dumps({"source-ref": f"s3://example-bucket/known-{n}", **label_pair(label=label)}).encode()
        for n, label in enumerate(["echo", "dot", "é", "\N{MICROSCOPE}"])
    ]
    again = [line.replace(b".png", b".jpg") for line in reversed(some)]
    data = b"\n".join([*known, *some, *again])
    for samples in (0, 20):
        quick = validated(data, is_full=False, samples_per_code=samples)
        full = validated(data, is_full=True, samples_per_code=samples)
        assert summary(quick) == summary(full)


@settings(deadline=None)
@given(st.lists(lines(), min_size=1, max_size=8))
def test_every_finding_is_handed_out_on_both_ways(some: list[bytes]) -> None:
    quick: list[Finding] = []
    full: list[Finding] = []
    validated(b"\n".join(some), is_full=False, on_finding=quick.append)
    validated(b"\n".join(some), is_full=True, on_finding=full.append)
    assert quick == full


def test_usual_lines_do_go_the_quick_way() -> None:
    """Otherwise the properties above would hold for nothing."""
    known = {"source-ref": "s3://example-bucket/0", **label_pair(label="echo")}
    data = b"\n".join(json.dumps(known | {"source-ref": f"s3://example-bucket/{n}"}).encode() for n in range(50))
    validator = ManifestValidator(region="us-east-1")
    full_checks = []
    check = validator._check_fully
    validator._check_fully = lambda number, line: (full_checks.append(number), check(number, line))[1]  # type: ignore[method-assign]
    validator.feed(data)
    assert validator.finish().valid_lines == 50
    assert full_checks == [1]


def usual_line(key: str, label: str = "echo", **metadata: Any) -> bytes:
    line = {"source-ref": f"s3://example-bucket/{key}", **label_pair(label=label, **metadata)}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 230),
            st.sampled_from([0, 0, 1, 2, 10]),
            st.sampled_from(
                [b"", b'"', b"\\", b'\\"', b"}", b"{", b",", b"9", b"T", b"\x00", b"\t", b"\xff", b"\xc3\xa9"]
            ),
        ),
        min_size=1,
        max_size=2,
    )
)
def test_a_line_that_differs_a_little_from_a_usual_one(edits: list[tuple[int, int, bytes]]) -> None:
    bent = usual_line("bent.png")
    for at, length, put in edits:
        bent = bent[:at] + put + bent[at + length :]
    known = [usual_line(f"{number}.png") for number in range(3)]
    data = b"\n".join([*known, bent, usual_line("last.png"), bent])
    quick, full = (validated(data, is_full=is_full, samples_per_code=20) for is_full in (False, True))
    assert summary(quick) == summary(full)


def test_times_and_keys_of_a_shape_that_was_seen() -> None:
    times = ["23:59:59", "24:00:00", "12:60:00", "12:00:60", "1:00:00", "12:00:00Z", "ab:cd:ef"]
    keys = ["b c.png", "é.png", 'q".png', "back\\slash.png", "tab\t.png", "\N{IDEOGRAPHIC SPACE}.png", "", "k" * 1100]
    known = [usual_line(f"{number}.png") for number in range(3)]
    bent = [usual_line(f"t{time}.png", **{"creation-date": f"2026-11-22T{time}"}) for time in times]
    data = b"\n".join([*known, *bent, *map(usual_line, keys), usual_line("0.png")])
    quick, full = (validated(data, is_full=is_full, samples_per_code=50) for is_full in (False, True))
    assert summary(quick) == summary(full)
    assert quick.valid_lines < quick.lines
