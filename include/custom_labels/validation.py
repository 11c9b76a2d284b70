"""Validation of a whole manifest, as a stream.

Every rule about one line is in `include.custom_labels.line_rules`; lines in which no rule can find fault are
recognized by `include.custom_labels.usual_lines` and only counted. A property-based test holds that both ways agree.

Memory holds one buffer, labels and buckets, the findings that are kept, and for each image 8 bytes of digest with
its line number, about 100 bytes in all, to see repeated images. The digest is Python's keyed hash of text: among
250,000 images two different ones are taken for the same with a chance of 1 to 500 million.

After as many lines as a dataset may have, further ones are counted and not checked, as Amazon Rekognition does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.findings import Finding, FindingReport
from include.custom_labels.label_attributes import SOURCE_REF
from include.custom_labels.line_rules import ImageFactsOf, LineVerdict, Problem, Status, check_line
from include.custom_labels.quotas import (
    MAX_FINDING_SAMPLES,
    MAX_INVALID_LINES_PERCENT,
    MAX_JSON_LINE_LENGTH,
    MAX_LABELS,
    MAX_MANIFEST_BYTES,
    MAX_OBJECT_KEY_BYTES,
    MIN_LABELS_IMAGE_LEVEL,
    MIN_LABELS_LOCALIZATION,
    DatasetType,
    regional_quotas,
)
from include.custom_labels.usual_lines import UsualMembers, UsualShapes, decode_usual_line, usual_labels
from include.custom_labels.validation_results import UseCase, ValidationResult, crowded_labels, first_names

_SLICE_BYTES: Final = 1 << 20
# A character has at most four bytes, so that a longer line is too long whatever stands in it.
_LONGEST_LINE_BYTES: Final = 4 * MAX_JSON_LINE_LENGTH.value
# As many characters fit the key's limit whatever their encoding.
_SAFE_KEY_LENGTH: Final = MAX_OBJECT_KEY_BYTES.value // 4
# A manifest with more names than this is refused anyway; they are not kept.
_NAMES_MAX: Final = 10_000


class _Usual(NamedTuple):
    """The lines that need no full check now: of the bucket that was seen last, with labels seen before."""

    head: str
    shortest: int
    longest: int
    is_unlabelled: bool


class ManifestValidator:
    """Takes a manifest in pieces and says what is wrong with it.

    :param region: the AWS Region, for its quotas
    :param max_lines: the image quota of the account where AWS has raised it
    :param may_be_empty: as for a side of a split, whose dataset is created without a manifest then
    :param image_facts: gives what is known about an image, see `check_line`; without it images are not checked
    :param samples_per_code: how many findings of each code are kept
    :param on_finding: is given every finding, also those that are not kept
    """

    def __init__(
        self,
        *,
        region: str,
        dataset_type: DatasetType = "TRAIN",
        max_lines: int | None = None,
        may_be_empty: bool = False,
        image_facts: ImageFactsOf | None = None,
        samples_per_code: int = MAX_FINDING_SAMPLES.value,
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:
        self._dataset_type = dataset_type
        self._max_lines = regional_quotas(region).images(dataset_type) if max_lines is None else max_lines
        self._may_be_empty = may_be_empty
        self._image_facts = image_facts
        self._on_finding = on_finding
        self._report = FindingReport(samples_per_code=samples_per_code)
        self._dataset_findings: list[Finding] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._size_bytes = 0
        self._lines = 0
        self._statuses: Counter[Status] = Counter()
        self._dropped_lines = 0
        self._blank_lines = 0
        self._images: dict[int, int] = {}
        self._images_per_label: Counter[str] = Counter()
        self._declared_labels: set[str] = set()
        self._buckets: Counter[str] = Counter()
        self._image_level_lines = 0
        self._box_lines = 0
        self._bucket = ""
        self._shapes = UsualShapes()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the manifest, cut anywhere."""
        for start in range(0, len(chunk), _SLICE_BYTES):
            self._feed(chunk[start : start + _SLICE_BYTES])

    def _feed(self, chunk: bytes) -> None:
        self._size_bytes += len(chunk)
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._hold_back(chunk)
            return
        whole, _, last = rest.rpartition(b"\n")
        lines = [self._take_pending(head)]
        if len(whole) < len(rest) - len(last):
            lines += whole.split(b"\n")
        self._check(lines)
        self._hold_back(last)

    def _hold_back(self, part: bytes) -> None:
        # Beyond the longest possible line, what stands in it no longer matters.
        if part and self._pending_bytes <= _LONGEST_LINE_BYTES:
            self._pending.append(part)
        self._pending_bytes += len(part)

    def _take_pending(self, end: bytes) -> bytes:
        self._hold_back(end)
        line = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        return line

    def finish(self) -> ValidationResult:
        """Check the last line and the dataset as a whole. Call it once, at the end."""
        if self._pending_bytes:
            self._check([self._take_pending(b"")])
        self._check_dataset()
        return ValidationResult(
            dataset_type=self._dataset_type,
            size_bytes=self._size_bytes,
            lines=self._lines,
            checked_lines=min(self._lines, self._max_lines),
            valid_lines=self._statuses[Status.VALID],
            invalid_lines=self._statuses[Status.INVALID],
            ignored_lines=self._statuses[Status.IGNORED],
            dropped_lines=self._dropped_lines,
            images_per_label=dict(sorted(self._images_per_label.items())),
            declared_labels=frozenset(self._declared_labels),
            buckets=dict(self._buckets),
            use_case=self._use_case(),
            report=self._report,
            dataset_findings=tuple(self._dataset_findings),
            images=self._images,
        )

    def _check(self, lines: list[bytes]) -> None:
        before = self._lines
        self._lines += len(lines)
        if self._lines > self._max_lines:
            lines = lines[: max(self._max_lines - before, 0)]
        if self._image_facts is None:
            self._check_quickly(lines, before)
        else:
            for number, line in enumerate(lines, before + 1):
                self._check_fully(number, line)

    def _check_quickly(self, lines: list[bytes], before: int) -> None:
        """Count lines that no rule can find fault with; the full check of any other line moves the usual shape on."""
        images, known_labels, usual = self._images, self._images_per_label, self._usual_lines()
        labels: list[str] = []
        labelled = unlabelled = 0
        read = self._shapes.read
        for number, line in enumerate(lines, before + 1):
            found: list[str] | None
            source_ref: object
            members: UsualMembers = {}
            source_ref, found = read(line) or (None, None)
            if found is None:
                try:
                    members = decode_usual_line(line)
                    source_ref = members.pop(SOURCE_REF)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
                    source_ref = None
            if (
                isinstance(source_ref, str)
                and source_ref.startswith(usual.head)
                and usual.shortest <= len(source_ref) <= usual.longest
                and len(line) <= MAX_JSON_LINE_LENGTH.value
                and (digest := hash(source_ref)) not in images
            ):
                if members:
                    found = usual_labels(members, known_labels)
                    if found:
                        self._shapes.learn(line, found)
                if found:
                    images[digest] = number
                    labelled += 1
                    labels += found
                    continue
                if not members and usual.is_unlabelled:
                    images[digest] = number
                    unlabelled += 1
                    continue
            self._count_usual(labels, labelled, unlabelled)
            labels, labelled, unlabelled = [], 0, 0
            self._check_fully(number, line)
            usual = self._usual_lines()
        self._count_usual(labels, labelled, unlabelled)

    def _usual_lines(self) -> _Usual:
        head = f"s3://{self._bucket}/" if self._bucket else ""
        return _Usual(
            head=head,
            shortest=len(head) + 1,
            longest=len(head) + _SAFE_KEY_LENGTH if head else 0,
            is_unlabelled=self._on_finding is None and not self._report.has_room(Code.WARNING_UNANNOTATED_RECORD),
        )

    def _count_usual(self, labels: list[str], labelled: int, unlabelled: int) -> None:
        self._images_per_label.update(labels)
        self._statuses[Status.VALID] += labelled
        self._image_level_lines += labelled
        self._statuses[Status.IGNORED] += unlabelled
        if unlabelled:
            self._report.totals[Code.WARNING_UNANNOTATED_RECORD] += unlabelled
        if labelled or unlabelled:
            self._buckets[self._bucket] += labelled + unlabelled

    def _check_fully(self, number: int, line: bytes) -> None:
        verdict = check_line(line, self._image_facts)
        if verdict.bucket is not None:
            self._bucket = verdict.bucket
            if len(self._buckets) < _NAMES_MAX or verdict.bucket in self._buckets:
                self._buckets[verdict.bucket] += 1
            first = self._images.setdefault(hash(verdict.source_ref), number)
            if first != number:
                verdict = LineVerdict(
                    status=Status.INVALID,
                    problems=(Problem(Code.ERROR_DUPLICATE_SOURCE_REF, SOURCE_REF, f"first on line {first}"),),
                    is_dropped=True,
                    source_ref=verdict.source_ref,
                )
        self._blank_lines += not line.strip()
        self._statuses[verdict.status] += 1
        self._dropped_lines += verdict.is_dropped
        if verdict.status is Status.VALID:
            self._image_level_lines += bool(verdict.image_labels)
            self._box_lines += bool(verdict.box_labels)
            for label in verdict.image_labels | verdict.box_labels:
                if len(self._images_per_label) < _NAMES_MAX or label in self._images_per_label:
                    self._images_per_label[label] += 1
        if len(self._declared_labels) < _NAMES_MAX:
            self._declared_labels |= verdict.declared_labels
        for code, attribute, detail in verdict.problems:
            self._add(
                Finding(
                    code=code,
                    line_number=number,
                    source_ref=verdict.source_ref,
                    attribute=attribute,
                    detail=detail,
                )
            )

    def _add(self, finding: Finding) -> None:
        self._report.add(finding)
        if self._on_finding is not None:
            self._on_finding(finding)

    def _use_case(self) -> UseCase:
        if self._image_level_lines:
            return "MIXED" if self._box_lines else "IMAGE_LEVEL_LABELS"
        return "OBJECT_LOCALIZATION" if self._box_lines else "NOT_DETERMINED"

    def _check_dataset(self) -> None:
        for code, detail in self._dataset_problems():
            finding = Finding(code=code, detail=detail)
            self._dataset_findings.append(finding)
            self._add(finding)

    def _dataset_problems(self) -> Iterator[tuple[Code, str]]:
        checked = min(self._lines, self._max_lines)
        if self._size_bytes > MAX_MANIFEST_BYTES.value:
            yield Code.ERROR_MANIFEST_SIZE_TOO_LARGE, f"{self._size_bytes:,} bytes"
        if self._lines > self._max_lines:
            yield Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM, f"{self._lines:,} lines, {self._max_lines:,} allowed"
        if self._blank_lines == checked:
            if not self._may_be_empty:
                yield Code.ERROR_EMPTY_MANIFEST, ""
            return
        if self._dropped_lines * 100 > MAX_INVALID_LINES_PERCENT.value * checked:
            yield Code.ERROR_TOO_MANY_RECORDS_IN_ERROR, f"{self._dropped_lines:,} of {checked:,} lines"
        invalid = self._statuses[Status.INVALID]
        if invalid * 100 > MAX_INVALID_LINES_PERCENT.value * checked:
            yield Code.ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST, f"{invalid:,} of {checked:,} lines"
        if len(self._buckets) > 1:
            yield Code.ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS, first_names(self._buckets)
        yield from self._label_problems()

    def _label_problems(self) -> Iterator[tuple[Code, str]]:
        declared, usable = len(self._declared_labels), len(self._images_per_label)
        if declared > MAX_LABELS.value:
            yield Code.ERROR_MANIFEST_TOO_MANY_LABELS, f"{declared:,} labels"
        is_image_level = self._use_case() == "IMAGE_LEVEL_LABELS"
        minimum = (MIN_LABELS_IMAGE_LEVEL if is_image_level else MIN_LABELS_LOCALIZATION).value
        if declared < minimum:
            yield Code.ERROR_MANIFEST_TOO_FEW_LABELS, f"{declared} labels, {minimum} needed"
        elif usable < minimum:
            yield Code.ERROR_MANIFEST_TOO_FEW_USABLE_LABELS, f"{usable} labels, {minimum} needed"
        if self._use_case() == "MIXED":
            lines = f"{self._image_level_lines:,} lines with labels, {self._box_lines:,} with boxes"
            yield Code.WARNING_MIXED_ANNOTATION_TYPES, lines
        if self._dataset_type == "TEST" and (crowded := crowded_labels(self._images_per_label)):
            yield Code.WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL, crowded


def validate_manifest(
    chunks: Iterable[bytes],
    *,
    region: str,
    dataset_type: DatasetType = "TRAIN",
    image_facts: ImageFactsOf | None = None,
) -> ValidationResult:
    """Validate a manifest that comes in pieces, see `ManifestValidator`."""
    validator = ManifestValidator(region=region, dataset_type=dataset_type, image_facts=image_facts)
    for chunk in chunks:
        validator.feed(chunk)
    return validator.finish()
