"""What an entry says, apart from how it is written.

Two entries *say the same* when their labels and boxes do: dates, job names and attribute names do not count, and the
service adds members of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import SOURCE_REF, without_service_members
from include.custom_labels.manifest import ManifestLine, decode_line, parse_line

DIGEST_BYTES: Final = 16
"""Of the content of an entry."""

_ENCODER = msgspec.json.Encoder(order="sorted")
_ERROR_MEMBERS = ("errors", "cl-errors")


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says, small enough to hold 250,000 of them.

    :ivar content: digest of its labels and boxes
    :ivar errors: codes that the service wrote into the line
    """

    content: bytes
    is_labelled: bool
    errors: tuple[str, ...] = ()


def read_entry(data: bytes) -> tuple[str, Entry]:
    """The entry's source-ref, empty where it has none, and what it says.

    :param data: a manifest line, or an entry as the service lists it; a line that is not understood says what its
        bytes say, so that it is never taken for another one
    """
    raw = decode_line(data)
    if isinstance(raw, str):
        return "", Entry(_digest(data), False, (raw,))
    errors = tuple(code for member in _ERROR_MEMBERS for code in _codes(raw.get(member)))
    source_ref = raw.get(SOURCE_REF)
    try:
        line = parse_line(data)
    except ManifestError:
        ours = without_service_members(raw)
        return str(source_ref or ""), Entry(_digest(_ENCODER.encode(ours)), len(ours) > 1, errors)
    is_labelled = bool(line.labels or any(each.boxes.annotations for each in line.boxes))
    return line.source_ref, Entry(content_digest(line), is_labelled, errors)


def content_digest(line: ManifestLine) -> bytes:
    """Equal for lines that say the same, whatever image they are about."""
    labels = sorted({label.metadata.class_name for label in line.labels})
    boxes = sorted(
        (each.metadata.class_map.get(str(box.class_id), ""), box.left, box.top, box.width, box.height)
        for each in line.boxes
        for box in each.boxes.annotations
    )
    return _digest(_ENCODER.encode([labels, boxes, sorted(line.unsupported)]))


def error_codes(data: bytes) -> tuple[str, ...]:
    """All codes that the service wrote into a line: of the line itself, of its attributes and their annotations."""
    if not any(b'"%b"' % member.encode() in data for member in _ERROR_MEMBERS):
        return ()
    return tuple(dict.fromkeys(_nested_codes(decode_line(data))))


def _nested_codes(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name in _ERROR_MEMBERS and isinstance(member, list):
                yield from _codes(member)
            else:
                yield from _nested_codes(member)
    elif isinstance(value, list):
        for member in value:
            yield from _nested_codes(member)


def _codes(errors: object) -> list[str]:
    if not isinstance(errors, list):
        return []
    return [str(error.get("code", error)) if isinstance(error, dict) else str(error) for error in errors]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
