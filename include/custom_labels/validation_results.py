"""What is known about a manifest after validation, and about two manifests side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from include.custom_labels.codes import Code
from include.custom_labels.findings import Finding, FindingReport
from include.custom_labels.quotas import (
    MAX_FINDING_SAMPLES,
    MAX_TEST_IMAGES_PER_LABEL,
    MIN_LABEL_OVERLAP_PERCENT,
    DatasetType,
)

UseCase = Literal["IMAGE_LEVEL_LABELS", "OBJECT_LOCALIZATION", "MIXED", "NOT_DETERMINED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What is known about a manifest.

    :ivar lines: all, blank ones included
    :ivar checked_lines: those within the image quota; the counts below are of these
    :ivar valid_lines: can be trained on
    :ivar invalid_lines: cannot, because of an error
    :ivar ignored_lines: cannot, because they are not annotated; no error
    :ivar dropped_lines: of the invalid ones, those that Rekognition leaves out of the dataset without a word
    :ivar images_per_label: valid lines by label; a line counts once for a label
    :ivar declared_labels: labels of valid and of invalid lines
    :ivar buckets: lines by the bucket of their image
    :ivar report: all findings
    :ivar dataset_findings: those about the file and the dataset
    """

    dataset_type: DatasetType
    size_bytes: int
    lines: int
    checked_lines: int
    valid_lines: int
    invalid_lines: int
    ignored_lines: int
    dropped_lines: int
    images_per_label: Mapping[str, int]
    declared_labels: frozenset[str]
    buckets: Mapping[str, int]
    use_case: UseCase
    report: FindingReport
    dataset_findings: tuple[Finding, ...]
    images: Mapping[int, int] = field(repr=False)
    """Line numbers by digests of source-refs; digests mean nothing outside this process."""

    @property
    def is_usable(self) -> bool:
        """Whether Amazon Rekognition would make a dataset of this manifest; training may need more labels."""
        return not any(
            finding.code.severity == "error" and "dataset" in finding.code.phases for finding in self.dataset_findings
        )

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return self.report.errors > 0


def compare_datasets(
    train: ValidationResult,
    test: ValidationResult,
    *,
    samples_per_code: int = MAX_FINDING_SAMPLES.value,
    on_finding: Callable[[Finding], None] | None = None,
) -> FindingReport:
    """What is wrong between two datasets of one project. Line numbers are the test manifest's.

    Half of the training labels must be in the test dataset, before and after invalid lines are left out. Both
    results must come from this process.
    """
    report = FindingReport(samples_per_code=samples_per_code)

    def add(finding: Finding) -> None:
        report.add(finding)
        if on_finding is not None:
            on_finding(finding)

    for digest, line_number in test.images.items():
        if (other := train.images.get(digest)) is not None:
            detail = f"line {other} of the training manifest"
            add(Finding(code=Code.WARNING_IMAGE_IN_TRAIN_AND_TEST, line_number=line_number, detail=detail))
    for code, train_labels, test_labels in (
        (Code.ERROR_INSUFFICIENT_LABEL_OVERLAP, train.declared_labels, test.declared_labels),
        (
            Code.ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP,
            train.images_per_label.keys(),
            test.images_per_label.keys(),
        ),
    ):
        if detail := overlap_shortfall(train_labels, test_labels):
            add(Finding(code=code, detail=detail))
            break
    return report


def overlap_shortfall(train_labels: Set[str], test_labels: Set[str]) -> str:
    """What the test dataset lacks of half of the training labels; empty where it has them."""
    shared = len(train_labels & test_labels)
    if shared * 100 >= MIN_LABEL_OVERLAP_PERCENT.value * len(train_labels):
        return ""
    return f"{shared} of {len(train_labels)} labels; missing: {first_names(train_labels - test_labels)}"


def crowded_labels(test_images_per_label: Mapping[str, int]) -> str:
    """The labels that have more test images than Amazon Rekognition admits; empty where none has."""
    limit = MAX_TEST_IMAGES_PER_LABEL.value
    return first_names(label for label, images in test_images_per_label.items() if images > limit)


def first_names(names: Iterable[str], shown: int = 5) -> str:
    """The first few names in their order, for a finding's detail."""
    ordered = sorted(names)
    more = f" and {len(ordered) - shown} more" if len(ordered) > shown else ""
    return ", ".join(ordered[:shown]) + more
