"""What a split came to: shares, labels, leakage, and what of AWS's rules it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Literal

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.image_units import ImageUnits
from include.custom_labels.label_tally import LabelTally
from include.custom_labels.quotas import MAX_FINDING_SAMPLES
from include.custom_labels.sides import Side
from include.custom_labels.validation_results import crowded_labels, overlap_shortfall

Link = Literal["content", "group", "other images"]


class LabelSplit(msgspec.Struct, frozen=True, kw_only=True):
    """One label. An image with several labels counts for each of them.

    :ivar units: sets of images that stay on one side, on both sides together
    :ivar test_share: reached, between 0 and 1
    """

    train_images: int
    test_images: int
    units: int
    test_share: float


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """Images on both sides that belong together.

    :ivar link: what links the two: the same content, the same group, or only other images of the unit
    :ivar group: its name, where that links them
    :ivar train: the key of a train image
    :ivar test: the key of a test image
    :ivar train_images: of the unit
    :ivar test_images: of the unit
    """

    link: Link
    group: str | None
    train: str
    test: str
    train_images: int
    test_images: int


class Leakage(msgspec.Struct, frozen=True, kw_only=True):
    """Units that were on both sides before anything was known to link them; totals are true, samples are capped."""

    units: int
    train_images: int
    test_images: int
    samples: list[Leak]


class RuleViolation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule for the two datasets that the split does not keep.

    :ivar code: of `include.custom_labels.codes`
    """

    code: str
    message: str
    detail: str
    next_step: str


class SplitReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a split, as JSON.

    :ivar wanted_test_share: of each label's images
    :ivar test_share: reached: test images with a label, of all images with one
    :ivar withheld_images: in neither dataset, because they belong to images of a frozen test dataset
    :ivar images_of_both_sides: that were in both datasets before; they are train images now
    :ivar units: sets of images that stay on one side
    :ivar new_units: those of them without an image that was there before
    :ivar labels: by name, in the order of names
    :ivar labels_without_test: all labels that have no test image
    :ivar labels_without_train: all labels that have no train image
    """

    wanted_test_share: float
    test_share: float
    group_by: str | None
    seed: str
    is_frozen: bool
    train_images: int
    test_images: int
    unlabelled_images: int
    withheld_images: int
    images_of_both_sides: int
    units: int
    new_units: int
    labels: dict[str, LabelSplit]
    labels_without_test: list[str]
    labels_without_train: list[str]
    leakage: Leakage
    violations: list[RuleViolation]


def label_splits(names: Sequence[str], tally: LabelTally) -> dict[str, LabelSplit]:
    """The labels that have images on either side."""
    return {
        name: LabelSplit(
            train_images=tally.train_images[label],
            test_images=tally.test_images[label],
            units=tally.units[label],
            test_share=share(tally.test_images[label], tally.images(label)),
        )
        for name, label in sorted(zip(names, range(len(names)), strict=True), key=itemgetter(0))
        if tally.images(label)
    }


def share(part: int, whole: int) -> float:
    """Between 0 and 1 with four digits; 0 of nothing."""
    return round(part / whole, 4) if whole else 0.0


def empty_side(sides: bytes | bytearray, known: bytes | bytearray, *, labelled: int, is_frozen: bool) -> str:
    """Which of the two datasets gets no image, and why; empty where both get some, or there is none.

    :param sides: of the images, one byte each
    :param known: the sides that they were on before, likewise
    :param labelled: images that have a label
    :param is_frozen: whether the test dataset gains no image
    """
    tested, trained = sides.count(Side.TEST), sides.count(Side.TRAIN)
    if (tested and trained) or not (tested or trained):
        return ""
    empty, other, side = ("training", "test", Side.TEST) if tested else ("test", "training", Side.TRAIN)
    stay = known.count(side)
    if stay == len(sides):
        why = f"all {stay:,} images were in the {other} dataset before, and stay there"
    elif is_frozen:
        why = "it is frozen"
    elif not labelled:
        why = "no image has a label, and an image without one tests nothing"
    else:
        why = "each label has one set of images that belong together, and training needs it"
        if stay:
            why = f"{stay:,} images were in the {other} dataset before, and stay there; of the others, {why}"
    return f"No image is in the {empty} dataset: {why}."


def violations(labels: Mapping[str, LabelSplit], nothing: str = "") -> list[RuleViolation]:
    """The rules for a train and a test dataset that these break.

    :param nothing: of `empty_side`
    """
    train = {name for name, label in labels.items() if label.train_images}
    test = {name: label.test_images for name, label in labels.items() if label.test_images}
    found = (
        (Code.WARNING_EMPTY_SIDE, nothing),
        (Code.ERROR_INSUFFICIENT_LABEL_OVERLAP, overlap_shortfall(train, test.keys())),
        (Code.WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL, crowded_labels(test)),
    )
    return [
        RuleViolation(code=code.value, message=code.message, detail=detail, next_step=code.next_step)
        for code, detail in found
        if detail
    ]


def leakage(units: ImageUnits, leaking: Sequence[int], sides: bytes | bytearray) -> Leakage:
    """What of the units that are on both sides is where.

    :param leaking: numbers of these units
    :param sides: of the images, one byte each
    """
    first_contents = sorted((min(map(units.contents.__getitem__, units.members(unit))), unit) for unit in leaking)
    shown = [unit for _, unit in first_contents[: MAX_FINDING_SAMPLES.value]]
    of_leaks = [sides[image] for unit in leaking for image in units.members(unit)]
    return Leakage(
        units=len(leaking),
        train_images=of_leaks.count(Side.TRAIN),
        test_images=of_leaks.count(Side.TEST),
        samples=[_leak(units, unit, sides) for unit in shown],
    )


def _leak(units: ImageUnits, unit: int, sides: bytes | bytearray) -> Leak:
    images = sorted(units.members(unit), key=units.key)
    train = [image for image in images if sides[image] == Side.TRAIN]
    test = [image for image in images if sides[image] == Side.TEST]
    link, one, other = next(_links(units, train, test))
    return Leak(
        link=link,
        group=units.group(one) if link == "group" else None,
        train=units.key(one),
        test=units.key(other),
        train_images=len(train),
        test_images=len(test),
    )


def _links(units: ImageUnits, train: Sequence[int], test: Sequence[int]) -> Iterator[tuple[Link, int, int]]:
    """A train image and a test image with what links them, what says most first."""
    known: tuple[tuple[Link, Callable[[int], int | str | None]], ...] = (
        ("content", units.contents.__getitem__),
        ("group", units.group),
    )
    for link, name in known:
        by_name = {name(image): image for image in train}
        by_name.pop(None, None)
        yield from ((link, by_name[name(image)], image) for image in test if name(image) in by_name)
    yield "other images", train[0], test[0]
