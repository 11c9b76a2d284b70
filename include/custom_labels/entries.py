"""What imported annotations say of one image: mended where that was asked for, judged, and written canonically.

An image is imported with everything that was said of it, or it is rejected with the codes that say why: Amazon
Rekognition would lose single boxes without a word. A repair changes what was said, so that each is asked for by
name, and the ledger says where it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import Final

import msgspec

from include.custom_labels.boxes import box_fault
from include.custom_labels.codes import Code
from include.custom_labels.label_attributes import (
    OBJECT_DETECTION,
    SOURCE_REF,
    Annotation,
    BoxConfidence,
    Boxes,
    BoxesMetadata,
    BoxLabels,
    ImageSize,
)
from include.custom_labels.line_rules import Problem, check_line
from include.custom_labels.manifest import ManifestLine, canonical_line
from include.custom_labels.quotas import MAX_BOXES_PER_IMAGE
from include.custom_labels.reasons import Reason

SourceRefOf = Callable[[str], str | Problem]
"""The source-ref of an image by its name in the annotations, or why it has none."""

_NOT_PROBLEMS: Final = frozenset({Code.WARNING_UNANNOTATED_RECORD, Code.WARNING_NO_ATTRIBUTE_ANNOTATIONS})


class Repair(StrEnum):
    """A change to what annotations say that is made where it was asked for, with its meaning in `explanation`."""

    explanation: str

    def __new__(cls, name: str, explanation: str = "") -> Repair:
        member = str.__new__(cls, name)
        member._value_ = name
        member.explanation = explanation
        return member

    ROUND_FLOATS = (
        "round_floats",
        "Edges of boxes move to the nearest whole pixel; fractions are accepted without it.",
    )
    CLIP_BOXES = "clip_boxes", "Boxes that reach out of the image end at its edge."
    DROP_BAD_BOXES = "drop_bad_boxes", "Boxes that are outside of the image or too small are left out, the others kept."
    KEEP_50_BOXES = "keep_50_boxes", "Of more than 50 boxes the first 50 are kept, in the order of the annotations."
    FILL_CONFIDENCE = "fill_confidence", "A confidence that is missing becomes 1; training does not use it."
    RENAME_METADATA = (
        "rename_metadata",
        "The only attribute and the only metadata of a line become a pair where their names do not match.",
    )
    SUBSTITUTE_BUCKET = (
        "substitute_bucket",
        "A placeholder such as `BUCKET` or `<bucket>` becomes the bucket of `image_root`, else that of the manifest.",
    )
    FIX_IMAGE_SIZE = "fix_image_size", "An `image_size` that is no list becomes one, and a missing depth becomes 3."
    READ_TEXT_NUMBERS = "read_text_numbers", "Class ids and pixels that are written as text are read as numbers."
    STRIP_BYTE_ORDER_MARK = "strip_byte_order_mark", "A byte order mark in front of a line is left out."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image, line or entry of the annotations as it was read.

    :ivar place: where it stands, such as ``line 17``
    :ivar source_ref: as it will be sent; empty where there is no usable one
    :ivar entry: canonical manifest line with its line end; None where it is rejected or skipped
    :ivar labels: of image and boxes, sorted; none for an image without a label
    :ivar reason: why it is in the state that it will get
    :ivar problems: findings, those that led to a rejection first
    :ivar repairs: what was mended, by repair
    :ivar remarks: what was left out, in words
    """

    place: str
    source_ref: str = ""
    entry: bytes | None = None
    labels: tuple[str, ...] = ()
    reason: Reason = Reason.UNUSABLE_ANNOTATION
    problems: tuple[Problem, ...] = ()
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def detail(self) -> str:
        """Codes, repairs and remarks in one text, for the ledger."""
        problems = [f"{each.code}: {each.detail}" if each.detail else str(each.code) for each in self.problems]
        return "; ".join([*problems, *self.repairs, *self.remarks])


