"""The workspace: where datasets and their snapshots lie in S3.

::

    uploads/<upload id>/…                       staged local images
    staging/<run>/…                             what the tasks of a run hand to each other
    datasets/<project>/<train|test>/
      snapshots/<snapshot id>/                  <project>-<train|test>.manifest  ledger.parquet  entries.manifest
                                                report.html  summary.json
      exports/<run>.manifest                    the entries of a dataset before it was replaced
      sent/<run>.parquet                        digests of what unfinished runs may have sent
      current.json                              the registered snapshot
      edits/<save id>.manifest                  the entries that a save of the gallery changed, as they were before
      edits/<save id>.json                      what became of the save
      registration.json                         journal and lease of the registration under way

A snapshot never changes. `summary.json` is written last and only where there is none, so that a snapshot with a
summary is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

import msgspec

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.documents import Instant, S3Address, missing
from include.object_store.holders import Holder
from include.object_store.listing import list_folders
from include.object_store.session import S3Session
from include.object_store.streams import StoredObject, copy_object, put_bytes, put_json, read_bytes, read_json

DatasetType = Literal["train", "test"]

_ABOUT_THE_RUN = frozenset({"run", "timings"})
"""Details of a snapshot that differ from run to run."""


def snapshot_id(as_of: datetime, *contents: str) -> str:
    """The id of the snapshot with these contents, such as ``20261122T200000Z-0a1b2c3d``.

    :param as_of: the time that the dataset is as of, with a time zone
    :param contents: digests, or other text, of everything in the snapshot that is not about when it was made
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of has no time zone")
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    return f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"


def time_of(snapshot_id: str) -> datetime:
    """The time that a snapshot is as of, in UTC.

    :raises ValueError: it is no id of a snapshot
    """
    return datetime.strptime(snapshot_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True):
    """``summary.json``.

    :ivar manifest: ``s3://`` address of the manifest, in the snapshot's folder
    :ivar ledger: ``s3://`` address of the ledger, in the snapshot's folder
    :ivar ledger_sha256: in hex, like the other digests; empty in a snapshot of an earlier release
    :ivar entries_sha256: of the dataset's entries before; empty where none were kept
    :ivar details: what else the run has to say: counts, findings, timings
    """

    snapshot_id: str
    as_of: Instant
    manifest: S3Address
    manifest_sha256: str
    manifest_size_bytes: int
    ledger: S3Address
    images: int
    ledger_sha256: str = ""
    entries_sha256: str = ""
    details: dict[str, Any] = {}


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot that one import of a dataset was last registered from.

    :ivar summary_sha256: digest of its `summary.json`, which has the digests of the other objects
    :ivar begun_at: when the run began that the snapshot is of
    """

    snapshot_id: str
    summary_sha256: str = ""
    begun_at: Instant | None = None

    def __post_init__(self) -> None:
        # One of another form would fail later, where nobody expects it to.
        _ = self.as_of

    @property
    def as_of(self) -> datetime:
        """The time that the snapshot is as of, in UTC."""
        return time_of(self.snapshot_id)


class CurrentSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``current.json``: the snapshot that the dataset in Rekognition was last registered from.

    :ivar objects_sha256: digest of the images' keys, ETags and sizes, since a manifest does not change with every image
    :ivar is_holding: whether the dataset holds entries that a replacement would not leave, such as those of images that
        the source no longer has
    :ivar has_dropped: whether the service has dropped entries, which the next run sends again
    :ivar dataset_updated_at: when the service says that the dataset was last changed, by the run's own last write or
        before its entries were read; as long as it says so, nobody has changed an entry
    :ivar run: that has registered it
    :ivar origin: of the import, as it was resolved
    :ivar bases: of each import of the dataset, by origin
    :ivar entries: that the dataset was verified to have; -1 where that is not known
    :ivar labelled: how many of them have a label or a box
    :ivar content_sha256: of what the dataset holds: entries and the images' ETags
    :ivar announced: what the last asset event that was sent for sure told of, see `announcement`
    :ivar summary_sha256: of the snapshot's `summary.json`
    """

    snapshot_id: str
    manifest_sha256: str
    dataset_arn: str
    registered_at: Instant
    objects_sha256: str = ""
    is_holding: bool = False
    has_dropped: bool = False
    dataset_updated_at: str = ""
    run: Holder | None = None
    origin: str = ""
    bases: dict[str, Base] = {}
    entries: int = -1
    labelled: int = -1
    content_sha256: str = ""
    announced: str = ""
    summary_sha256: str = ""

    def __post_init__(self) -> None:
        # One of another form would fail later, where nobody expects it to.
        _ = self.as_of

    @property
    def announcement(self) -> str:
        """What an asset event tells of: content, and where it is."""
        return f"{self.content_sha256} {self.dataset_arn}"

    @property
    def as_of(self) -> datetime:
        """The time that the snapshot is as of, in UTC."""
        return time_of(self.snapshot_id)


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """One snapshot's objects."""

    folder: S3FolderLocation
    name: str

    @property
    def manifest(self) -> S3Uri:
        return self.folder.uri(f"{self.name}.manifest")

    @property
    def ledger(self) -> S3Uri:
        return self.folder.uri("ledger.parquet")

    @property
    def report(self) -> S3Uri:
        return self.folder.uri("report.html")

    @property
    def entries(self) -> S3Uri:
        """The dataset's entries before a run that removed or overwrote some of them."""
        return self.folder.uri("entries.manifest")

    @property
    def summary(self) -> S3Uri:
        return self.folder.uri("summary.json")


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """One dataset's part of the workspace."""

    folder: S3FolderLocation
    name: str

    @property
    def current(self) -> S3Uri:
        return self.folder.uri("current.json")

    @property
    def registration(self) -> S3Uri:
        return self.folder.uri("registration.json")

    @property
    def exports(self) -> S3FolderLocation:
        return _below(self.folder, "exports/")

    def export(self, run_slug: str) -> S3Uri:
        return self.exports.uri(f"{run_slug}.manifest")

    @property
    def sent_documents(self) -> S3FolderLocation:
        return _below(self.folder, "sent/")

    def sent(self, run_slug: str) -> S3Uri:
        """Digests of the lines that a run and the unfinished runs before it may have sent."""
        return self.sent_documents.uri(f"{run_slug}.parquet")

    def edited_entries(self, save_id: str) -> S3Uri:
        return self.folder.uri(f"edits/{save_id}.manifest")

    def save(self, save_id: str) -> S3Uri:
        return self.folder.uri(f"edits/{save_id}.json")

    @property
    def snapshots(self) -> S3FolderLocation:
        return _below(self.folder, "snapshots/")

    def snapshot(self, snapshot_id: str) -> SnapshotFolder:
        return SnapshotFolder(_below(self.snapshots, f"{snapshot_id}/"), self.name)


