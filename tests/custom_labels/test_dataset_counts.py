"""What a dataset holds, counted fast and as read slowly."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_counts import DatasetCounts, check_counts
from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import ManifestError
from include.custom_labels.history import identity
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.manifest import parse_line
from include.custom_labels.quotas import MAX_LABELS, MAX_MANIFEST_BYTES, DatasetType
from tests.custom_labels.manifest_lines import BUCKET, boxes_pair, label_pair, line_of


def ref(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def counted(lines: Iterable[bytes], etag: str = "") -> DatasetCounts:
    counts = DatasetCounts()
    for line in lines:
        counts.add(line, etag)
    return counts


ECHO = line_of(label_pair(), source_ref=ref("a.png"))
LINES = [
    ECHO,
    line_of(label_pair(), label_pair("label-1", "dot"), source_ref=ref("b.png")),
    line_of(label_pair(label="Echo"), boxes_pair(), source_ref=ref("c.png")),
    line_of(source_ref=ref("d.png")),
]


def test_what_the_service_tells_of_the_same_lines() -> None:
    counts = counted(LINES)
    assert (counts.entries, counts.labelled) == (4, 3)
    # The image-level label of the third line is that of one of its boxes, and counts once.
    assert counts.images_per_label == {"Echo": 1, "Echo Dot": 1, "dot": 1, "echo": 2}
    assert counts.size_bytes == sum(len(line) + 1 for line in LINES)
    assert counted(line + b"\n" for line in LINES).size_bytes == counts.size_bytes


def test_nothing() -> None:
    counts = counted([])
    assert (counts.entries, counts.labelled, counts.size_bytes, counts.images_per_label) == (0, 0, 0, {})
    assert counts.content_sha256 == counted([]).content_sha256


def test_lines_are_read_once() -> None:
    contents = LineContents()
    counts = DatasetCounts(contents)
    for line in LINES:
        assert counts.add(line) == contents.read(line)[1]
    again = DatasetCounts()
    for line in LINES:
        again.add_content(*contents.read(line), line_size_bytes=len(line) + 1)
    assert again.content_sha256 == counts.content_sha256
    assert again.size_bytes == counts.size_bytes


@pytest.mark.parametrize(
    "line",
    [
        line_of(label_pair(**{"creation-date": "2020-01-01T00:00:00"}), source_ref=ref("a.png")),
        line_of(label_pair("other-name", **{"job-name": "a job"}), source_ref=ref("a.png")),
        line_of(label_pair(), {"errors": [{"code": "ERROR_INVALID_IMAGE"}]}, source_ref=ref("a.png")),
        line_of(label_pair(), source_ref=ref("custom-labels-history/v1/a.png")),
        json.dumps(json.loads(ECHO), separators=(",", ":")).encode(),
    ],
    ids=["date", "names", "errors", "place", "blanks"],
)
def test_the_digest_steps_over_how_a_line_is_written(line: bytes) -> None:
    assert counted([line], "e1").content_sha256 == counted([ECHO], "e1").content_sha256


def test_the_digest_tells_content_apart() -> None:
    other = line_of(label_pair(label="dot"), source_ref=ref("a.png"))
    elsewhere = line_of(label_pair(), source_ref=ref("b.png"))
    digests = [
        counted(lines, etag).content_sha256
        for lines in ([], [ECHO], [other], [elsewhere], [ECHO, elsewhere])
        for etag in ("e1", "e2", "")
    ]
    assert len(set(digests)) == len(digests) - 2


def test_an_image_that_is_there_twice_has_no_order() -> None:
    old = line_of(label_pair(label="dot"), source_ref=ref("custom-labels-history/v1/a.png"))
    assert counted([ECHO, old]).content_sha256 == counted([old, ECHO]).content_sha256
    assert counted([ECHO, old]).content_sha256 != counted([ECHO]).content_sha256
    assert counted([ECHO, ECHO]).content_sha256 != counted([ECHO]).content_sha256


def test_lines_out_of_order_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"a\.png' comes after 's3://example-bucket/b\.png"):
        counted([LINES[1], LINES[0]])


parts = st.one_of(
    st.just([]),
    st.lists(st.sampled_from(["echo", "dot", "", "é\n"]), max_size=3).map(
        lambda labels: [label_pair(f"label-{at}", label) for at, label in enumerate(labels)]
    ),
    st.just([boxes_pair()]),
    st.just([label_pair(), boxes_pair(**{"class-map": {"1": "echo"}})]),
    st.just([{"half": 1}]),
    st.just([{"odd": 1, "odd-metadata": {"type": "other"}}]),
    st.just([{"errors": ["ERROR_INVALID_IMAGE"], "cl-metadata": {}}]),
)
keys = st.text(st.sampled_from('ab/é"\\'), min_size=1, max_size=4)
any_lines = st.lists(
    st.builds(
        lambda key, more, compact: json.dumps(
            json.loads(line_of(*more, source_ref=ref(key))),
            separators=(",", ":") if compact else None,
            ensure_ascii=not compact,
        ).encode(),
        keys,
        parts,
        st.booleans(),
    )
    | st.sampled_from([b"{}", b"", b"[1]", b'{"source-ref": "x"}']),
    max_size=10,
)


@given(any_lines, st.sampled_from(["", "e1"]))
def test_counting_fast_agrees_with_reading_slowly(lines: Sequence[bytes], etag: str) -> None:
    lines = sorted(lines, key=lambda line: identity(read_entry(line)[0]))
    fast, slow = counted(lines, etag), DatasetCounts()
    entries = [read_entry(line) for line in lines]
    labels: Counter[str] = Counter()
    for line, (source_ref, entry) in zip(lines, entries, strict=True):
        slow.add_content(identity(source_ref), Content(entry.content, ()), line_size_bytes=len(line) + 1, etag=etag)
        try:
            parsed = parse_line(line)
        except ManifestError:
            continue
        labels.update(
            {label.metadata.class_name for label in parsed.labels}
            | {
                each.metadata.class_map[str(box.class_id)]
                for each in parsed.boxes
                for box in each.boxes.annotations
                if str(box.class_id) in each.metadata.class_map
            }
        )
    assert fast.content_sha256 == slow.content_sha256
    assert (fast.entries, fast.size_bytes) == (slow.entries, slow.size_bytes)
    assert fast.labelled == sum(entry.is_labelled for _, entry in entries)
    assert fast.images_per_label == labels


def test_a_quarter_of_a_million_lines_take_seconds() -> None:
    lines = [
        line_of(label_pair(label=f"label {at % 250}"), source_ref=ref(f"label {at % 250}/{at:06}.png"))
        for at in range(1_000)
    ]
    ordered = [line.replace(b"/label", b"/%03d/label" % times) for times in range(250) for line in sorted(lines)]
    before = time.process_time()
    counts = counted(ordered, "0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d")
    assert time.process_time() - before < 15
    assert (counts.entries, len(counts.images_per_label)) == (250_000, 250)


def several(entries: int = 1, size_bytes: int = 100, labels: Sequence[str] = ("echo",)) -> DatasetCounts:
    counts = counted([])
    for at, label in enumerate(labels):
        counts.add_content(f"{at:09}", Content(b"", (label,)), line_size_bytes=0)
    counts.entries, counts.size_bytes = entries, size_bytes
    return counts


def names(count: int) -> list[str]:
    return [f"label {at:03}" for at in range(count)]


@pytest.mark.parametrize(
    ("region", "dataset_type", "images"),
    [
        ("us-east-1", "TRAIN", 250_000),
        ("us-east-1", "TEST", 250_000),
        ("eu-west-2", "TRAIN", 28_000),
        ("eu-west-2", "TEST", 7_000),
    ],
)
def test_images_are_counted_to_the_limit(region: str, dataset_type: DatasetType, images: int) -> None:
    check_counts(several(images), region=region, dataset_type=dataset_type)
    with pytest.raises(ManifestError) as refused:
        check_counts(several(images + 1), region=region, dataset_type=dataset_type)
    assert refused.value.code == "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM"
    assert refused.value.message == (
        f"The dataset would have {images + 1:,} images, and {images:,} is the maximum of a {dataset_type.lower()} "
        f"dataset in {region}. Entries of other imports count, too."
    )


def test_bytes_are_counted_to_the_limit() -> None:
    limit = MAX_MANIFEST_BYTES.value
    check_counts(several(size_bytes=limit), region="us-east-1", dataset_type="TRAIN")
    with pytest.raises(ManifestError, match="ERROR_MANIFEST_SIZE_TOO_LARGE"):
        check_counts(several(size_bytes=limit + 1), region="us-east-1", dataset_type="TRAIN")


def test_labels_are_counted_to_the_limit_and_peoples_are_named() -> None:
    limit = MAX_LABELS.value
    check_counts(several(labels=names(limit)), region="us-east-1", dataset_type="TRAIN", source_labels=["label 000"])
    too_many = several(labels=[*names(limit - 1), "by a person", "by another"])
    with pytest.raises(ManifestError) as refused:
        check_counts(too_many, region="us-east-1", dataset_type="TRAIN", source_labels=names(limit))
    assert refused.value.code == "ERROR_MANIFEST_TOO_MANY_LABELS"
    assert "2 of them are not in the source, but from people or other imports: by a person, by another." in str(
        refused.value
    )
    with pytest.raises(ManifestError) as unknown:
        check_counts(too_many, region="us-east-1", dataset_type="TRAIN")
    assert "people" not in str(unknown.value)


@pytest.mark.parametrize(
    ("held", "others", "said"),
    [
        (["a", "b"], [], "2 of them are only on images that `removals: hold` keeps in the dataset: a, b. Let the run"),
        (["a"], ["b"], "keeps in the dataset: a. 1 of them is not in the source, but from people or other imports: b."),
    ],
)
def test_labels_that_are_held_are_told_from_those_of_people(held: list[str], others: list[str], said: str) -> None:
    source = names(MAX_LABELS.value - 1)
    too_many = several(labels=[*source, *held, *others])
    with pytest.raises(ManifestError) as refused:
        check_counts(too_many, region="us-east-1", dataset_type="TRAIN", source_labels=source, held_labels=held)
    assert said in str(refused.value)
    assert refused.value.details["labels_not_in_source"] == others
