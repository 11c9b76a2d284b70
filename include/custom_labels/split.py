"""The split of one import into a train and a test dataset.

The same rows give the same sides, in whatever order they come. What decides:

1. Images with the same content, or of one group, are a *unit* and stay on one side.
2. An image that was on a side stays there: it is known by its address, and a renamed one by its content. A unit
   with a side takes new members in. A unit that has images on both sides moves none; its new members are train
   images, and the unit is reported as leakage.
3. A new unit with labels is train or test by its label's share and a hash of its content
   (`include.custom_labels.stratified_choice`). Units without any label are train units: they test nothing.

A frozen test side gains no image. New units are train units; what belongs to a test image and is not that image
under another key is withheld from both sides, since a train image of its unit would leak.

Memory holds about 300 bytes an image, and as much again for each image that was there before.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass

from include.custom_labels.image_groups import ImageGroups
from include.custom_labels.image_units import ImageUnits
from include.custom_labels.label_tally import LabelCounts, LabelTally
from include.custom_labels.ledger import IN_MANIFEST, LABEL_SEPARATOR, LedgerPage
from include.custom_labels.sides import BOTH_SIDES, PreviousSides, Side, content_digest, identity_digest
from include.custom_labels.split_report import SplitReport, empty_side, label_splits, leakage, share, violations
from include.custom_labels.stratified_choice import StratifiedChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRules:
    """How an import is split.

    :ivar prefix: of the S3 folder location, for groups; empty, or ending with a slash
    :ivar test_share: of each label's images, between 0 and 1
    :ivar group_by: see `ImageGroups`
    :ivar freeze_test: the test dataset gains no image
    :ivar seed: another text gives another choice of new images. It is the same for every project unless somebody
        sets it, so that models of two projects with the same images are tested with the same ones
    """

    prefix: str = ""
    test_share: float = 0.2
    group_by: str | None = None
    freeze_test: bool = False
    seed: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share is {self.test_share}, not between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where each image goes.

    :ivar sides: a `Side` in one byte for each row that is in the manifest, in the order of the rows
    """

    sides: bytes
    report: SplitReport


