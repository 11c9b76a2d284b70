"""Projects, datasets and their catalogs: what the routes ask for, put together from Rekognition and the workspace."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from cachetools import LRUCache

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.diff import Snapshot
from include.custom_labels.errors import AccessError, CustomLabelsError, DatasetConflictError
from include.custom_labels.locations import S3FolderLocation
from include.gallery.cache import Building, Cache, Progress
from include.gallery.catalog import Catalog, Facts
from include.gallery.catalog_building import ImageChange, Sources, build_catalog
from include.gallery.comparison import ComparisonFile, build_comparison
from include.gallery.live_entries import KnownEntries, LiveEntries
from include.gallery.messages import (
    DatasetCard,
    DatasetPage,
    DatasetType,
    Problem,
    ProjectCard,
    Projects,
    RunLink,
    SnapshotCard,
)
from include.gallery.recent import Recent
from include.gallery.save_lease import HOLDER
from include.gallery.services import DatasetState, ServiceDataset, ServiceProject, Services
from include.gallery.snapshots import DatasetName, SnapshotFacts, SnapshotReader
from include.gallery.statistics import CountsReader
from include.gallery.views import Views
from include.object_store.holders import Holder
from include.object_store.listing import list_folders
from include.object_store.registered_snapshot import RegisteredSnapshot, whole_snapshot
from include.object_store.registration_journal import read_journal
from include.object_store.snapshots import CurrentSnapshot, DatasetFolder, SnapshotFolder, read_current

LISTS_S: Final = 30.0
"""How long the lists of projects, and what is in the workspace, count."""

DESCRIPTIONS_S: Final = 60.0
"""How long a dataset's counts count in the list of projects."""

TARGET_S: Final = 5.0
"""How long it counts which snapshot a dataset is shown from."""

INDEX_WAIT_S: Final = 1.5
"""How long a request waits for an index; most are made by then."""

_CARDS_WAIT_S: Final = 2.0
_COMPARISON_WAIT_S: Final = 3600.0
_DESCRIBERS: Final = 8
_LIVE_KEPT: Final = 1_000
_RETRY_S: Final = 1.0
_TYPES: Final[tuple[DatasetType, ...]] = ("train", "test")
_SHARE_OF_COMPARISON: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What a dataset is to be shown from.

    :ivar is_live: whether it is the dataset as it is, and not one of its snapshots
    :ivar base: that its changes are against
    :ivar known: its entries; None where the snapshot has to do
    """

    name: DatasetName
    slug: str
    is_live: bool
    facts: SnapshotFacts | None
    base: SnapshotFacts | None
    known: KnownEntries | None

    @property
    def file(self) -> str:
        """The catalog's file, another one for everything that makes another catalog."""
        parts = (
            self.facts.snapshot_id if self.facts else "",
            self.base.snapshot_id if self.base else "",
            self.known.origin if self.known else "",
        )
        return f"{self.slug}-{'live' if self.is_live else 'snapshot'}-{_digest(*parts)}.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDataset:
    """A catalog with its state: while it is shown, the version names what is seen.

    :ivar is_outdated: whether a newer catalog is being made
    """

    catalog: Catalog
    revision: int
    is_outdated: bool = False

    @property
    def version(self) -> str:
        """Differs whenever what is shown differs."""
        return f"{self.catalog.path.stem.rpartition('-')[2]}-{self.revision}"


