"""What to send to a dataset that exists, so that nothing in it is lost.

Three states of an entry are compared: *ours*, the line just built; *theirs*, the dataset's entry now, which people
may have labelled; and *base*, the line that was last registered. Only what we changed ourselves is sent:

=============================  =========
theirs                         decision
=============================  =========
no entry                       send
says the same as ours          leave
has an error                   send, where nobody changed it
says the same as base          send, because ours is the newer
anything else                  keep, because a person did it
=============================  =========

An entry *says the same* when its labels and boxes do; dates, job names and attribute names do not count, and the
service adds members of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import SOURCE_REF, without_service_members
from include.custom_labels.manifest import ManifestLine, decode_line, parse_line

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
    return line.source_ref, Entry(_digest(_ENCODER.encode(_content(line))), is_labelled, errors)


def read_entries(lines: Iterable[bytes]) -> dict[str, Entry]:
    """Entries by their source-ref."""
    return dict(read_entry(line) for line in lines)


def _content(line: ManifestLine) -> list[object]:
    labels = sorted({label.metadata.class_name for label in line.labels})
    boxes = sorted(
        (each.metadata.class_map.get(str(box.class_id), ""), box.left, box.top, box.width, box.height)
        for each in line.boxes
        for box in each.boxes.annotations
    )
    return [labels, boxes, sorted(line.unsupported)]


def _codes(errors: object) -> list[str]:
    if not isinstance(errors, list):
        return []
    return [str(error.get("code", error)) if isinstance(error, dict) else str(error) for error in errors]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


class Decision(StrEnum):
    SEND = "send"
    LEAVE = "leave"
    KEEP = "keep"


class UpdatePlan:
    """Decides line by line, and knows at the end what is no longer there.

    :param theirs: the dataset's entries now
    :param base: the entries of the snapshot that was last registered; empty where there is none
    :param scope: ``s3://`` address of the folder that is imported; its images that are gone count as removed even
        without a base; None where a source has no such place
    """

    def __init__(self, theirs: Mapping[str, Entry], base: Mapping[str, Entry], scope: str | None) -> None:
        self._theirs = theirs
        self._base = base
        self._scope = scope
        self._missing = set(theirs)

    def decide(self, source_ref: str, ours: Entry) -> Decision:
        """What to do with a line of ours."""
        self._missing.discard(source_ref)
        theirs = self._theirs.get(source_ref)
        if theirs is None:
            return Decision.SEND
        same = theirs.content == ours.content
        if same and not theirs.errors:
            return Decision.LEAVE
        base = self._base.get(source_ref)
        untouched = same or (base is not None and base.content == theirs.content)
        return Decision.SEND if untouched else Decision.KEEP

    def removed(self) -> list[str]:
        """Entries that were imported from here and that no line of ours names, once all lines are decided."""
        return sorted(ref for ref in self._missing if ref in self._base or self._is_in_scope(ref))

    def _is_in_scope(self, source_ref: str) -> bool:
        return self._scope is not None and source_ref.startswith(self._scope)

    def others(self) -> int:
        """Entries of other origin, which stay as they are."""
        return len(self._missing) - len(self.removed())