class Splitter:
    """Takes the ledger of an import page by page, and splits what is in its manifest.

    :param bucket: of the images
    :raises RequestError: INVALID_GROUP_BY
    """

    def __init__(self, rules: SplitRules, bucket: str, previous: PreviousSides | None = None) -> None:
        self._rules = rules
        self._bucket = bucket
        self._previous = previous or PreviousSides()
        self._units = ImageUnits(ImageGroups(rules.group_by, rules.prefix))
        self._known = bytearray()
        self._of_both_sides = 0
        # Test images of before that have not come by, by identity.
        self._missing = dict(self._previous.test_images)
        self._names: dict[str, int] = {}
        self._label_sets: dict[str | None, int] = {}
        self._counts: list[LabelCounts] = []
        self._labels = array("I")
        self._united: dict[tuple[tuple[int, int], ...], LabelCounts] = {}

    def add(self, page: LedgerPage) -> None:
        """Take the rows of a page that are in the manifest."""
        objects = page.objects
        rows = zip(objects.keys, objects.etags, objects.sizes, page.states, page.labels, strict=True)
        for key, etag, size_bytes, state, labels in rows:
            if state in IN_MANIFEST:
                identity = identity_digest(self._bucket, key)
                content = content_digest(etag, size_bytes, identity)
                self._missing.pop(identity, None)
                known = self._previous.known(identity, content)
                if known == BOTH_SIDES:
                    self._of_both_sides += 1
                    known = Side.TRAIN
                self._known.append(known)
                self._labels.append(self._label_set(labels))
                self._units.add(key, content)

    def _label_set(self, labels: str | None) -> int:
        """The number of an image's labels in `_counts`; images share them."""
        number = self._label_sets.setdefault(labels, len(self._counts))
        if number == len(self._counts):
            names = labels.split(LABEL_SEPARATOR) if labels is not None else []
            self._counts.append({self._names.setdefault(name, len(self._names)): 1 for name in names})
        return number

    def split(self) -> Split:
        """Decide. Call it once, when all pages are added."""
        units = self._units
        units.close()
        sides = bytearray([Side.TRAIN]) * len(self._known)
        new, leaking = array("I"), array("I")
        for unit, members in enumerate(units):
            was = 0
            for image in members:
                was |= self._known[image]
            if was == BOTH_SIDES:
                leaking.append(unit)
                for image in members:
                    sides[image] = self._known[image] or Side.TRAIN
            elif was == Side.TEST:
                for image in members:
                    sides[image] = Side.TEST
            elif not was:
                new.append(unit)
        if self._rules.freeze_test:
            self._withhold(sides)
        tally = self._tally(sides)
        if not self._rules.freeze_test:
            self._choose(new, tally, sides)
        return Split(sides=bytes(sides), report=self._report(sides, tally, new, leaking))

    def _withhold(self, sides: bytearray) -> None:
        """Let new images onto the frozen test side only in place of one with the same content that is gone."""
        places = Counter(self._missing.values())
        before = self._previous.test_images
        on_test = (image for image, side in enumerate(sides) if side == Side.TEST)
        identities = ((identity_digest(self._bucket, self._units.key(image)), image) for image in on_test)
        for _, image in sorted(each for each in identities if each[0] not in before):
            content = self._units.contents[image]
            if places[content]:
                places[content] -= 1
            else:
                sides[image] = Side.NEITHER

    def _tally(self, sides: bytearray) -> LabelTally:
        tally = LabelTally(len(self._names))
        for members in self._units:
            if len(members) == 1 and sides[members[0]] == Side.TRAIN:
                tally.add_unit(self._counts[self._labels[members[0]]], {})
            else:
                train = [image for image in members if sides[image] == Side.TRAIN]
                test = [image for image in members if sides[image] == Side.TEST]
                tally.add_unit(self._unit_counts(train), self._unit_counts(test))
        return tally

    def _unit_counts(self, images: list[int] | array[int]) -> LabelCounts:
        """The images by label; those of equal units are one value."""
        if len(images) == 1:
            return self._counts[self._labels[images[0]]]
        counts = Counter(label for image in images for label in self._counts[self._labels[image]])
        return self._united.setdefault(tuple(sorted(counts.items())), counts)

    def _choose(self, new: array[int], tally: LabelTally, sides: bytearray) -> None:
        rules, units = self._rules, self._units
        choice = StratifiedChoice(list(self._names), tally, test_share=rules.test_share, seed=rules.seed)
        for unit in new:
            members = units.members(unit)
            if counts := self._unit_counts(members):
                choice.add(unit, min(units.contents[image] for image in members), counts)
        for unit in choice.choose():
            for image in units.members(unit):
                sides[image] = Side.TEST

    def _report(self, sides: bytearray, tally: LabelTally, new: array[int], leaking: array[int]) -> SplitReport:
        labels = label_splits(list(self._names), tally)
        unlabelled = self._label_sets.get(None, -1)
        labelled = [side for side, label_set in zip(sides, self._labels, strict=True) if label_set != unlabelled]
        test, train = labelled.count(Side.TEST), labelled.count(Side.TRAIN)
        return SplitReport(
            wanted_test_share=self._rules.test_share,
            test_share=share(test, train + test),
            group_by=self._rules.group_by,
            seed=self._rules.seed,
            is_frozen=self._rules.freeze_test,
            train_images=sides.count(Side.TRAIN),
            test_images=sides.count(Side.TEST),
            unlabelled_images=len(sides) - len(labelled),
            withheld_images=sides.count(Side.NEITHER),
            images_of_both_sides=self._of_both_sides,
            units=len(self._units),
            new_units=len(new),
            labels=labels,
            labels_without_test=[name for name, label in labels.items() if not label.test_images],
            labels_without_train=[name for name, label in labels.items() if not label.train_images],
            leakage=leakage(self._units, leaking, sides),
            violations=violations(
                labels,
                empty_side(sides, self._known, labelled=len(labelled), is_frozen=self._rules.freeze_test),
            ),
        )
