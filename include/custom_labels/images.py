"""Whether Rekognition reads an image, and how its ledger row moves on after inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from include.custom_labels.file_names import IMAGE_EXTENSIONS
from include.custom_labels.image_headers import ImageFormat, ImageHeader, NotAnImage
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
from include.custom_labels.quotas import (
    IMAGE_FILE_WARNING_BYTES,
    MAX_ASPECT_RATIO,
    MAX_IMAGE_FILE_BYTES,
    MAX_IMAGE_SIDE_PX,
    MIN_IMAGE_SIDE_PX,
)
from include.custom_labels.reasons import Reason

_PNG_EXTENSIONS = frozenset({"png", "apng"})


def image_fault(header: ImageHeader, size_bytes: int) -> NotAnImage | None:
    """The first limit that the image breaks, or None."""
    short, long = sorted((header.width, header.height))
    size = f"{header.width}×{header.height} pixels"
    if size_bytes > MAX_IMAGE_FILE_BYTES.value:
        return NotAnImage(Reason.FILE_TOO_LARGE, f"{size_bytes:,} bytes")
    if short < MIN_IMAGE_SIDE_PX.value:
        return NotAnImage(Reason.SIDE_TOO_SHORT, size)
    if long > MAX_IMAGE_SIDE_PX.value:
        return NotAnImage(Reason.SIDE_TOO_LONG, size)
    if long > MAX_ASPECT_RATIO.value * short:
        return NotAnImage(Reason.ASPECT_TOO_EXTREME, size)
    return None


def contradiction(key: str, image_format: ImageFormat) -> str:
    """What the name says, where the content says otherwise; else empty."""
    extension = key.rpartition("/")[2].rpartition(".")[2].lower()
    if extension not in IMAGE_EXTENSIONS or (extension in _PNG_EXTENSIONS) == (image_format is ImageFormat.PNG):
        return ""
    return f"named .{extension}, content is {image_format}"


def unread(page: LedgerPage) -> list[bool]:
    """Which rows are images whose bytes have to be looked at; what an earlier import inspected has its size already."""
    return [state in IN_MANIFEST and not width for state, width in zip(page.states, page.widths, strict=True)]


def inspect(page: LedgerPage, outcomes: Sequence[ImageHeader | NotAnImage | None]) -> LedgerPage:
    """Move the rows on by what was read of them.

    :param outcomes: one a row; None where the row was not read, which an image of known size need not be
    :returns: the page with sizes, with images that Rekognition would not read in quarantine, and with remarks
    :raises ValueError: a row that is to be in the manifest was not read
    """
    moved = replace(
        page,
        states=list(page.states),
        reasons=list(page.reasons),
        details=list(page.details),
        widths=list(page.widths),
        heights=list(page.heights),
    )
    for at, outcome in enumerate(outcomes):
        if outcome is None:
            if page.states[at] in IN_MANIFEST and not page.widths[at]:
                raise ValueError(f"{page.objects.keys[at]!r} was not read")
            continue
        fault = outcome if isinstance(outcome, NotAnImage) else image_fault(outcome, page.objects.sizes[at])
        if isinstance(outcome, ImageHeader):
            moved.widths[at], moved.heights[at] = outcome.width, outcome.height
            if fault is None:
                _remark(moved, at, outcome)
        if fault is not None:
            moved.states[at], moved.reasons[at], moved.details[at] = (
                State.QUARANTINED,
                fault.reason,
                fault.detail,
            )
    return moved


def _remark(page: LedgerPage, at: int, header: ImageHeader) -> None:
    """Note what is odd about an image that is imported; the reason for its label state stays, and so do its details."""
    remarks = [page.details[at]] if page.details[at] else []
    if odd := contradiction(page.objects.keys[at], header.format):
        remarks.append(f"{Reason.NAME_CONTRADICTS_CONTENT}: {odd}")
    if page.objects.sizes[at] > IMAGE_FILE_WARNING_BYTES.value:
        remarks.append(f"{Reason.LARGE_FILE}: {page.objects.sizes[at]:,} bytes")
    page.details[at] = "; ".join(remarks)
