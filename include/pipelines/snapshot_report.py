"""What there is to say about a snapshot, or about one that waits for approval, as plain values.

Steps hand each other JSON; ``msgspec.convert(plain, SnapshotReport)`` makes a report of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from include.custom_labels.ledger import AT_FAULT, IN_MANIFEST, State
from include.custom_labels.split_report import SplitReport

REMOVED, RELABELLED, CHANGED, ADDED, MOVED = "removed", "relabelled", "changed", "added", "moved"

DIFFERENCES = (REMOVED, RELABELLED, CHANGED, ADDED, MOVED)
"""Kinds of difference, what a person should look at first."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a ledger reason."""

    key: str
    detail: str = ""


class ReasonRow(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of one ledger state and reason, as `include.pipelines.reconciliation.reconcile` counts them.

    :ivar samples: the first few
    """

    state: str
    reason: str
    count: int
    what_to_do: str
    samples: tuple[Sample, ...] = ()


class ImageChange(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a kind of difference.

    :ivar image: its ``s3://`` address
    :ivar before: what its line said, its object was, or where it lay; empty for an added image
    :ivar after: the same afterwards; empty for a removed image
    """

    image: str
    before: str = ""
    after: str = ""


class BaseDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The difference to the snapshot that was registered before; totals are true, samples are the first few.

    :ivar base_snapshot_id: of that snapshot
    :ivar added: images that were not there; moved ones are not among them
    :ivar removed: images that are gone; moved ones are not among them
    :ivar changed: images whose object is another one; None where that is not known
    :ivar moved: images that lie elsewhere now; None where `changed` is
    :ivar samples: by kind of difference
    """

    base_snapshot_id: str
    added: int
    removed: int
    relabelled: int
    changed: int | None = None
    moved: int | None = None
    labels_appeared: tuple[str, ...] = ()
    labels_vanished: tuple[str, ...] = ()
    samples: dict[str, tuple[ImageChange, ...]] = {}

    def total(self, kind: str) -> int | None:
        """:param kind: one of `DIFFERENCES`"""
        totals = {
            REMOVED: self.removed,
            RELABELLED: self.relabelled,
            CHANGED: self.changed,
            ADDED: self.added,
            MOVED: self.moved,
        }
        return totals[kind]


class Departures(msgspec.Struct, frozen=True, kw_only=True):
    """Images that are gone from their places, as the merge with the dataset has found them.

    :ivar removed: images that leave the dataset by this run
    :ivar moved: images that were found elsewhere, and keep their labels and boxes
    :ivar kept_aside: images that were removed by earlier runs, and people's work on which the ledger keeps
    :ivar gave_way: people's earlier entries that gave way to later ones of theirs, and are in `entries.manifest`
    """

    removed: int = 0
    moved: int = 0
    kept_aside: int = 0
    gave_way: int = 0


class SampleImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image of a difference, and a picture of it for a person to look at.

    :ivar what: the kind of difference, one of `DIFFERENCES`
    :ivar change: of the image
    :ivar url: of the picture, relative to Airflow's own address; empty where there is none
    :ivar missing: why there is no picture
    """

    what: str
    change: ImageChange
    url: str = ""
    missing: str = ""


class RiskRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why somebody should look before the dataset changes.

    :ivar explanation: what the risk means and what to do about it
    :ivar detail: what the risk says of this run, with its numbers
    :ivar count: of what is concerned, 0 where nothing is counted
    :ivar samples: keys or labels, the first few
    """

    code: str
    explanation: str
    detail: str = ""
    count: int = 0
    samples: tuple[str, ...] = ()


class ApprovalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided on the risks, when, and what they chose."""

    by: str
    at: datetime
    option: str


class SnapshotReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of a snapshot, or the question for approval, is made from.

    :ivar dataset_type: ``train`` or ``test``
    :ivar action: of `include.pipelines.registration.Plan`
    :ivar snapshot_id: empty as long as there is no snapshot
    :ivar dataset_arn: empty where there is no dataset
    :ivar manifest: ``s3://`` address
    :ivar ledger: ``s3://`` address
    :ivar images_per_label: of the dataset; one image counts for each of its labels
    :ivar images_per_label_before: of the dataset before; None where nothing was registered
    :ivar images_per_label_of_source: as the source alone says; None where the dataset says the same
    :ivar lines: of the manifest, as long as there are no `reasons`, which say it too
    :ivar reasons: the ledger
    :ivar difference: None where no snapshot was registered before
    :ivar departures: None where they are not known, so that `difference` tells what it can of them
    :ivar approval: None where nobody was asked
    :ivar findings: of the validation, total by code
    :ivar provenance: JSON on where everything came from
    :ivar timings: seconds by step
    """

    project: str
    dataset_type: str
    action: str
    as_of: datetime
    snapshot_id: str = ""
    dataset_arn: str = ""
    manifest: str = ""
    ledger: str = ""
    images_per_label: dict[str, int] = {}
    images_per_label_before: dict[str, int] | None = None
    images_per_label_of_source: dict[str, int] | None = None
    lines: int = 0
    reasons: tuple[ReasonRow, ...] = ()
    difference: BaseDifference | None = None
    departures: Departures | None = None
    risks: tuple[RiskRow, ...] = ()
    approval: ApprovalRow | None = None
    findings: dict[str, int] = {}
    split: SplitReport | None = None
    provenance: dict[str, Any] = {}
    timings: dict[str, float] = {}

    @property
    def objects(self) -> int:
        """Objects that were seen."""
        return sum(row.count for row in self.reasons)

    @property
    def images(self) -> int:
        """Images that have a line in the manifest."""
        return self._count(IN_MANIFEST) if self.reasons else self.lines

    @property
    def unlabelled(self) -> int:
        """Images of the manifest without a label."""
        return self._count(frozenset({State.UNLABELLED}))

    @property
    def at_fault(self) -> int:
        """Images that somebody wanted in the dataset and that are not."""
        return self._count(AT_FAULT)

    def total(self, kind: str) -> int | None:
        """Images of a kind of difference, one of `DIFFERENCES`; of the dataset, where that is known."""
        if self.departures is not None and kind in (REMOVED, MOVED):
            return self.departures.removed if kind == REMOVED else self.departures.moved
        return self.difference.total(kind) if self.difference else None

    @property
    def kept_aside(self) -> int:
        """Images that earlier runs removed, and people's work on which the ledger keeps."""
        return self.departures.kept_aside if self.departures else 0

    @property
    def gave_way(self) -> int:
        """People's earlier entries that gave way to later ones of theirs."""
        return self.departures.gave_way if self.departures else 0

    def _count(self, states: frozenset[State]) -> int:
        return sum(row.count for row in self.reasons if row.state in states)
