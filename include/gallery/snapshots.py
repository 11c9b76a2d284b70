"""What the workspace knows of a dataset, as far as the gallery needs it; snapshots never change and are read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from cachetools import LRUCache

from include.custom_labels.ledger import State
from include.custom_labels.reasons import Reason
from include.gallery.messages import DatasetType, RunLink
from include.object_store.listing import list_folders
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    CurrentSnapshot,
    DatasetFolder,
    SnapshotFolder,
    SnapshotSummary,
    Workspace,
    read_summary,
)

SNAPSHOTS_SHOWN: Final = 200
"""The newest ones that the gallery lists."""

_SUMMARIES_KEPT: Final = 5_000
_READERS: Final = 8
# Of images in the dataset whose entry is the manifest's line. Any other reason may be that of a person's line.
_AS_SENT: Final = frozenset(
    {
        Reason.IN_FOLDER,
        Reason.AT_FOLDER_LEVEL,
        Reason.EMPTY_FOLDER_NAME,
        Reason.AUTOMATIC_LABELING_OFF,
        Reason.NAME_CONTRADICTS_CONTENT,
        Reason.LARGE_FILE,
        Reason.OVERWRITTEN_DATASET_ENTRY,
        Reason.IN_ANNOTATIONS,
        Reason.NO_ANNOTATIONS,
        Reason.REPAIRED,
        Reason.BELOW_MIN_CONFIDENCE,
        Reason.FROM_DATASET,
        Reason.UNLABELLED_AT_SOURCE,
        Reason.ERRORS_AT_SOURCE,
        Reason.IN_LAST_SNAPSHOT,
        Reason.ENTRY_ERROR,
    }
)
# Whose images have no line in the manifest, and maybe an entry all the same; one whose boxes do not fit has a line.
_WITHOUT_LINE: Final = frozenset({State.SKIPPED, State.QUARANTINED, State.REJECTED, State.REMOVED, State.ASIDE})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetName:
    """A dataset as people name it."""

    project: str
    dataset_type: DatasetType

    def __str__(self) -> str:
        return f"{self.project}/{self.dataset_type}"

    def folder(self, workspace: Workspace) -> DatasetFolder:
        """The dataset's part of the workspace."""
        return workspace.dataset(self.project, self.dataset_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """The part of a snapshot's summary that the gallery shows and builds on.

    :ivar bucket: of the images; empty where the summary does not say
    :ivar base_snapshot_id: that the run compared with, empty for none; None where the summary does not say
    :ivar lines_are_entries: whether each line of the manifest was an entry of the dataset once it was registered: what
        people had changed, and what the service dropped, is no line of it
    :ivar run: that published the snapshot, where it is known
    """

    snapshot_id: str
    as_of: datetime
    images: int
    objects: int
    labelled: int
    labels: int
    bucket: str = ""
    base_snapshot_id: str | None = None
    action: str = ""
    dataset_arn: str = ""
    lines_are_entries: bool = False
    run: RunLink | None = None

    def is_whole_dataset(self, current: CurrentSnapshot, images: int) -> bool:
        """Whether the manifest's lines are the dataset's entries, all of them and no others.

        Entries of other origin, held ones, and those of images that could not be read make the dataset larger.

        :param current: the dataset's registered snapshot, which is this one
        :param images: entries that the service counts
        """
        counts = {images, current.entries} if current.entries >= 0 else {images}
        return self.lines_are_entries and counts == {self.images}


def facts_of(summary: SnapshotSummary) -> SnapshotFacts:
    """What the gallery keeps of a summary, whose details may be of an earlier release."""
    details = summary.details
    states = _mapping(details.get("states"))
    reasons = details.get("reasons")
    stats = _mapping(details.get("dataset_stats"))
    gate, run = details.get("gate"), _mapping(details.get("run"))
    return SnapshotFacts(
        snapshot_id=summary.snapshot_id,
        as_of=summary.as_of,
        images=summary.images,
        objects=sum(states.values()) or summary.images,
        labelled=int(states.get("registered", 0)) + int(states.get("labelled", 0)),
        labels=len(_mapping(details.get("images_per_label"))),
        bucket=str(details.get("bucket", "")),
        base_snapshot_id=str(gate.get("base_snapshot_id", "")) if isinstance(gate, dict) else None,
        action=str(_mapping(details.get("registration")).get("action", "")),
        dataset_arn=str(details.get("dataset_arn", "")),
        lines_are_entries=isinstance(reasons, list)
        and all(_has_no_other_entry(row) for row in reasons)
        and stats.get("TotalEntries") == summary.images,
        run=RunLink(dag_id=str(run["dag_id"]), run_id=str(run["run_id"])) if "run_id" in run else None,
    )


def _has_no_other_entry(row: Mapping[str, Any]) -> bool:
    """Whether images of this state and reason that have a line in the manifest have it as their entry."""
    reason = row.get("reason")
    return reason in _AS_SENT or (row.get("state") in _WITHOUT_LINE and reason != Reason.BOXES_DO_NOT_FIT)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class SnapshotReader:
    """Reads snapshots' summaries, and remembers those that it has read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: LRUCache[str, SnapshotFacts] = LRUCache(_SUMMARIES_KEPT)

    def read(self, session: S3Session, dataset: DatasetFolder, snapshot_id: str) -> SnapshotFacts | None:
        """None where there is no whole snapshot of that id.

        :raises AccessError: DOCUMENT_UNREADABLE, or what S3 answers
        """
        place = str(dataset.snapshot(snapshot_id).summary)
        with self._lock:
            found = self._facts.get(place)
        if found is None and (summary := read_summary(session, dataset, snapshot_id)):
            found = facts_of(summary)
            with self._lock:
                self._facts[place] = found
        return found

    def newest(self, session: S3Session, dataset: DatasetFolder) -> SnapshotFacts | None:
        """The whole snapshot that is as of the latest time.

        :raises AccessError: what S3 answers
        """
        return next(self._from_newest(session, dataset, snapshot_ids(session, dataset)), None)

    def before(self, session: S3Session, dataset: DatasetFolder, facts: SnapshotFacts) -> SnapshotFacts | None:
        """The snapshot that a snapshot's changes are against: its run's base, else the one before it in time.

        :raises AccessError: what S3 answers
        """
        if facts.base_snapshot_id == "":
            return None
        if facts.base_snapshot_id not in (None, facts.snapshot_id) and (
            base := self.read(session, dataset, facts.base_snapshot_id)
        ):
            return base
        earlier = takewhile(lambda id: id < facts.snapshot_id, snapshot_ids(session, dataset))
        return next(self._from_newest(session, dataset, list(earlier)), None)

    def all(self, session: S3Session, dataset: DatasetFolder) -> list[SnapshotFacts]:
        """The newest `SNAPSHOTS_SHOWN` whole snapshots, from the newest on.

        :raises AccessError: what S3 answers
        """
        ids = snapshot_ids(session, dataset)[: -SNAPSHOTS_SHOWN - 1 : -1]
        with ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(lambda id: self.read(session, dataset, id), ids))
        return [facts for facts in found if facts is not None]

    def _from_newest(self, session: S3Session, dataset: DatasetFolder, ids: list[str]) -> Iterator[SnapshotFacts]:
        for id in reversed(ids):
            if facts := self.read(session, dataset, id):
                yield facts


def snapshot_ids(session: S3Session, dataset: DatasetFolder) -> list[str]:
    """Ids of the dataset's snapshots in the order of their times; of some that are not whole, too.

    :raises AccessError: what S3 answers
    """
    start = len(dataset.snapshots.prefix)
    return sorted(folder[start:].removesuffix("/") for folder in list_folders(session, dataset.snapshots))


def snapshot_folder(workspace: Workspace, name: DatasetName, snapshot_id: str) -> SnapshotFolder:
    """The objects of a snapshot."""
    return name.folder(workspace).snapshot(snapshot_id)
