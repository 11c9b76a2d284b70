"""Manifest lines as the dataset service takes them: kept as an entry, or silently dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from include.local_aws.annotations import (
    Findings,
    attach,
    declared_sizes,
    inspect,
    size_conforms,
    without_service_fields,
)
from include.local_aws.images import ImageFacts
from include.local_aws.quotas import LINE_MAX_CHARS

_SOURCE_REF: Final = re.compile(r"s3://([0-9A-Za-z.\-_]{3,255})/(.+)", re.DOTALL)
_KEY_MAX_BYTES: Final = 1024


class Drop(StrEnum):
    """Why a line vanished. The service reports these nowhere; the fifth kind, a repetition, needs the other lines."""

    TOO_LONG = "the line is longer than 100,000 characters"
    INVALID_CONTENTS = "the line is no JSON object"
    MISSING_SOURCE_REF = "source-ref is missing"
    MALFORMED_SOURCE_REF = "source-ref is no s3://bucket/key"


@dataclass(slots=True, kw_only=True)
class Entry:
    """A line that was kept. ``bad`` lines count against the service's limit of 20 %."""

    source_ref: str
    bucket: str
    key: str
    line: dict[str, Any]
    findings: Findings

    @property
    def image_is_of_interest(self) -> bool:
        return not self.findings.settled

    def judge_image(self, facts: ImageFacts | None, *, limits: bool) -> None:
        """Write what is wrong with the image into the line; ``facts`` is None for an unusable image."""
        if facts is None or (limits and not facts.conforms_but_for_sides):
            self._refuse("ERROR_INVALID_IMAGE")
        elif not limits:
            self.judge_declared_sizes()
        elif not size_conforms(facts.width_px, facts.height_px):
            # The dimension error exists for images with boxes only; for the others it is an invalid image.
            self._refuse("ERROR_INVALID_IMAGE_DIMENSION" if self.findings.has_boxes else "ERROR_INVALID_IMAGE")

    def judge_declared_sizes(self) -> None:
        """What can be said about the image's sides without looking at it."""
        if self.findings.has_boxes and not all(size_conforms(*size) for size in declared_sizes(self.line)):
            self._refuse("ERROR_INVALID_IMAGE_DIMENSION")

    def _refuse(self, code: str) -> None:
        attach(self.line, code)
        self.findings.has_errors = self.findings.bad = True

    def text(self) -> str:
        """The entry as ListDatasetEntries shows it: one line of at most 100,000 characters."""
        errors = {key: value for key, value in self.line.items() if key.startswith("cl-")}
        written = {key: value for key, value in self.line.items() if key not in errors}
        shown = written | {"cl-metadata": {"is_labeled": self.findings.annotated}} | errors
        for candidate in (shown, written | errors, without_service_fields(written)):
            text = msgspec.json.encode(candidate).decode()
            if len(text) <= LINE_MAX_CHARS:
                break
        return text


def read_line(raw: bytes) -> Entry | Drop:
    """One line, without its line end."""
    try:
        text = raw.decode()
        if len(text) > LINE_MAX_CHARS:
            return Drop.TOO_LONG
        line = msgspec.json.decode(raw)
    except (UnicodeDecodeError, msgspec.DecodeError):
        return Drop.TOO_LONG if len(raw) > 4 * LINE_MAX_CHARS else Drop.INVALID_CONTENTS
    if not isinstance(line, dict):
        return Drop.INVALID_CONTENTS
    if "source-ref" not in line:
        return Drop.MISSING_SOURCE_REF
    source_ref = line["source-ref"]
    matched = _SOURCE_REF.fullmatch(source_ref) if isinstance(source_ref, str) else None
    if matched is None or len(matched[2].encode()) > _KEY_MAX_BYTES:
        return Drop.MALFORMED_SOURCE_REF
    line = without_service_fields(line)
    return Entry(source_ref=source_ref, bucket=matched[1], key=matched[2], line=line, findings=inspect(line))


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a body that arrives in pieces; ends are LF or CRLF, and a last one needs none."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")
