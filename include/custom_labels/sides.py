"""The two sides of a split import, and on which of them images were before.

Images are known by two digests of eight bytes: one of their address and one of their content. Among a million images
two different ones are taken for the same with a chance of one to 37 millions.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from hashlib import blake2b

from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
from include.custom_labels.merge import ENTRY_STAYS
from include.custom_labels.reasons import Reason


class Side(IntEnum):
    """Which dataset of a project an image is in; one byte, and one bit, an image."""

    NEITHER = 0
    TRAIN = 1
    TEST = 2


BOTH_SIDES = Side.TRAIN | Side.TEST
"""What is known of an image or a unit that was on the one side and on the other."""

_WAS_SENT = IN_MANIFEST | {State.DROPPED, State.HELD}
_SIDE_BY_REASON = {Reason.IN_TRAIN_DATASET: Side.TRAIN, Reason.IN_TEST_DATASET: Side.TEST}


def identity_digest(bucket: str, key: str) -> int:
    """Which object an image is, by its address."""
    return _digest(f"s3://{bucket}/{key}")


def content_digest(etag: str, size_bytes: int, identity: int) -> int:
    """What is in an image, by ETag and size; its identity where it has no ETag.

    Equal content has equal ETags where S3 makes them of the bytes. Multipart uploads with other part sizes, and
    encryption with KMS or customer keys, give equal bytes other ETags: such duplicates are not seen.
    """
    return _digest(f"{size_bytes} {etag}") if etag else identity


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class PreviousSides:
    """On which side images were after the last import, by the ledgers of its train and its test dataset.

    Each of the two ledgers also names the images of the other side (`include.custom_labels.split_ledger`), so that
    sides are kept where only one of the two datasets came to be. About 300 bytes an image.
    """

    def __init__(self) -> None:
        self._by_identity: dict[int, int] = {}
        self._by_content: dict[int, int] = {}
        self._test_images: dict[int, int] = {}

    def add(self, side: Side, bucket: str, page: LedgerPage) -> None:
        """Take a page of the ledger of the dataset on that side.

        Images that were sent count, dropped ones too, and those that are gone or at fault and whose entry stays.
        """
        objects = page.objects
        rows = zip(objects.keys, objects.etags, objects.sizes, page.states, page.reasons, page.details, strict=True)
        for key, etag, size_bytes, state, reason, detail in rows:
            was = side if state in _WAS_SENT or ENTRY_STAYS in detail else _SIDE_BY_REASON.get(reason)
            if was is not None:
                identity = identity_digest(bucket, key)
                content = content_digest(etag, size_bytes, identity)
                self._by_identity[identity] = self._by_identity.get(identity, 0) | was
                self._by_content[content] = self._by_content.get(content, 0) | was
                if was is Side.TEST:
                    self._test_images[identity] = content

    def known(self, identity: int, content: int) -> int:
        """The image's side by its address, else by its content; 0 where it is new.

        `BOTH_SIDES` for an image that was in both datasets. Content that was on both sides makes no test image.
        """
        if was := self._by_identity.get(identity):
            return was
        was = self._by_content.get(content, 0)
        return Side.TRAIN if was == BOTH_SIDES else was

    @property
    def test_images(self) -> Mapping[int, int]:
        """Contents of the test images, by identity."""
        return self._test_images
