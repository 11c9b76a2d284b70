"""Images with the same bytes and different labels: one of the labels is wrong, and nothing else would say so."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from include.custom_labels.ledger import IN_MANIFEST, LABEL_SEPARATOR, LedgerPage, State
from include.custom_labels.quotas import MAX_FINDING_SAMPLES

_IMAGES_PER_SAMPLE: Final = 5


class SameContent(msgspec.Struct, frozen=True, kw_only=True):
    """Images that have the same ETag and size, and not the same labels.

    :ivar key: of the first of them
    :ivar images: key and labels of the first few, as ``key (label, label)``
    """

    key: str
    images: tuple[str, ...]


class ContentLabels:
    """The labels of each content, as digests.

    Kept are 16 bytes an image: a digest of the ETag, and one of the labels. Both are Python's keyed hash; which images
    they are is looked up again, with their sizes, where there are any.
    """

    def __init__(self) -> None:
        self._contents, self._labels = array("q"), array("q")

    def add(self, page: LedgerPage) -> None:
        """Note the labelled images of a page."""
        etags, labels = page.objects.etags, page.labels
        if not (IN_MANIFEST.issuperset(page.states) and all(labels) and all(etags)):
            rows = zip(page.states, labels, etags, strict=True)
            wanted = [(etag, label) for state, label, etag in rows if _counts(state, label, etag)]
            etags, labels = [etag for etag, _ in wanted], [label for _, label in wanted]
        # Without a loop of Python's: nearly every image of an import comes this way.
        self._contents.extend(map(hash, etags))
        self._labels.extend(map(hash, labels))

    def disputed(self) -> frozenset[int]:
        """Digests of the ETags that have different labels."""
        if len(set(self._contents)) == len(self._contents):
            return frozenset()
        first: dict[int, int] = {}
        pairs = zip(self._contents, self._labels, strict=True)
        return frozenset(content for content, label in pairs if first.setdefault(content, label) != label)


def _counts(state: State, label: str | None, etag: str) -> bool:
    return bool(label and etag) and state in IN_MANIFEST


def first_same_content(pages: Iterable[LedgerPage], disputed: frozenset[int]) -> list[SameContent]:
    """The first contents that have different labels, looked up in the pages that were added.

    :param disputed: of `ContentLabels.disputed`
    """
    images: dict[tuple[str, int], dict[str, str]] = {}
    for page in pages:
        objects = page.objects
        rows = zip(page.states, page.labels, objects.etags, objects.sizes, objects.keys, strict=True)
        for state, label, etag, size_bytes, key in rows:
            if label and _counts(state, label, etag) and hash(etag) in disputed:
                content = (etag, size_bytes)
                if content in images or len(images) < MAX_FINDING_SAMPLES.value:
                    # Another image of the same label says nothing new.
                    images.setdefault(content, {}).setdefault(label, key)
    return [_sample(labels) for labels in images.values() if len(labels) > 1]


def _sample(labels: dict[str, str]) -> SameContent:
    named = [f"{key} ({', '.join(label.split(LABEL_SEPARATOR))})" for label, key in labels.items()]
    return SameContent(key=next(iter(labels.values())), images=tuple(named[:_IMAGES_PER_SAMPLE]))
