"""What a dataset holds, counted line by line: entries, labels, and a digest of the content."""

from __future__ import annotations

import hashlib
from collections import Counter

from include.custom_labels.line_contents import Content, LineContents


class DatasetCounts:
    """Counts the lines of a dataset, which come in the order of their images' identities.

    :ivar images_per_label: images that have the label, on a box or as a whole
    :ivar labelled: entries with a label or a box
    """

    def __init__(self) -> None:
        self.entries = 0
        self.labelled = 0
        self.images_per_label: Counter[str] = Counter()
        self._contents = LineContents()
        self._digest = hashlib.sha256()

    def add(self, line: bytes, etag: str = "") -> None:
        """Count a line.

        :param line: with or without its line end
        :param etag: of the image, where it is known
        """
        image, content = self._read(line)
        self.entries += 1
        self.labelled += bool(content.labels)
        for label in content.labels:
            self.images_per_label[label] += 1
        self._digest.update(b"%b\0%b\0%b\n" % (image.encode(), content.digest, etag.encode()))

    def labels_of(self, line: bytes) -> tuple[str, ...]:
        """The labels of a line, sorted."""
        return self._read(line)[1].labels

    @property
    def content_sha256(self) -> str:
        """Equal for datasets that say the same of the same images."""
        return self._digest.hexdigest()

    def _read(self, line: bytes) -> tuple[str, Content]:
        return self._contents.read(line.rstrip(b"\n"))
