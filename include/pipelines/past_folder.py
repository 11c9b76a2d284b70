"""What a run as of the past does besides: list a folder as it was, and bring back the bytes that it held."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import Any

from include.custom_labels.errors import AccessError
from include.custom_labels.history import history_key, version_name
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import MAX_OBJECT_KEY_BYTES
from include.custom_labels.reasons import Reason
from include.custom_labels.versions import ObjectsAsOf, VersionPage, objects_as_of
from include.object_store.copies import DONE, CopyOutcome, CopyState, ObjectVersion, copy_images
from include.object_store.tables import read_ledger, read_version_ids, write_ledger
from include.object_store.version_listing import Versioning, list_versions
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import COPY_CONNECTIONS, ImportRun, s3_session
from include.pipelines.steps import Progress

_SAMPLE_SIZE = 5
_REASONS = {
    CopyState.MISSING: Reason.VANISHED,
    CopyState.DENIED: Reason.UNREADABLE,
    CopyState.TOO_LARGE: Reason.FILE_TOO_LARGE,
}

log = logging.getLogger(__name__)


def list_past(run: ImportRun, folder: S3FolderLocation) -> Iterator[ObjectsAsOf]:
    """The objects below the folder as they were at the run's time, from the versions that are left.

    :raises AccessError: what S3 answers
    """
    unrecorded = 0

    def seen() -> Iterator[VersionPage]:
        nonlocal unrecorded
        for page in list_versions(run.s3, folder, on_progress=Progress("versions listed")):
            unrecorded += page.unrecorded(run.as_of_second)
            yield page

    yield from objects_as_of(seen(), run.as_of_second)
    if unrecorded:
        log.warning(
            "%s objects were written after %s while the bucket kept no versions: what they replaced is not known.",
            f"{unrecorded:,}",
            run.as_of.isoformat(),
        )


@dataclass(slots=True)
class LaterObjects:
    """In a bucket without versions, the objects that were written after the time that a run is as of."""

    run: ImportRun
    folder: S3FolderLocation
    versioning: Versioning
    count: int = 0
    samples: list[str] = field(default_factory=list)

    def seen(self, page: ObjectPage) -> ObjectPage:
        """Look at a page, and hand it on."""
        as_of = self.run.as_of_second
        if max(page.last_modified, default="") > as_of:
            later = [key for key, written in zip(page.keys, page.last_modified, strict=True) if written > as_of]
            self.count += len(later)
            self.samples += later[: _SAMPLE_SIZE - len(self.samples)]
        return page

    def report(self, *, accepted: bool) -> None:
        """Say what cannot be known of that time.

        :raises AccessError: VERSIONS_NEEDED, unless it is accepted
        """
        some = f", such as {', '.join(map(repr, self.samples))}" if self.samples else ""
        missed = (
            f"s3://{self.folder.bucket} keeps no versions (versioning is {self.versioning.lower()}), so that "
            f"{self.folder} cannot be rebuilt as of {self.run.as_of.isoformat()}. {self.count:,} objects were written "
            f"later{some}: what they overwrote is not known. What was deleted since cannot be known at all."
        )
        if not accepted:
            raise AccessError(
                "VERSIONS_NEEDED",
                missed,
                "Turn versioning on for times to come; to import what is left of this one, set `unversioned` to "
                "`accept`.",
                location=str(self.folder),
                later=self.count,
            )
        log.warning("%s What is left is imported, as `unversioned` accepts.", missed)


class OldVersions:
    """The rows of a listing whose bytes have to be copied from old versions, page by page, and where to.

    :param listing: ``s3://`` address of a listing
    :param first_row: of it that is looked at
    """

    def __init__(self, run: ImportRun, listing: S3Uri, first_row: int = 0) -> None:
        if not isinstance(run.request, S3FolderRequest):
            raise TypeError(f"{type(run.request).__name__} names no S3 folder")
        self._run = run
        self._bucket = run.request.location.bucket
        self._folder = run.request.history(run.workspace.folder)
        self._version_ids = islice(read_version_ids(run.s3, listing), first_row, None)

    def count(self, page: LedgerPage) -> int:
        """How many images of the next rows are concerned.

        :raises AccessError: HISTORY_FOLDER_NEEDED
        """
        found = self.of_page(page)
        return len(found.copies) + len(found.too_long)

    def of_page(self, page: LedgerPage) -> PastPage:
        """The next rows.

        :raises AccessError: HISTORY_FOLDER_NEEDED
        """
        keys, etags = page.objects.keys, page.objects.etags
        found = PastPage(page, {}, {})
        for at, version_id in enumerate(islice(self._version_ids, len(page))):
            if version_id is None or page.states[at] not in IN_MANIFEST:
                continue
            if self._folder is None:
                raise self._no_folder(keys[at])
            place = history_key(self._folder.prefix, version_name(version_id, etags[at]), keys[at])
            if (length := len(place.encode())) > MAX_OBJECT_KEY_BYTES.value:
                found.too_long[at] = length
            else:
                source = ObjectVersion(self._bucket, keys[at], version_id, etags[at])
                found.copies[at] = (source, S3Uri(self._bucket, place))
        return found

    def _no_folder(self, key: str) -> AccessError:
        return AccessError(
            "HISTORY_FOLDER_NEEDED",
            f"Images such as {key!r} have been overwritten or deleted since {self._run.as_of.isoformat()}. Their old "
            f"versions have to be copied within s3://{self._bucket}, and the workspace {self._run.workspace.folder} is "
            "in another bucket.",
            f"Give an S3 folder in s3://{self._bucket}/ in `history_folder`.",
            location=f"s3://{self._bucket}",
        )


@dataclass(frozen=True, slots=True)
class PastPage:
    """A ledger page and the copies that its rows need, by their place in it.

    :ivar too_long: rows whose copies would have a key that S3 does not take, with its length in bytes
    """

    page: LedgerPage
    copies: dict[int, tuple[ObjectVersion, S3Uri]]
    too_long: dict[int, int]

    def moved(self, outcomes: Mapping[int, CopyOutcome]) -> LedgerPage:
        """The page with the places of the copies, and with what could not be copied in quarantine."""
        if not self.copies and not self.too_long:
            return self.page
        page = self.page
        places: list[str | None] = [None] * len(page)
        etags = list(page.objects.etags)
        moved = replace(
            page,
            objects=replace(page.objects, etags=etags, places=places),
            states=list(page.states),
            reasons=list(page.reasons),
            details=list(page.details),
        )
        for at, length in self.too_long.items():
            _quarantine(moved, at, Reason.HISTORY_KEY_TOO_LONG, f"{length:,} bytes")
        for at, outcome in outcomes.items():
            if outcome.state in DONE:
                places[at], etags[at] = outcome.target.key, outcome.etag
            else:
                reason = Reason.CHANGED if outcome.code == "OBJECT_CHANGED" else _REASONS.get(outcome.state)
                _quarantine(moved, at, reason or Reason.COPY_FAILED, f"{outcome.code}: {outcome.detail}")
        return moved


def located(shards: list[dict[str, Any]], listing: S3Uri) -> list[dict[str, Any]]:
    """The shards with their place in the listing, for `bring_versions`."""
    rows = accumulate((shard["objects"] for shard in shards), initial=0)
    return [shard | {"listing": str(listing), "first_row": row} for shard, row in zip(shards, rows, strict=False)]


def bring_versions(run: ImportRun, shard: dict[str, Any]) -> dict[str, Any]:
    """Copy the images of a shard that are not at their key any more from their versions.

    A version is copied once, whatever number of snapshots need it; a second try goes on where the first one ended.
    What cannot be copied is quarantined.

    :returns: the shard, with a ledger that says where the bytes are now
    :raises AccessError: what S3 answers
    """
    old = OldVersions(run, S3Uri.parse(shard["listing"]), shard["first_row"])
    pages = [old.of_page(page) for page in read_ledger(run.s3, S3Uri.parse(shard["ledger"]))]
    plan = [copy for page in pages for copy in page.copies.values()]
    session = s3_session(run.request.aws_conn_id, connections=COPY_CONNECTIONS)
    outcomes = copy_images(session, session, plan, on_progress=Progress("old versions copied", len(plan)))
    stored = write_ledger(
        run.s3,
        run.staged(f"brought/{shard['shard']:04}.parquet"),
        (page.moved({at: next(outcomes) for at in page.copies}) for page in pages),
    )
    return shard | {"ledger": str(stored.uri)}


def _quarantine(page: LedgerPage, at: int, reason: Reason, detail: str) -> None:
    page.states[at], page.reasons[at], page.details[at] = State.QUARANTINED, reason, detail
