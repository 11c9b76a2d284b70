"""Manifest lines of the usual shape, recognized fast: an image with image-level labels, or with none.

This is no second set of rules but a proof that no rule applies. The typed decoder takes a line only when its
metadata has the format with nothing beside it, and labels have to be known from a line that went through
`include.custom_labels.line_rules`. Whatever is not recognized goes there too.
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from include.custom_labels.label_attributes import METADATA_SUFFIX
from include.custom_labels.quotas import MAX_LABELS_PER_IMAGE


class UsualMetadata(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Metadata of an image-level label with which no rule finds fault, apart from its label.

    Unknown members are refused because the decoder would step over them without reading them.
    """

    class_name: str = msgspec.field(name="class-name")
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    type: Literal["groundtruth/image-classification"]
    human_annotated: Literal["yes", "no"] = msgspec.field(name="human-annotated")
    creation_date: datetime = msgspec.field(name="creation-date")
    job_name: str = msgspec.field(name="job-name", default="")


_HEAD: Final = b'{"source-ref":"'
_KEY_AT: Final = len(_HEAD)
_END: Final = re.compile(rb'"creation-date":"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"\}\}')
_END_LENGTH: Final = len('"creation-date":"2026-11-22T20:00:00"}}')
_TIME: Final = re.compile(rb'(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"\}\}')
_TIME_LENGTH: Final = len('20:00:00"}}')
_SHAPES_MAX: Final = 10_000
_SHAPE_LENGTH_MAX: Final = 1_000

UsualMembers = dict[str, str | int | UsualMetadata]
decode_usual_line = msgspec.json.Decoder(UsualMembers).decode


def usual_labels(members: UsualMembers, known_labels: Container[str]) -> list[str] | None:
    """Labels of a line of nothing but pairs, each attribute just before its metadata; None for any other line."""
    labels: list[str] = []
    items = iter(members.items())
    for name, value in items:
        metadata_name, metadata = next(items, ("", None))
        if not (
            isinstance(metadata, UsualMetadata)
            and isinstance(value, int)
            and metadata_name == name + METADATA_SUFFIX
            and metadata.class_name in known_labels
            and metadata.class_name not in labels
        ):
            return None
        labels.append(metadata.class_name)
    return labels if len(labels) <= MAX_LABELS_PER_IMAGE.value else None


class UsualShapes:
    """Lines that differ from one that was decoded and found usual in nothing but address and time of day.

    What stands between the address and the time is compared byte by byte and therefore need not be decoded again:
    it decides alone how JSON reads it, because the address ends at the first quote where no backslash comes before.
    At most `_SHAPES_MAX` shapes are kept, some 3 MB.
    """

    def __init__(self) -> None:
        self._labels: dict[bytes, list[str]] = {}
        self._times: set[bytes] = set()

    def learn(self, line: bytes, labels: list[str]) -> None:
        """Remember a line that `usual_labels` gave these labels for, where it ends with its date."""
        end = line.find(b'"', _KEY_AT)
        shape = line[end:-_TIME_LENGTH]
        if (
            line.startswith(_HEAD)
            and b"\\" not in line[:end]
            and len(shape) <= _SHAPE_LENGTH_MAX
            and _END.match(line, len(line) - _END_LENGTH)
        ):
            if len(self._labels) >= _SHAPES_MAX:
                self._labels.clear()
            self._labels[shape] = labels

    def read(self, line: bytes) -> tuple[str, list[str]] | None:
        """Source-ref and labels of a line of a known shape."""
        end = line.find(b'"', _KEY_AT)
        labels = self._labels.get(line[end:-_TIME_LENGTH])
        if labels is None or line[:_KEY_AT] != _HEAD:
            return None
        time = line[-_TIME_LENGTH:]
        if time not in self._times:
            if not _TIME.fullmatch(time):
                return None
            self._times.add(time)
        try:
            source_ref = line[_KEY_AT:end].decode()
        except UnicodeDecodeError:
            return None
        return (source_ref, labels) if source_ref.isprintable() and "\\" not in source_ref else None