@dataclass(slots=True)
class Mending:
    """The repairs that are allowed, and what was done about one image.

    :ivar allowed: repairs that were asked for
    :ivar min_confidence: labels and boxes below it are left out; a missing confidence is not below it
    """

    allowed: Collection[Repair] = ()
    min_confidence: float | None = None
    repairs: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    is_below_confidence: bool = False

    def done(self, repair: Repair, what: str) -> None:
        """Note a repair."""
        self.repairs.append(f"{repair} ({what})")

    def fresh(self) -> Mending:
        """The same permissions, for the next image."""
        return Mending(self.allowed, self.min_confidence)


def rejected(place: str, *problems: Problem, source_ref: str = "", mending: Mending | None = None) -> AnnotatedImage:
    """An image that is not imported, with the codes that say why."""
    return AnnotatedImage(
        place=place,
        source_ref=source_ref,
        reason=Reason.LABEL_NOT_ALLOWED if _has_bad_label(problems) else Reason.UNUSABLE_ANNOTATION,
        problems=problems,
        repairs=tuple(mending.repairs) if mending else (),
        remarks=tuple(mending.remarks) if mending else (),
    )


def _has_bad_label(problems: Iterable[Problem]) -> bool:
    return any(problem.code is Code.ERROR_INVALID_LABEL_NAME for problem in problems)


def annotated(place: str, line: ManifestLine, mending: Mending, noted: Iterable[Problem] = ()) -> AnnotatedImage:
    """The image with its labels, mended as far as allowed, or rejected by the rules for manifest lines.

    :param noted: findings that reject nothing, such as an attribute of an unsupported type beside a good one
    """
    boxes = [_mended(each, mending) for each in line.boxes]
    labels = [each for each in line.labels if not _is_below(each.metadata.confidence, mending)]
    if count := len(line.labels) - len(labels):
        mending.is_below_confidence = True
        mending.remarks.append(f"{count} labels below min_confidence")
    line = replace(line, labels=tuple(labels), boxes=tuple(each for each in boxes if each is not None), unsupported=())
    try:
        entry = canonical_line(line)
    except UnicodeEncodeError:
        problem = Problem(Code.ERROR_INVALID_JSON_LINE, detail="half of a surrogate pair")
        return rejected(place, problem, mending=mending)
    verdict = check_line(entry.removesuffix(b"\n"))
    errors = [problem for problem in verdict.problems if problem.code.severity == "error"]
    if errors:
        return rejected(place, *errors, source_ref=line.source_ref, mending=mending)
    found = tuple(sorted(verdict.image_labels | verdict.box_labels))
    warnings = [problem for problem in verdict.problems if problem.code not in _NOT_PROBLEMS]
    return AnnotatedImage(
        place=place,
        source_ref=line.source_ref,
        entry=entry,
        labels=found,
        reason=_reason(mending, is_labelled=bool(found)),
        problems=(*noted, *warnings),
        repairs=tuple(mending.repairs),
        remarks=tuple(mending.remarks),
    )


def _reason(mending: Mending, *, is_labelled: bool) -> Reason:
    if not is_labelled and mending.is_below_confidence:
        return Reason.BELOW_MIN_CONFIDENCE
    if mending.repairs:
        return Reason.REPAIRED
    return Reason.IN_ANNOTATIONS if is_labelled else Reason.NO_ANNOTATIONS


def moved(entry: bytes, source_ref: str) -> bytes:
    """The canonical line of the same content for an image at another place."""
    members = msgspec.json.decode(entry, type=dict[str, msgspec.Raw])
    members[SOURCE_REF] = msgspec.Raw(msgspec.json.encode(source_ref))
    return msgspec.json.encode(members) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBox:
    """A box in pixels from the top left corner, with its label."""

    label: str
    left: float
    top: float
    width: float
    height: float


