"""What annotations name, collected row by row: in memory only what sorting needs, entries in a file on disk."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from types import TracebackType
from typing import Self

from include.custom_labels.codes import Code
from include.custom_labels.entries import AnnotatedImage, moved
from include.custom_labels.findings import Finding, FindingReport
from include.custom_labels.ledger import IN_MANIFEST, LABEL_SEPARATOR, LedgerPage, State
from include.custom_labels.line_rules import Problem
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.manifest import split_source_ref
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import MAX_OBJECT_KEY_BYTES
from include.custom_labels.reasons import Reason
from include.object_store.object_facts import ObjectFacts

_PAGE_ROWS = 1_000
_DETAIL_LENGTH_MAX = 500
_SKIPPED = frozenset({Reason.BLANK_LINE, Reason.NO_ANNOTATION_FILE, Reason.NEWER_THAN_AS_OF})


@dataclass(slots=True)
class Row:
    """One ledger row to be.

    :ivar key: where the image will be, or the source-ref or place of what names no image
    :ivar source: where the image is now; None where there is no usable address
    :ivar bucket: where it will be
    :ivar start: of its entry in the file
    :ivar length: of its entry, 0 where it has none
    """

    key: str
    source: S3Uri | None
    bucket: str
    state: State
    reason: Reason
    detail: str
    label: str | None = None
    start: int = 0
    length: int = 0
    facts: ObjectFacts | None = None

    @property
    def is_moved(self) -> bool:
        return self.source is not None and (self.source.bucket, self.source.key) != (self.bucket, self.key)


class AnnotationRows:
    """Rows of one import, and what was found wrong.

    :param root: where images of other buckets are copied to; None to leave all where they are
    :ivar report: findings by code, totals true and samples capped
    """

    def __init__(self, root: S3FolderLocation | None) -> None:
        self.report = FindingReport()
        self._root = root
        self._rows: list[Row] = []
        self._places: dict[tuple[str, str], str] = {}
        self._entries = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entries.close()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, image: AnnotatedImage) -> None:
        """A row for what was read; of images that are named more than once, the first that is usable counts."""
        for problem in image.problems:
            self._find(image, problem)
        location = _location(image)
        if location is None:
            key = _writable(image.source_ref or image.place)
            state = State.SKIPPED if image.reason in _SKIPPED else State.REJECTED
            self._rows.append(Row(key, None, "", state, image.reason, _detail(image)))
            return
        bucket, key = self._target(*location)
        row = Row(key, S3Uri(*location), bucket, State.REJECTED, image.reason, _detail(image))
        self._rows.append(row)
        if image.entry is None:
            row.detail = f"{image.place}: {row.detail}"
            return
        if len(key.encode()) > MAX_OBJECT_KEY_BYTES.value:
            problem = Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, detail=f"too long a key below image_root: {key}")
            self._find(image, problem)
            row.reason, row.detail = (
                Reason.UNUSABLE_ANNOTATION,
                f"{problem.code}: {problem.detail}"[:_DETAIL_LENGTH_MAX],
            )
            return
        first = self._places.setdefault((bucket, key), image.place)
        if first is not image.place:
            problem = Problem(Code.ERROR_DUPLICATE_SOURCE_REF, detail=f"{image.place}, first on {first}")
            self._find(image, problem)
            row.reason, row.detail = Reason.REPEATED_IMAGE, f"{problem.code}: {problem.detail}"
            return
        row.state = State.LABELLED if image.labels else State.UNLABELLED
        row.label = LABEL_SEPARATOR.join(image.labels) if image.labels else None
        entry = moved(image.entry, f"s3://{bucket}/{key}") if row.is_moved else image.entry
        row.start, row.length = self._entries.tell(), len(entry)
        self._entries.write(entry)

    def add_object(self, key: str, bucket: str, reason: Reason, facts: ObjectFacts) -> None:
        """A row for an object of the images' folder that the annotations do not name."""
        self._rows.append(Row(key, None, bucket, State.SKIPPED, reason, "", facts=facts))

    def wanted(self) -> dict[str, list[Row]]:
        """Rows that have a usable address, by the bucket that their images are in now."""
        rows: dict[str, list[Row]] = {}
        for row in self._rows:
            if row.source is not None:
                rows.setdefault(row.source.bucket, []).append(row)
        return rows

    def buckets(self) -> Counter[str]:
        """Images for the manifest by the bucket that they will be in."""
        return Counter(row.bucket for row in self._rows if row.state in IN_MANIFEST)

    def pages(self) -> Iterator[LedgerPage]:
        """All rows as ledger pages in the order of their keys."""
        self._rows.sort(key=attrgetter("key"))
        for start in range(0, len(self._rows), _PAGE_ROWS):
            yield self._page(self._rows[start : start + _PAGE_ROWS])

    def _page(self, rows: list[Row]) -> LedgerPage:
        facts = [row.facts or ObjectFacts(size_bytes=0, etag="", last_modified="") for row in rows]
        objects = ObjectPage(
            [row.key for row in rows],
            [each.size_bytes for each in facts],
            [each.etag for each in facts],
            [each.last_modified for each in facts],
        )
        entries = [self._entry(row) for row in rows]
        nothing = [0] * len(rows)
        return LedgerPage(
            objects,
            [row.state for row in rows],
            [row.label for row in rows],
            [row.reason for row in rows],
            [row.detail for row in rows],
            nothing,
            list(nothing),
            entries,
        )

    def _entry(self, row: Row) -> bytes | None:
        if not row.length or row.state not in IN_MANIFEST:
            return None
        self._entries.seek(row.start)
        return self._entries.read(row.length)

    def _target(self, bucket: str, key: str) -> tuple[str, str]:
        root = self._root
        if root is None or bucket == root.bucket:
            return bucket, key
        # The bucket is part of the name, so that two buckets with the same keys do not meet.
        return root.bucket, f"{root.prefix}{bucket}/{key}"

    def _find(self, image: AnnotatedImage, problem: Problem) -> None:
        self.report.add(
            Finding(
                code=problem.code,
                source_ref=_writable(image.source_ref) or None,
                attribute=problem.attribute,
                detail=_writable(f"{image.place}: {problem.detail}" if problem.detail else image.place),
            )
        )


def _location(image: AnnotatedImage) -> tuple[str, str] | None:
    """Bucket and key; None also for a placeholder, which may look like a bucket."""
    if any(problem.code is Code.ERROR_INVALID_SOURCE_REF_FORMAT for problem in image.problems):
        return None
    return split_source_ref(image.source_ref)


def _writable(text: str) -> str:
    """The text without halves of surrogate pairs, which no file can hold."""
    return text.encode(errors="backslashreplace").decode()


def _detail(image: AnnotatedImage) -> str:
    return _writable(image.detail)[:_DETAIL_LENGTH_MAX]
