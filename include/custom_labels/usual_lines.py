"""Manifest lines of the usual shape, recognized fast: an image with image-level labels, or with none.

This is no second set of rules but a proof that no rule applies. The typed decoder takes a line only when its
metadata has the format with nothing beside it, and labels have to be known from a line that went through
`include.custom_labels.line_rules`. Whatever is not recognized goes there too.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Annotated, Literal

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
