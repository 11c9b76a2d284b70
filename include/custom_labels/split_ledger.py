"""The ledgers of the two datasets that one import is split into.

Both ledgers have a row for every object that the import saw, in the order of the listing, so that each of them says
alone what became of any object. What is said once is said in one of them: a row that is the other dataset's business
is skipped, with a reason that names where to look.

=============================  ============================  ============================
object                         ledger of the train dataset   ledger of the test dataset
=============================  ============================  ============================
train image                    as it was                     skipped, IN_TRAIN_DATASET
test image                     skipped, IN_TEST_DATASET      as it was
withheld image                 skipped,                      skipped, IN_TRAIN_LEDGER
                               LINKED_TO_FROZEN_TEST
skipped, or at fault           as it was                     skipped, IN_TRAIN_LEDGER
=============================  ============================  ============================

So every image that is at fault counts once, in the train dataset's ledger; the share of images at fault that stops
an import is a matter of the whole import, and has to be looked at before it is split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
from include.custom_labels.reasons import Reason
from include.custom_labels.sides import Side

_ELSEWHERE = {
    Side.TRAIN: {Side.TEST: Reason.IN_TEST_DATASET, Side.NEITHER: Reason.LINKED_TO_FROZEN_TEST},
    Side.TEST: {Side.TRAIN: Reason.IN_TRAIN_DATASET, Side.NEITHER: Reason.IN_TRAIN_LEDGER},
}


def ledger_of(side: Side, pages: Iterable[LedgerPage], sides: bytes) -> Iterator[LedgerPage]:
    """The import's ledger as that of its train or its test dataset.

    :param pages: the same that were split
    :param sides: `Split.sides`
    :raises ValueError: the pages have more or fewer rows in the manifest than there are sides
    """
    elsewhere = _ELSEWHERE[side]
    remaining = iter(sides)
    for page in pages:
        moves: list[tuple[int, Reason]] = []
        for row, state in enumerate(page.states):
            if state not in IN_MANIFEST:
                if side is Side.TEST:
                    moves.append((row, Reason.IN_TRAIN_LEDGER))
            elif (where := next(remaining, None)) is None:
                raise ValueError(f"more than {len(sides)} rows in the manifest")
            elif where != side:
                moves.append((row, elsewhere[Side(where)]))
        yield _moved(page, moves)
    if any(True for _ in remaining):
        raise ValueError(f"fewer than {len(sides)} rows in the manifest")


def _moved(page: LedgerPage, moves: list[tuple[int, Reason]]) -> LedgerPage:
    if not moves:
        return page
    moved = replace(
        page,
        states=list(page.states),
        labels=list(page.labels),
        reasons=list(page.reasons),
        details=list(page.details),
        entries=list(page.entries) if page.entries is not None else None,
    )
    for row, reason in moves:
        moved.states[row], moved.labels[row] = State.SKIPPED, None
        # Who looks into this ledger alone sees whether the image is at fault.
        was = (
            f"{page.states[row]}: {page.reasons[row]}"
            if reason is Reason.IN_TRAIN_LEDGER and page.states[row] not in IN_MANIFEST
            else ""
        )
        moved.reasons[row], moved.details[row] = reason, was
        if moved.entries is not None:
            moved.entries[row] = None
    return moved