def box_labels(size: ImageSize, boxes: Iterable[LabelledBox], creation_date: str) -> BoxLabels:
    """Boxes of a format that numbers no classes, or others than this image's; they get ids by the order of labels.

    :param creation_date: UTC as ``YYYY-MM-DDTHH:MM:SS``
    """
    boxes = list(boxes)
    ids = {label: number for number, label in enumerate(sorted({box.label for box in boxes}))}
    annotations = tuple(
        Annotation(class_id=ids[box.label], left=box.left, top=box.top, width=box.width, height=box.height)
        for box in boxes
    )
    metadata = BoxesMetadata(
        objects=tuple(BoxConfidence(confidence=1) for _ in boxes),
        class_map={str(number): label for label, number in ids.items()},
        type=OBJECT_DETECTION,
        human_annotated="yes",
        creation_date=creation_date,
    )
    return BoxLabels("bounding-box", Boxes(image_size=(size,), annotations=annotations), metadata)


def _is_below(confidence: float | msgspec.UnsetType, mending: Mending) -> bool:
    return (
        mending.min_confidence is not None
        and not isinstance(confidence, msgspec.UnsetType)
        and confidence < mending.min_confidence
    )


def _mended(attribute: BoxLabels, mending: Mending) -> BoxLabels | None:
    """The boxes after repairs; None where ``min_confidence`` left none of them."""
    name, boxes, metadata = attribute
    if len(metadata.objects) != len(boxes.annotations):
        return attribute
    (size,) = boxes.image_size
    pairs = list(zip(boxes.annotations, metadata.objects, strict=True))
    confident = [pair for pair in pairs if not _is_below(pair[1].confidence, mending)]
    if count := len(pairs) - len(confident):
        mending.is_below_confidence = True
        mending.remarks.append(f"{count} boxes below min_confidence")
        if not confident:
            return None
    kept = [(_mended_box(box, size, mending), about) for box, about in confident]
    changed = sum(box is not before for (box, _), (before, _) in zip(kept, confident, strict=True))
    if changed:
        mending.repairs.append(f"{_repairs_of_boxes(mending)} ({changed} boxes)")
    if Repair.DROP_BAD_BOXES in mending.allowed:
        good = [pair for pair in kept if box_fault(pair[0], size) is None]
        if good and len(good) < len(kept):
            mending.done(Repair.DROP_BAD_BOXES, f"{len(kept) - len(good)} of {len(kept)}")
            kept = good
    limit = MAX_BOXES_PER_IMAGE.value
    if len(kept) > limit and Repair.KEEP_50_BOXES in mending.allowed:
        mending.done(Repair.KEEP_50_BOXES, f"{len(kept) - limit} of {len(kept)} left out")
        kept = kept[:limit]
    return BoxLabels(
        name,
        msgspec.structs.replace(boxes, annotations=tuple(box for box, _ in kept)),
        msgspec.structs.replace(metadata, objects=tuple(about for _, about in kept)),
    )


def _repairs_of_boxes(mending: Mending) -> str:
    return ", ".join(each for each in (Repair.CLIP_BOXES, Repair.ROUND_FLOATS) if each in mending.allowed)


def _mended_box(box: Annotation, size: ImageSize, mending: Mending) -> Annotation:
    """The same object where nothing had to change."""
    left, top, right, bottom = box.left, box.top, box.left + box.width, box.top + box.height
    if not isfinite(left + top + right + bottom):
        return box
    if Repair.CLIP_BOXES in mending.allowed and box.width > 0 and box.height > 0:
        left, right = (min(max(x, 0), size.width) for x in (left, right))
        top, bottom = (min(max(y, 0), size.height) for y in (top, bottom))
    if Repair.ROUND_FLOATS in mending.allowed:
        left, top, right, bottom = map(round, (left, top, right, bottom))
    after = (left, top, right, bottom)
    if after == (box.left, box.top, box.left + box.width, box.top + box.height):
        return box
    return msgspec.structs.replace(box, left=left, top=top, width=right - left, height=bottom - top)
