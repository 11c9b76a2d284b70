"""How many images and units each label has on both sides of a split."""

from __future__ import annotations

from collections.abc import Mapping

LabelCounts = Mapping[int, int]
"""Images by the number of their label."""


class LabelTally:
    """Counts by the number of a label, kept while units move. An image with two labels counts for both.

    :ivar train_units: units with a train image of the label; a unit that is on both sides counts on both
    :ivar units: units with an image of the label on either side
    """

    def __init__(self, labels: int) -> None:
        self.train_images = [0] * labels
        self.test_images = [0] * labels
        self.train_units = [0] * labels
        self.test_units = [0] * labels
        self.units = [0] * labels

    def add_unit(self, train: LabelCounts, test: LabelCounts) -> None:
        """Count a unit by its images on each side."""
        for label, images in train.items():
            self.train_images[label] += images
            self.train_units[label] += 1
            self.units[label] += 1
        for label, images in test.items():
            self.test_images[label] += images
            self.test_units[label] += 1
            self.units[label] += label not in train

    def move_to_test(self, counts: LabelCounts) -> None:
        """Count a unit that was on the train side as one of the test side."""
        for label, images in counts.items():
            self.train_images[label] -= images
            self.train_units[label] -= 1
            self.test_images[label] += images
            self.test_units[label] += 1

    def images(self, label: int) -> int:
        """Images of the label on both sides."""
        return self.train_images[label] + self.test_images[label]
