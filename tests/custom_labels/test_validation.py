"""A manifest as a whole: counts, repeated images, limits, and the training dataset beside the test dataset."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest

from include.custom_labels.codes import Code
from include.custom_labels.findings import Finding
from include.custom_labels.line_rules import ImageFacts
from include.custom_labels.quotas import DatasetType
from include.custom_labels.validation import ManifestValidator, validate_manifest
from include.custom_labels.validation_results import ValidationResult, compare_datasets
from tests.custom_labels.manifest_lines import BUCKET, boxes_pair, label_pair, line_of

REGION = "us-east-1"


def image(number: int, label: str | None = "echo", bucket: str = BUCKET) -> bytes:
    pairs = [] if label is None else [label_pair(label=label)]
    return line_of(*pairs, source_ref=f"s3://{bucket}/{number}.png")


def result_of(lines: Iterable[bytes], dataset_type: DatasetType = "TRAIN", region: str = REGION) -> ValidationResult:
    return validate_manifest((line + b"\n" for line in lines), region=region, dataset_type=dataset_type)


def dataset_codes(result: ValidationResult) -> list[str]:
    return [finding.code.value for finding in result.dataset_findings]


TWO_LABELS = [image(-1, "echo"), image(-2, "dot")]


def test_a_clean_manifest() -> None:
    result = result_of([image(1, "echo"), image(2, "dot"), image(3, "dot")])
    assert list(result.report) == []
    assert (result.lines, result.valid_lines, result.invalid_lines, result.ignored_lines) == (3, 3, 0, 0)
    assert result.images_per_label == {"dot": 2, "echo": 1}
    assert result.declared_labels == {"dot", "echo"}
    assert result.buckets == {BUCKET: 3}
    assert result.use_case == "IMAGE_LEVEL_LABELS"
    assert result.is_usable
    assert not result.has_errors


@pytest.mark.parametrize("step", [1, 2, 7, 100, 10_000])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_pieces_may_be_cut_anywhere(step: int, end: bytes) -> None:
    data = b"\n".join([image(1, "echo"), b"", image(2, "dot") + b"\r", b"{", image(1), image(3, None)]) + end
    found: list[Finding] = []
    validator = ManifestValidator(region=REGION, on_finding=found.append)
    for start in range(0, len(data), step):
        validator.feed(data[start : start + step])
    result = validator.finish()
    assert result.size_bytes == len(data)
    assert result.lines == 6
    assert [(each.code.value, each.line_number) for each in found if each.line_number] == [
        ("ERROR_INVALID_JSON_LINE", 2),
        ("ERROR_INVALID_JSON_LINE", 4),
        ("ERROR_DUPLICATE_SOURCE_REF", 5),
        ("WARNING_UNANNOTATED_RECORD", 6),
    ]
    assert (result.valid_lines, result.invalid_lines, result.ignored_lines, result.dropped_lines) == (2, 3, 1, 3)


def test_a_repeated_image_is_found_whatever_its_lines_look_like() -> None:
    repeated = image(7, "echo")
    result = result_of([*TWO_LABELS, repeated, repeated, line_of(boxes_pair(), source_ref=f"s3://{BUCKET}/7.png")])
    found = result.report.samples(Code.ERROR_DUPLICATE_SOURCE_REF)
    assert [(each.line_number, each.source_ref) for each in found] == [
        (4, f"s3://{BUCKET}/7.png"),
        (5, f"s3://{BUCKET}/7.png"),
    ]
    assert {each.detail for each in found} == {"first on line 3"}
    assert result.dropped_lines == 2
    assert result.images_per_label == {"dot": 1, "echo": 2}


def test_a_repeated_image_is_reported_as_nothing_else() -> None:
    result = result_of([*TWO_LABELS, image(1), line_of({"half": 1}, source_ref=f"s3://{BUCKET}/1.png")])
    assert result.report.totals[Code.ERROR_DUPLICATE_SOURCE_REF] == 1
    assert Code.ERROR_NO_LABEL_ATTRIBUTES not in result.report.totals


def test_names_that_look_alike_are_different_images_and_labels() -> None:
    names = ["é", "e\N{COMBINING ACUTE ACCENT}", "E", "e", "e ", "%65"]
    result = result_of([line_of(label_pair(label=n), source_ref=f"s3://{BUCKET}/{n}") for n in names])
    assert list(result.report) == []
    assert result.images_per_label == dict.fromkeys(sorted(names), 1)


def test_several_labels_of_an_image_count_once_each() -> None:
    lines = [
        line_of(
            label_pair("a", "echo"),
            label_pair("b", "dot"),
            label_pair("c", "echo"),
            source_ref=f"s3://{BUCKET}/{number}",
        )
        for number in range(3)
    ]
    assert result_of(lines).images_per_label == {"dot": 3, "echo": 3}


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \n\n"])
def test_an_empty_manifest_is_unusable(data: bytes) -> None:
    result = validate_manifest([data], region=REGION)
    assert dataset_codes(result) == ["ERROR_EMPTY_MANIFEST"]
    assert not result.is_usable


@pytest.mark.parametrize(("bad", "is_usable"), [(20, True), (21, False)])
@pytest.mark.parametrize("kind", ["blank", "json", "attribute", "image"])
def test_over_a_fifth_of_invalid_lines_is_refused(bad: int, is_usable: bool, kind: str) -> None:
    def bad_line(number: int) -> bytes:
        match kind:
            case "blank":
                return b""
            case "json":
                return b"{"
            case "attribute":
                return line_of({"half": 1}, source_ref=f"s3://{BUCKET}/bad{number}")
            case _:
                return line_of(label_pair(), source_ref=f"s3://{BUCKET}/missing{number}")

    lines = [image(n, "echo" if n % 2 else "dot") for n in range(100 - bad)] + [bad_line(n) for n in range(bad)]
    result = validate_manifest(
        [b"\n".join(lines) + b"\n"],
        region=REGION,
        image_facts=lambda source_ref: None if "missing" in source_ref else ImageFacts(640, 480),
    )
    assert (result.lines, result.invalid_lines) == (100, bad)
    assert result.is_usable is is_usable
    assert ("ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST" in dataset_codes(result)) is not is_usable
    is_dropped = kind in ("blank", "json")
    assert ("ERROR_TOO_MANY_RECORDS_IN_ERROR" in dataset_codes(result)) is (is_dropped and not is_usable)


def test_the_fifth_is_cumulative_over_all_rules() -> None:
    lines = [image(n, "echo" if n % 2 else "dot") for n in range(70)] + [b"{"] * 15
    lines += [line_of({"half": 1}, source_ref=f"s3://{BUCKET}/bad{n}") for n in range(15)]
    assert dataset_codes(result_of(lines)) == ["ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST"]


def test_ignored_lines_are_not_invalid() -> None:
    result = result_of([*TWO_LABELS, *(image(n, None) for n in range(1000))])
    assert result.is_usable
    assert not result.has_errors
    assert (result.valid_lines, result.ignored_lines, result.invalid_lines) == (2, 1000, 0)
    assert result.report.totals == {Code.WARNING_UNANNOTATED_RECORD: 1000}
    assert len(result.report.samples(Code.WARNING_UNANNOTATED_RECORD)) == 20


def test_images_in_two_buckets_are_refused() -> None:
    result = result_of([image(1, "echo"), image(2, "dot", "example-other"), image(3, "dot"), image(4, "dot")])
    assert dataset_codes(result) == ["ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS"]
    assert result.buckets == {BUCKET: 3, "example-other": 1}
    assert not result.is_usable


@pytest.mark.parametrize(("labels", "is_usable"), [(2, True), (250, True), (251, False)])
def test_the_number_of_labels(labels: int, is_usable: bool) -> None:
    result = result_of(image(n, f"label {n}") for n in range(labels))
    assert result.is_usable is is_usable
    assert dataset_codes(result) == ([] if is_usable else ["ERROR_MANIFEST_TOO_MANY_LABELS"])


def test_one_image_level_label_makes_a_dataset_and_no_model() -> None:
    result = result_of([image(1), image(2)])
    assert dataset_codes(result) == ["ERROR_MANIFEST_TOO_FEW_LABELS"]
    assert result.is_usable
    assert result.has_errors


def test_one_label_is_enough_for_boxes() -> None:
    result = result_of([line_of(boxes_pair(**{"class-map": {"0": "Echo", "1": "Echo"}}))])
    assert dataset_codes(result) == []
    assert result.use_case == "OBJECT_LOCALIZATION"


def test_labels_that_stand_on_invalid_lines_are_not_usable() -> None:
    lost = line_of(label_pair(label="dot"), source_ref=f"s3://{BUCKET}/lost.png")
    result = validate_manifest(
        [b"\n".join([*(image(n) for n in range(10)), lost])],
        region=REGION,
        image_facts=lambda source_ref: None if "lost" in source_ref else ImageFacts(640, 480),
    )
    assert result.declared_labels == {"echo", "dot"}
    assert dataset_codes(result) == ["ERROR_MANIFEST_TOO_FEW_USABLE_LABELS"]


def test_both_kinds_in_one_manifest_are_a_warning() -> None:
    result = result_of([*TWO_LABELS, line_of(boxes_pair())])
    assert dataset_codes(result) == ["WARNING_MIXED_ANNOTATION_TYPES"]
    assert result.use_case == "MIXED"
    assert result.is_usable


@pytest.mark.parametrize(
    ("region", "dataset_type", "quota"),
    [("ap-south-1", "TEST", 7_000), ("eu-west-2", "TEST", 7_000), ("eu-west-2", "TRAIN", 28_000)],
)
def test_the_number_of_lines_by_region_and_type(region: str, dataset_type: DatasetType, quota: int) -> None:
    template, other = image(0, "echo"), image(0, "dot")

    def lines(count: int) -> Iterable[bytes]:
        for number in range(count):
            yield (template if number % 10 else other).replace(b"/0.png", b"/%d.png" % number)

    fitting = result_of(lines(quota), dataset_type, region)
    assert "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM" not in dataset_codes(fitting)
    assert fitting.is_usable
    result = result_of(lines(quota + 1), dataset_type, region)
    assert "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM" in dataset_codes(result)
    assert not result.is_usable
    assert (result.lines, result.checked_lines, result.valid_lines) == (quota + 1, quota, quota)
    assert result_of(lines(quota + 1), dataset_type).is_usable


def test_a_raised_quota_and_lines_beyond_a_quota() -> None:
    validator = ManifestValidator(region=REGION, max_lines=2)
    validator.feed(b"\n".join([*TWO_LABELS, b"{", b"{"]))
    result = validator.finish()
    assert dataset_codes(result) == ["ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM"]
    assert result.dataset_findings[0].detail == "4 lines, 2 allowed"
    assert result.invalid_lines == 0


def test_many_test_images_of_a_label_are_a_warning() -> None:
    lines = [*(image(n, "echo") for n in range(1001)), *(image(-n, "dot") for n in range(1, 1001))]
    assert dataset_codes(result_of(lines, "TRAIN")) == []
    result = result_of(lines, "TEST")
    assert dataset_codes(result) == ["WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL"]
    assert result.dataset_findings[0].detail == "echo"


def test_a_line_without_end_takes_no_memory() -> None:
    validator = ManifestValidator(region=REGION)
    chunk = b"x" * (1 << 16)
    tracemalloc.start()
    try:
        for _ in range(400):
            validator.feed(chunk)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    validator.feed(b"\n" + b"\n".join(TWO_LABELS))
    result = validator.finish()
    assert peak_bytes < 2_000_000
    assert result.report.samples(Code.ERROR_JSON_LINE_TOO_LONG)[0].line_number == 1
    assert result.valid_lines == 2


def test_memory_is_bounded() -> None:
    """25,000 lines of 6 MB: a tenth of the largest manifest in a tenth of its memory, which is 60 MB."""
    template = image(0, "echo")
    tracemalloc.start()
    try:
        validator = ManifestValidator(region=REGION)
        for number in range(25_000):
            validator.feed(template.replace(b"/0.png", b"/%d.png" % number) + b"\n")
        result = validator.finish()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.valid_lines == 25_000
    assert peak_bytes < 6_000_000


@pytest.mark.parametrize(("shared", "is_enough"), [(4, True), (2, True), (1, False), (0, False)])
def test_half_of_the_training_labels_must_be_tested(shared: int, is_enough: bool) -> None:
    train = result_of(image(n, f"label {n}") for n in range(4))
    test = result_of((image(100 + n, f"label {n + 4 - shared}") for n in range(4)), "TEST")
    report = compare_datasets(train, test)
    assert list(report.totals) == ([] if is_enough else [Code.ERROR_INSUFFICIENT_LABEL_OVERLAP])


def test_usable_labels_overlap_on_their_own() -> None:
    train = result_of(image(n, f"label {n}") for n in range(4))
    lost = {f"s3://{BUCKET}/{n}.png" for n in (101, 102, 103)}
    test = validate_manifest(
        [b"\n".join(image(100 + n, f"label {n}") for n in range(4))],
        region=REGION,
        dataset_type="TEST",
        image_facts=lambda source_ref: None if source_ref in lost else ImageFacts(640, 480),
    )
    (finding,) = compare_datasets(train, test)
    assert finding.code is Code.ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP
    assert finding.detail == "1 of 4 labels; missing: label 1, label 2, label 3"


def test_an_image_in_both_datasets_is_a_warning_with_both_lines() -> None:
    train = result_of([image(1, "echo"), image(2, "dot")])
    test = result_of([image(3, "echo"), image(4, "dot"), image(1, "echo")], "TEST")
    (finding,) = compare_datasets(train, test)
    assert (finding.code, finding.line_number) == (Code.WARNING_IMAGE_IN_TRAIN_AND_TEST, 3)
    assert finding.detail == "line 1 of the training manifest"
