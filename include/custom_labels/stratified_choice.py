"""Which new units become test images: a share of each label, in an order that only contents and the seed decide.

Labels are served from the rarest to the most frequent in the whole import, ties by name: a unit that serves two
labels is best spent on the one with fewer to give. A unit's stratum is its rarest label.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b

from include.custom_labels.label_tally import LabelCounts, LabelTally
from include.custom_labels.quotas import MAX_TEST_IMAGES_PER_LABEL


class StratifiedChoice:
    """Takes the new units of an import and moves some of them to the test side.

    :param names: of the labels, by their numbers
    :param tally: with every unit, the new ones as units of the train side; it is kept up to date
    :param test_share: of each label's images, between 0 and 1
    """

    def __init__(self, names: Sequence[str], tally: LabelTally, *, test_share: float, seed: str) -> None:
        self._tally = tally
        labels = range(len(names))
        self._served = sorted(labels, key=lambda label: (tally.images(label), names[label]))
        self._ranks = {label: rank for rank, label in enumerate(self._served)}
        limit = MAX_TEST_IMAGES_PER_LABEL.value
        self._wanted = [min(tally.images(label) * test_share, limit) for label in labels]
        # A key has at most 64 bytes, and a seed as many as one likes.
        self._key = blake2b(seed.encode()).digest()
        self._units = array("I")
        self._orders = array("Q")
        self._counts: list[LabelCounts] = []

    def add(self, unit: int, content: int, counts: LabelCounts) -> None:
        """Take a new unit with labels.

        :param unit: its number, which decides nothing
        :param content: the smallest content digest of its images
        :param counts: its images by label
        """
        # Of many digests the smallest is small: ordered by itself, it would bring the large units first.
        order = blake2b(content.to_bytes(8, "big"), key=self._key, digest_size=8).digest()
        self._units.append(unit)
        self._orders.append(int.from_bytes(order, "big"))
        self._counts.append(counts)

    def choose(self) -> list[int]:
        """The units for the test side."""
        candidates: dict[int, array[int]] = {}
        for at in sorted(range(len(self._units)), key=self._orders.__getitem__):
            for label in self._counts[at]:
                candidates.setdefault(label, array("I")).append(at)
        chosen = bytearray(len(self._units))
        # First one unit of every label: afterwards, shares of rarer labels may have used up the images of others.
        for label in self._served:
            self._cover(label, candidates.get(label, array("I")), chosen)
        for label in self._served:
            self._fill(label, candidates.get(label, array("I")), chosen)
        return [unit for unit, is_chosen in zip(self._units, chosen, strict=True) if is_chosen]

    def _cover(self, label: int, candidates: array[int], chosen: bytearray) -> None:
        """Give the label a test unit where it has none and a unit can be spared.

        The first unit of its stratum that brings it closer to its share, else of another stratum, else the smallest.
        """
        if self._tally.test_units[label]:
            return
        best: tuple[tuple[bool, bool, int], int] | None = None
        for at in filter(self._may_move, candidates):
            closer = self._is_closer(label, at)
            demerit = (not closer, self._stratum(at) != label, 0 if closer else self._counts[at][label])
            if best is None or demerit < best[0]:
                best = demerit, at
                if demerit == (False, False, 0):
                    break
        if best is not None:
            self._move(best[1], chosen)

    def _fill(self, label: int, candidates: array[int], chosen: bytearray) -> None:
        """Take units of the label's stratum in their order, each that brings the label closer to its share."""
        for at in candidates:
            if self._tally.test_images[label] >= self._wanted[label]:
                return
            if not chosen[at] and self._stratum(at) == label and self._is_closer(label, at) and self._may_move(at):
                self._move(at, chosen)

    def _stratum(self, at: int) -> int:
        return min(self._counts[at], key=self._ranks.__getitem__)

    def _is_closer(self, label: int, at: int) -> bool:
        missing = self._wanted[label] - self._tally.test_images[label]
        return abs(missing - self._counts[at][label]) < abs(missing)

    def _may_move(self, at: int) -> bool:
        """Whether each label of the unit keeps a train unit, and has at most 1,000 test images afterwards."""
        tally = self._tally
        return all(
            tally.train_units[label] > 1 and tally.test_images[label] + images <= MAX_TEST_IMAGES_PER_LABEL.value
            for label, images in self._counts[at].items()
        )

    def _move(self, at: int, chosen: bytearray) -> None:
        chosen[at] = True
        self._tally.move_to_test(self._counts[at])
