"""Units: images that have to stay on one side, because they have the same content or are of one group.

Images are numbered as they come. Nothing is a Python object of its own for each image but its entries in two
dictionaries; keys are kept as bytes, to name samples.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b

from include.custom_labels.image_groups import ImageGroups


class ImageUnits:
    """The units of an import, each the numbers of its images in their order; complete once all images are added.

    :ivar contents: content digests of the images
    """

    def __init__(self, groups: ImageGroups) -> None:
        self.contents = array("Q")
        self._groups = groups
        self._keys = bytearray()
        self._key_stops = array("Q", [0])
        # A forest: each image points at an earlier one of its unit, and the first one at itself.
        self._links = array("I")
        self._first_of_content: dict[int, int] = {}
        self._first_of_group: dict[bytes, int] = {}
        self._members = array("I")
        self._starts = array("I")

    def add(self, key: str, content: int) -> None:
        """Add the next image.

        :param content: its digest
        """
        number = len(self._links)
        self._links.append(number)
        self.contents.append(content)
        self._keys += key.encode()
        self._key_stops.append(len(self._keys))
        first = self._first_of_content.setdefault(content, number)
        if first != number:
            self._join(first, number)
        group = self._groups.name(key)
        if group is not None:
            first = self._first_of_group.setdefault(blake2b(group.encode(), digest_size=8).digest(), number)
            if first != number:
                self._join(first, number)

    def _join(self, one: int, other: int) -> None:
        one, other = self._first(one), self._first(other)
        self._links[max(one, other)] = min(one, other)

    def _first(self, number: int) -> int:
        links = self._links
        while (link := links[number]) != number:
            links[number] = number = links[link]
        return number

    def close(self) -> None:
        """Put images of a unit side by side. Call it once, when all are added."""
        first_of = [self._first(number) for number in range(len(self._links))]
        self._members = array("I", sorted(range(len(first_of)), key=first_of.__getitem__))
        self._starts = array("I", (at for at, number in enumerate(self._members) if first_of[number] == number))
        self._first_of_content, self._first_of_group = {}, {}

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[array[int]]:
        return map(self.members, range(len(self)))

    def members(self, unit: int) -> array[int]:
        """The images of a unit; units are numbered from 0 in the order of their first images."""
        stop = self._starts[unit + 1] if unit + 1 < len(self._starts) else len(self._members)
        return self._members[self._starts[unit] : stop]

    def key(self, number: int) -> str:
        """The key of an image."""
        return self._keys[self._key_stops[number] : self._key_stops[number + 1]].decode()

    def group(self, number: int) -> str | None:
        """The name of an image's group."""
        return self._groups.name(self.key(number))
