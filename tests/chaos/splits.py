"""On which side of a split images were, and have to be: the rules of docs/split.md that histories hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.commands import DatasetType
from tests.chaos.model import Listing

_SIDES: Mapping[str, DatasetType] = {"IN_TRAIN_DATASET": "train", "IN_TEST_DATASET": "test"}
_SENT = ("registered", "labelled", "unlabelled", "dropped")


@dataclass(slots=True)
class Sides:
    """Where images were, as the ledgers of both datasets say.

    :ivar by_key: the datasets that an image was in
    :ivar by_etag: the same of contents
    """

    by_key: dict[str, set[DatasetType]] = field(default_factory=dict)
    by_etag: dict[str, set[DatasetType]] = field(default_factory=dict)

    def add(self, dataset_type: DatasetType, rows: Iterable[Mapping[str, str]]) -> None:
        """Take the ledger of one dataset, which names the images of the other one as well."""
        for row in rows:
            side = dataset_type if row["state"] in _SENT else _SIDES.get(row["reason"])
            if side:
                self.by_key.setdefault(row["key"], set()).add(side)
                self.by_etag.setdefault(row["etag"], set()).add(side)

    def known(self, key: str, etag: str) -> DatasetType | None:
        """An image's side by its address, else by its content; one that was in both datasets is a train image."""
        were = self.by_key.get(key) or self.by_etag.get(etag) or set()
        return "train" if len(were) == 2 else next(iter(were), None)


def misplaced(
    before: Sides, now: Mapping[str, DatasetType], listed: Listing, *, is_frozen: bool, is_grouped: bool
) -> list[str]:
    """What a split has put on a side where it may not be, for people.

    :param now: the side of each image that is on one
    """
    wrong: list[str] = []
    new: dict[str, set[DatasetType]] = {}
    for key, side in now.items():
        was = before.known(key, listed[key].etag)
        if was is None:
            new.setdefault(listed[key].etag, set()).add(side)
            if is_frozen and side == "test":
                wrong.append(f"{key} is new in the frozen test dataset")
        elif was != side:
            wrong.append(f"{key} was in {was}, and is in {side}")
    # Nobody knows here how groups join new images with others.
    if not is_grouped:
        wrong += [f"new images of the content {etag} are in both datasets" for etag in new if len(new[etag]) == 2]
    return wrong


def withheld(rows: Iterable[Mapping[str, str]]) -> set[str]:
    """Images that are in neither dataset, as they belong to images of a frozen one."""
    return {row["key"] for row in rows if row["reason"] == "LINKED_TO_FROZEN_TEST"}