@dataclass(frozen=True, slots=True)
class Workspace:
    """An S3 location that the user owns; Airflow Variable ``custom_labels_workspace``."""

    folder: S3FolderLocation

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises RequestError: INVALID_S3_LOCATION"""
        return cls(S3FolderLocation.parse(text))

    def dataset(self, project: str, dataset_type: DatasetType) -> DatasetFolder:
        return DatasetFolder(_below(self.folder, f"datasets/{project}/{dataset_type}/"), f"{project}-{dataset_type}")

    def uploads(self, upload_id: str) -> S3FolderLocation:
        return _below(self.folder, f"uploads/{upload_id}/")

    def images(self, project: str, dataset_type: DatasetType) -> S3FolderLocation:
        return _below(self.folder, f"images/{project}/{dataset_type}/")

    def staging(self, run_slug: str) -> S3FolderLocation:
        """:param run_slug: names the run, without a slash"""
        return _below(self.folder, f"staging/{run_slug}/")


def _below(folder: S3FolderLocation, path: str) -> S3FolderLocation:
    return S3FolderLocation(folder.bucket, folder.prefix + path)


def publish_snapshot(
    session: S3Session,
    dataset: DatasetFolder,
    *,
    as_of: datetime,
    manifest: StoredObject,
    ledger: StoredObject,
    images: int,
    report: Callable[[SnapshotSummary], str] | None = None,
    entries: StoredObject | None = None,
    details: dict[str, Any] | None = None,
) -> SnapshotSummary:
    """Make a snapshot of a staged manifest and ledger; the snapshot that is there already when it is the same.

    :param manifest: anywhere in S3; copied within S3
    :param report: makes the page of the snapshot, as HTML
    :param entries: the dataset's entries before, where the run removed or overwrote some of them
    :param details: those that are about the run itself have no part in the snapshot's id
    :raises DatasetConflictError: SNAPSHOT_CONFLICT when the id belongs to a snapshot with other contents
    :raises AccessError: what S3 answers
    """
    told = {name: value for name, value in (details or {}).items() if name not in _ABOUT_THE_RUN}
    entries_sha256 = entries.sha256 if entries is not None else ""
    id = snapshot_id(
        as_of,
        manifest.sha256,
        ledger.sha256,
        entries_sha256,
        msgspec.json.encode(told, order="deterministic").decode(),
    )
    snapshot = dataset.snapshot(id)
    found = read_json(session, snapshot.summary, SnapshotSummary)
    if found is None:
        copy_object(session, manifest.uri, snapshot.manifest)
        copy_object(session, ledger.uri, snapshot.ledger)
        summary = SnapshotSummary(
            snapshot_id=id,
            as_of=as_of.astimezone(UTC),
            manifest=str(snapshot.manifest),
            manifest_sha256=manifest.sha256,
            manifest_size_bytes=manifest.size_bytes,
            ledger=str(snapshot.ledger),
            images=images,
            ledger_sha256=ledger.sha256,
            entries_sha256=entries_sha256,
            details=details or {},
        )
        if entries is not None:
            copy_object(session, entries.uri, snapshot.entries)
        if report is not None:
            put_bytes(session, snapshot.report, report(summary).encode(), content_type="text/html; charset=utf-8")
        if put_json(session, snapshot.summary, summary, if_absent=True) is not None:
            return summary
        found = read_json(session, snapshot.summary, SnapshotSummary)
    if found is None or (found[0].manifest_sha256, found[0].ledger_sha256) != (manifest.sha256, ledger.sha256):
        raise DatasetConflictError(
            "SNAPSHOT_CONFLICT",
            f"{snapshot.folder} holds another manifest or ledger than those that were just built.",
            "Run again with another as_of, so that the snapshot gets an id of its own.",
            location=str(snapshot.folder),
        )
    return found[0]


def read_summary(session: S3Session, dataset: DatasetFolder, snapshot_id: str) -> SnapshotSummary | None:
    """The summary of a snapshot; None where there is no whole snapshot.

    :raises DocumentError: it is damaged, or of another format
    :raises AccessError: what else S3 answers
    """
    found = read_json(session, dataset.snapshot(snapshot_id).summary, SnapshotSummary)
    return found and found[0]


def summary_sha256(session: S3Session, dataset: DatasetFolder, snapshot_id: str) -> str:
    """The digest of a snapshot's summary, for `CurrentSnapshot`.

    :raises DocumentError: DOCUMENT_MISSING
    :raises AccessError: what else S3 answers
    """
    uri = dataset.snapshot(snapshot_id).summary
    found = read_bytes(session, uri)
    if found is None:
        raise missing(uri, "the run that published the snapshot")
    return hashlib.sha256(found[0]).hexdigest()


def snapshots_near(session: S3Session, dataset: DatasetFolder, as_of: datetime, *, or_later: bool = False) -> list[str]:
    """Ids of snapshots, whole or not, that are as of a time before ``as_of``, from the latest one on.

    :param or_later: then those that are not, from the first one on
    :raises AccessError: what S3 answers
    """
    earlier: list[str] = []
    later: list[str] = []
    start, name = len(dataset.snapshots.prefix), f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for folder in list_folders(session, dataset.snapshots):
        found = folder[start:].removesuffix("/")
        (earlier if found.partition("-")[0] < name else later).append(found)
    return [*reversed(earlier), *(later if or_later else ())]


def read_current(session: S3Session, dataset: DatasetFolder) -> tuple[CurrentSnapshot, str] | None:
    """The registered snapshot and the ETag to hand to `write_current`; None before the first registration.

    :raises DocumentError: it is damaged, or of another format
    :raises AccessError: what else S3 answers
    """
    return read_json(session, dataset.current, CurrentSnapshot)


def write_current(
    session: S3Session, dataset: DatasetFolder, current: CurrentSnapshot, *, expected_etag: str | None
) -> str:
    """Name another registered snapshot, provided that no one did so since `read_current`; its new ETag.

    :param expected_etag: from `read_current`; None where there was none
    :raises DatasetConflictError: CURRENT_CHANGED
    :raises AccessError: what S3 answers
    """
    etag = put_json(session, dataset.current, current, if_absent=expected_etag is None, if_match=expected_etag)
    if etag is None:
        raise DatasetConflictError(
            "CURRENT_CHANGED",
            f"{dataset.current} was changed by another run.",
            "Look at what the other run registered, then run again.",
            location=str(dataset.current),
        )
    return etag