class Datasets:
    """All datasets that the gallery shows; one for an application, safe to share between threads.

    :param folder: on local disk, for indexes and entries
    :ivar views: of recent requests
    :ivar counts: of datasets and of recent views
    """

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.views = Views()
        self.snapshots = SnapshotReader()
        self._cache = Cache(folder)
        self.counts = CountsReader()
        self._lock = threading.Lock()
        self._live: LRUCache[str, LiveEntries] = LRUCache(_LIVE_KEPT)
        self._shown: dict[str, Path] = {}
        self._recent = Recent()
        self._threads = ThreadPoolExecutor(_DESCRIBERS, thread_name_prefix="gallery datasets")

    # For the routes

    def projects(self) -> Projects:
        """Every project of Rekognition and of the workspace, with its datasets."""
        problem: Problem | None = None
        found: dict[str, ServiceProject] = {}
        try:
            found = {project.name: project for project in self._service_projects()}
        except CustomLabelsError as error:
            problem = Problem.of(error)
        names = {
            DatasetName(project=project.name, dataset_type=dataset.dataset_type)
            for project in found.values()
            for dataset in project.datasets
        } | set(self._workspace_datasets())
        cards = self._cards(sorted(names, key=str), found)
        return Projects(
            projects=[
                ProjectCard(
                    project=project,
                    status=found[project].status if project in found else "",
                    created_at=found[project].created_at if project in found else None,
                    datasets=[
                        cards[name]
                        for type in _TYPES
                        if (name := DatasetName(project=project, dataset_type=type)) in cards
                    ],
                )
                for project in sorted({*found, *(name.project for name in names)})
            ],
            problem=problem,
        )

    def page(self, name: DatasetName, snapshot: str = "") -> DatasetPage:
        """A dataset as the gallery shows it.

        :raises AccessError: DATASET_NOT_FOUND, SNAPSHOT_NOT_FOUND, or why its files cannot be read
        """
        live = self.live(name)
        freshness = live.freshness()
        target = self._target(name, snapshot)
        found = self._open(target)
        current = live.current()
        state = live.state()
        snapshots = self._snapshot_cards(name, current)
        page = DatasetPage(
            card=self._card(name, self._service_dataset(name), state, current, target.facts),
            freshness=freshness,
            version=target.file,
            snapshot_id=target.facts.snapshot_id if target.facts else "",
            base_snapshot_id=target.base.snapshot_id if target.base else "",
            snapshots=snapshots,
        )
        if isinstance(found, Building):
            return msgspec.structs.replace(page, indexing=found.progress)
        counts = self.counts.read(found.catalog, found.revision)
        if found.is_outdated and freshness.state == "current":
            freshness = msgspec.structs.replace(
                freshness, state="reading", read=counts.shown_images, total=counts.shown_images
            )
        return msgspec.structs.replace(
            page,
            freshness=freshness,
            version=found.version,
            snapshot_id=found.catalog.facts.snapshot_id,
            base_snapshot_id=found.catalog.facts.base_snapshot_id,
            shown_images=counts.shown_images,
            labelled=counts.labelled,
            unlabelled=counts.shown_images - counts.labelled,
            boxed=counts.boxed,
            labels=counts.labels,
            states=counts.states,
            reasons=counts.reasons,
            errors=counts.errors,
            changes=counts.changes,
        )

    def shown(self, name: DatasetName, snapshot: str = "") -> ShownDataset:
        """The dataset's catalog as it is now: after `LiveEntries.put`, with what was put.

        :param snapshot: id, or empty for the dataset as it is
        :raises DatasetConflictError: DATASET_INDEXING, where it is still being made
        :raises AccessError: DATASET_NOT_FOUND, SNAPSHOT_NOT_FOUND, or why its files cannot be read
        """
        found = self._open(self._target(name, snapshot))
        if isinstance(found, Building):
            raise _indexing(name, found.progress)
        return found

    def catalog(self, name: DatasetName, snapshot: str = "") -> Catalog:
        """The catalog of `shown`."""
        return self.shown(name, snapshot).catalog

    def live(self, name: DatasetName) -> LiveEntries:
        """The dataset's entries."""
        slug = self._slug(name)
        with self._lock:
            if slug not in self._live:
                self._live[slug] = LiveEntries(name, self.services, self._cache, self.snapshots, self.arn, slug=slug)
            return self._live[slug]

    def arn(self, name: DatasetName, *, anew: bool = False) -> str:
        """The dataset's ARN; empty where Rekognition has none.

        :param anew: ask Rekognition, whatever it answered a moment ago
        :raises CustomLabelsError: Rekognition cannot be asked
        """
        if anew:
            self._recent.forget(("projects",))
        found = self._service_dataset_of(name, self._service_projects())
        return found.dataset_arn if found else ""

    def comparison(self, name: DatasetName, before: str, after: str) -> ComparisonFile:
        """The differences between two snapshots.

        :param before: id; empty for nothing
        :raises DatasetConflictError: DATASET_INDEXING, where they are still being found
        :raises AccessError: SNAPSHOT_NOT_FOUND, or why they cannot be read
        """
        found = self._comparison(name, self.snapshot(name, before) if before else None, self.snapshot(name, after))
        if isinstance(found, Building):
            if not found.wait(INDEX_WAIT_S):
                raise _indexing(name, found.progress)
            return self.comparison(name, before, after)
        return ComparisonFile(found)

    def snapshot(self, name: DatasetName, snapshot: str) -> SnapshotFacts:
        """A snapshot of the dataset.

        :raises AccessError: SNAPSHOT_NOT_FOUND, or what S3 answers
        """
        facts = self.snapshots.read(self.services.s3(), self._folder(name), snapshot)
        if facts is None:
            raise AccessError(
                "SNAPSHOT_NOT_FOUND",
                f"{name} has no snapshot {snapshot}.",
                "Choose one of the dataset's snapshots; it may have been removed from the workspace.",
            )
        return facts

    def snapshot_shown(self, name: DatasetName, snapshot: str = "") -> tuple[SnapshotFolder, SnapshotFacts]:
        """The objects of the snapshot that is shown.

        :raises AccessError: SNAPSHOT_NOT_FOUND where there is none, or what S3 answers
        """
        facts = self._target(name, snapshot).facts
        if facts is None:
            raise AccessError(
                "SNAPSHOT_NOT_FOUND",
                f"{name} has no snapshot.",
                "Import images to make one; what is shown is in Rekognition alone.",
            )
        return self._folder(name).snapshot(facts.snapshot_id), facts

    # Catalogs

    def _target(self, name: DatasetName, snapshot: str) -> _Target:
        facts, base, known = None, None, None
        live = self.live(name)
        s3, folder = self.services.s3(), self._folder(name)
        if snapshot:
            facts = self.snapshot(name, snapshot)
        else:
            known = live.usable()
            facts = self._live_snapshot(name, live.current())
            if facts is None and known is None and not live.arn():
                raise AccessError(
                    "DATASET_NOT_FOUND",
                    f"There is no dataset {name}, neither in Rekognition nor in the workspace.",
                    "Choose a dataset from the list of projects, or import images to create one.",
                )
        if facts is not None:
            found = facts
            base = self._recent.read(
                ("base", self._slug(name), facts.snapshot_id), LISTS_S, lambda: self.snapshots.before(s3, folder, found)
            )
        return _Target(name=name, slug=self._slug(name), is_live=not snapshot, facts=facts, base=base, known=known)

    def _live_snapshot(self, name: DatasetName, current: CurrentSnapshot | None) -> SnapshotFacts | None:
        """The registered snapshot, else the newest."""
        s3, folder = self.services.s3(), self._folder(name)
        if current is not None and (facts := self.snapshots.read(s3, folder, current.snapshot_id)):
            return facts
        return self._recent.read(("newest", self._slug(name)), TARGET_S, lambda: self.snapshots.newest(s3, folder))

    def _open(self, target: _Target) -> ShownDataset | Building:
        """The catalog; while it is made, the one that was shown before."""
        found = self._cache.get(target.file, partial(self._build, target))
        if isinstance(found, Building) and found.wait(0 if self._older(target) else INDEX_WAIT_S):
            found = self._cache.find(target.file) or found
        if isinstance(found, Building):
            older = self._older(target)
            return self._current(target, older, is_outdated=True) if older else found
        if target.is_live and self._shown.get(target.slug) != found:
            self._shown[target.slug] = found
            for file in self._cache.names():
                if file.startswith(f"{target.slug}-live-") and file != target.file:
                    self._cache.remove(file)
        return self._current(target, found)

    def _older(self, target: _Target) -> Path | None:
        path = self._shown.get(target.slug) if target.is_live else None
        return path if path is not None and path.exists() else None

    def _current(self, target: _Target, path: Path, *, is_outdated: bool = False) -> ShownDataset:
        """The catalog with all entries that were put since it was made."""
        catalog = Catalog(path)
        live = self.live(target.name)
        known = live.known() if target.is_live and catalog.facts.entries_origin else None
        if known is not None and known.origin == catalog.facts.entries_origin:
            revision = catalog.entries_revision()
            if known.revision > revision:
                catalog.put(live.lines_since(revision), known.revision)
        return ShownDataset(catalog=catalog, revision=catalog.revision, is_outdated=is_outdated)

    def _build(self, target: _Target, path: Path, progress: Progress) -> None:
        """Make a catalog's file."""
        facts, base, known = target.facts, target.base, target.known
        s3 = self.services.s3()
        is_manifest = known is not None and facts is not None and known.snapshot_id == facts.snapshot_id
        entries = self.live(target.name).lines() if known is not None and not is_manifest else None
        if facts is None:
            sources = Sources(entries=entries, expected_images=0)
        else:
            snapshot = whole_snapshot(s3, self._folder(target.name), facts.snapshot_id)
            changes = None
            if base is not None:
                changes = self._changes(target.name, base, facts, progress)
            sources = Sources(
                bucket=facts.bucket or _bucket_of(snapshot),
                ledger=snapshot.ledger_rows(),
                manifest=snapshot.manifest_lines(),
                entries=entries,
                are_entries_of_manifest=is_manifest,
                changes=changes,
                expected_images=facts.objects,
            )
        made_from = Facts(
            snapshot_id=facts.snapshot_id if facts else "",
            base_snapshot_id=base.snapshot_id if base else "",
            entries_origin=known.origin if known else "",
        )
        start = _SHARE_OF_COMPARISON if base is not None else 0.0
        # Entries that were saved before are taken in when the catalog is opened, and no harm is done to do it twice.
        build_catalog(path, sources, made_from, lambda share: progress(start + share * (1 - start)))

    def _changes(
        self, name: DatasetName, base: SnapshotFacts, facts: SnapshotFacts, progress: Progress
    ) -> Iterator[ImageChange]:
        found = self._comparison(name, base, facts)
        while isinstance(found, Building):
            if found.wait(_RETRY_S):
                found = self._comparison(name, base, facts)
            else:
                progress(found.progress * _SHARE_OF_COMPARISON)
        return ComparisonFile(found).changes()

    def _comparison(self, name: DatasetName, before: SnapshotFacts | None, after: SnapshotFacts) -> Path | Building:
        folder = self._folder(name)

        def build(path: Path, progress: Progress) -> None:
            s3 = self.services.s3()
            build_comparison(
                path,
                whole_snapshot(s3, folder, before.snapshot_id).contents()
                if before
                else Snapshot(manifest=(), objects=()),
                whole_snapshot(s3, folder, after.snapshot_id).contents(),
                progress,
                expected=max(after.images, before.images if before else 0),
            )

        digest = _digest(before.snapshot_id if before else "", after.snapshot_id)
        return self._cache.get(f"{self._slug(name)}-comparison-{digest}.sqlite", build)

    # Cards

    def _cards(self, names: list[DatasetName], projects: dict[str, ServiceProject]) -> dict[DatasetName, DatasetCard]:
        """Cards of datasets; of those about which nothing could be found out in time, with their names alone."""
        found: dict[DatasetName, Future[DatasetCard]] = {}
        datasets = {name: self._service_dataset_of(name, projects.values()) for name in names}
        for name in names:
            found[name] = self._threads.submit(self._listed_card, name, datasets[name])
        wait(found.values(), timeout=_CARDS_WAIT_S)
        return {
            name: card.result() if card.done() else self._card(name, datasets[name], None, None, None, looks=False)
            for name, card in found.items()
        }

    def _listed_card(self, name: DatasetName, dataset: ServiceDataset | None) -> DatasetCard:
        def read() -> DatasetCard:
            found = read_current(self.services.s3(), self._folder(name))
            current = found[0] if found else None
            state = None
            if dataset is not None:
                try:
                    state = self._recent.read(
                        ("state", dataset.dataset_arn),
                        DESCRIPTIONS_S,
                        lambda: self.services.datasets().describe(dataset.dataset_arn),
                    )
                except CustomLabelsError:
                    # Its status is known all the same, and the counts are shown as not known.
                    state = None
            return self._card(name, dataset, state, current, self._live_snapshot(name, current))

        status = dataset.status if dataset else ""
        return self._recent.read(("card", self._slug(name), status), LISTS_S, read)

    def _card(
        self,
        name: DatasetName,
        dataset: ServiceDataset | None,
        state: DatasetState | None,
        current: CurrentSnapshot | None,
        facts: SnapshotFacts | None,
        *,
        looks: bool = True,
    ) -> DatasetCard:
        arn = dataset.dataset_arn if dataset else ""
        holder = (
            self._recent.read(("working", self._slug(name)), TARGET_S, lambda: self._working(name)) if looks else None
        )
        is_saving = holder is not None and holder.dag_id == HOLDER
        return DatasetCard(
            project=name.project,
            dataset_type=name.dataset_type,
            dataset_arn=arn,
            status=state.status if state else (dataset.status if dataset else ""),
            status_message=state.status_message if state else (dataset.status_message if dataset else ""),
            images=state.images if state else None,
            labelled=state.labelled if state else None,
            labels=state.labels if state else None,
            errors=state.errors if state else None,
            updated_at=state.updated_at if state else None,
            snapshot_id=facts.snapshot_id if facts else "",
            is_registered=bool(current and facts and arn)
            and current is not None
            and facts is not None
            and (current.snapshot_id, current.dataset_arn) == (facts.snapshot_id, arn),
            last_run=facts.run if facts else None,
            working=RunLink(dag_id=holder.dag_id, run_id=holder.run_id) if holder and not is_saving else None,
            is_saving=is_saving,
        )

    def _working(self, name: DatasetName) -> Holder | None:
        """Who holds the dataset's lease and has not ended."""
        lease = read_journal(self.services.s3(), self._folder(name)).lease
        if lease is None or lease.expires_at <= datetime.now(UTC) or self.services.runs().has_ended(lease.holder):
            return None
        return lease.holder

    def _snapshot_cards(self, name: DatasetName, current: CurrentSnapshot | None) -> list[SnapshotCard]:
        found = self._recent.read(
            ("snapshots", self._slug(name), current.snapshot_id if current else ""),
            LISTS_S,
            lambda: self.snapshots.all(self.services.s3(), self._folder(name)),
        )
        return [
            SnapshotCard(
                snapshot_id=facts.snapshot_id,
                as_of=facts.as_of,
                images=facts.images,
                is_current=current is not None and current.snapshot_id == facts.snapshot_id,
                action=facts.action,
                run=facts.run,
            )
            for facts in found
        ]

    # What there is

    def _service_projects(self) -> list[ServiceProject]:
        return self._recent.read(("projects",), LISTS_S, lambda: self.services.datasets().projects())

    def _service_dataset(self, name: DatasetName) -> ServiceDataset | None:
        try:
            return self._service_dataset_of(name, self._service_projects())
        except CustomLabelsError:
            # The freshness says why.
            return None

    @staticmethod
    def _service_dataset_of(name: DatasetName, projects: Iterable[ServiceProject]) -> ServiceDataset | None:
        return next(
            (
                dataset
                for project in projects
                if project.name == name.project
                for dataset in project.datasets
                if dataset.dataset_type == name.dataset_type
            ),
            None,
        )

    def _workspace_datasets(self) -> list[DatasetName]:
        """Datasets that have a folder in the workspace."""

        def read() -> list[DatasetName]:
            s3, root = self.services.s3(), self.services.workspace().folder
            projects = list_folders(s3, S3FolderLocation(root.bucket, f"{root.prefix}datasets/"))
            found = self._threads.map(lambda prefix: list_folders(s3, S3FolderLocation(root.bucket, prefix)), projects)
            return [
                DatasetName(project=project.rstrip("/").rpartition("/")[2], dataset_type=type)
                for project, folders in zip(projects, found, strict=True)
                for type in _TYPES
                if f"{project}{type}/" in folders
            ]

        return self._recent.read(("workspace", str(self.services.workspace().folder)), LISTS_S, read)

    def _folder(self, name: DatasetName) -> DatasetFolder:
        return name.folder(self.services.workspace())

    def _slug(self, name: DatasetName) -> str:
        """The dataset's part of the names of its files; a project's name may be that of a folder above."""
        return _digest(str(self.services.workspace().folder), name.project, name.dataset_type)


def _bucket_of(snapshot: RegisteredSnapshot) -> str:
    """The bucket of a snapshot's images, from its first line; empty where it has none."""
    line = next(snapshot.manifest_lines(), None)
    return read_entry(line)[0].split("/", 3)[2] if line else ""


def _type_order(name: DatasetName) -> int:
    return _TYPES.index(name.dataset_type)


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _indexing(name: DatasetName, progress: float) -> DatasetConflictError:
    return DatasetConflictError(
        "DATASET_INDEXING",
        f"The images of {name} are being prepared: {progress:.0%}.",
        "Wait a moment; it is done once for each snapshot.",
        retry_after_s=_RETRY_S,
    )
