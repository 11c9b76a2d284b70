"""What imports had sent to a dataset by some time, as far as S3 tells where the journal does not.

A snapshot's ledger says what its import had sent last for each image. What the runs of an import may have sent that
had not ended well is in the document that the last of them wrote before it sent anything; a run that ends well leaves
a snapshot, which closes all documents of its import before it. Of documents that are open, the newest has what the
others have.

An open document may be named by a journal again, since it is what the journal named. A closed one may not: what it
overwrote was reported, and a line of it that people have written since is theirs. A document counts as closed by a
snapshot whose summary says so, and by the one that `current.json` names for its import even where that cannot be read.
Where neither tells, it counts as open: to report work a second time loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from include.custom_labels.errors import DocumentError
from include.custom_labels.ledger import ledger_rows
from include.custom_labels.locations import S3Uri
from include.object_store.listing import list_objects
from include.object_store.sent_digests import read_origin, read_overwritten, read_sent
from include.object_store.session import S3Session
from include.object_store.snapshot_survey import FoundSnapshot, is_registered
from include.object_store.snapshots import Base, DatasetFolder, SnapshotSummary

NOW: Final = "9999"
"""A time after all others, as in a listing."""

_WITHOUT_CLOSING: Final = frozenset({"unchanged", "rebuild"})


@dataclass(frozen=True, slots=True)
class _Registered:
    """A snapshot that was registered, whether its other documents are whole or not."""

    found: FoundSnapshot
    summary: SnapshotSummary

    @property
    def origin(self) -> str:
        return str(self.summary.details.get("origin", ""))

    @property
    def bucket(self) -> str:
        return str(self.summary.details.get("bucket", ""))

    @property
    def slug(self) -> str:
        """Names what its run has left besides; empty where that is not known."""
        return str(self.summary.details.get("run", {}).get("slug", ""))

    @property
    def has_closed(self) -> bool:
        """Whether its run has closed what runs before it had left."""
        registration = self.summary.details.get("registration", {})
        if registration.get("action") not in _WITHOUT_CLOSING:
            return True
        # One that has nothing to write closes the journal where there is something to close.
        journal = registration.get("fingerprint", {}).get("journal", {})
        return registration["action"] == "unchanged" and self.origin in journal.get("sent", {})


@dataclass(frozen=True, slots=True)
class _Document:
    """A document in `sent/`."""

    uri: S3Uri
    slug: str
    origin: str
    written_at: str


class SentHistory:
    """The history of one dataset; times are those of a listing, whose seconds may have several events.

    :param snapshots: all of the dataset
    :param named: the bases that `current.json` names, by origin; a later snapshot of such an import was left by a run
        that did not come to name it
    """

    def __init__(
        self, session: S3Session, dataset: DatasetFolder, snapshots: list[FoundSnapshot], named: Mapping[str, Base]
    ) -> None:
        self._session = session
        self._dataset = dataset
        self._snapshots = snapshots
        self._named = named
        self._ledgers: dict[str, tuple[str, set[tuple[str, bytes]]]] = {}

    def may_be_of(self, found: FoundSnapshot, origin: str) -> bool:
        """Whether an import has registered a snapshot, or nobody can tell whose it is."""
        summary = self._summaries.get(found.snapshot_id)
        return summary is None or (is_registered(summary) and _Registered(found, summary).origin == origin)

    def bucket_of(self, origin: str) -> str:
        """The bucket of an import's images, as its last snapshot says; empty where none does."""
        return next((each.bucket for each in self._registered if each.origin == origin), "")

    def slug_of(self, found: FoundSnapshot) -> str:
        """What else the run that left a snapshot has left is named by this; empty where nobody can tell."""
        summary = self._summaries.get(found.snapshot_id)
        return _Registered(found, summary).slug if summary is not None else ""

    def unfinished(self, moment: str = NOW, *, but: str = "") -> dict[str, S3Uri]:
        """By origin, the document of what unfinished runs may have sent by some time.

        :param but: a run that is left out
        :raises AccessError: what S3 answers
        """
        newest: dict[str, S3Uri] = {}
        for document in self._documents:
            if (
                document.origin not in newest
                and document.written_at <= moment
                and document.slug != but
                and not self._is_closed(document, moment, but)
                and self._is_whole(document.uri)
            ):
                newest[document.origin] = document.uri
        return newest

    def pairs(self, moment: str, *, but: str) -> set[tuple[str, bytes]]:
        """Images by identity, and digests of what any import had last sent for them by some time, or may have.

        :param but: a run that is left out
        :raises AccessError: what S3 answers
        """
        pairs: set[tuple[str, bytes]] = set()
        for origin in {each.origin for each in self._registered}:
            pairs |= self._last_sent(origin, moment, but)
        for uri in self.unfinished(moment, but=but).values():
            pairs.update(read_sent(self._session, uri))
        return pairs

    @cached_property
    def _summaries(self) -> dict[str, SnapshotSummary]:
        read = ((found.snapshot_id, found.read_summary()) for found in self._snapshots)
        return {snapshot_id: summary for snapshot_id, summary in read if summary is not None}

    @cached_property
    def _registered(self) -> list[_Registered]:
        """From the last one on."""
        begun = {found.snapshot_id: found.begun_at for found in self._snapshots}
        ends = {origin: begun.get(base.snapshot_id, NOW) for origin, base in self._named.items()}
        registered = [
            _Registered(found, self._summaries[found.snapshot_id])
            for found in self._snapshots
            if found.snapshot_id in self._summaries and is_registered(self._summaries[found.snapshot_id])
        ]
        known = (each for each in registered if each.found.begun_at <= ends.get(each.origin, NOW))
        return sorted(known, key=lambda each: each.found.begun_at, reverse=True)

    @cached_property
    def _documents(self) -> list[_Document]:
        """Those that tell whose they are, from the newest on."""
        return sorted(self._listed(), key=lambda each: (each.written_at, each.slug), reverse=True)

    def _listed(self) -> Iterator[_Document]:
        folder = self._dataset.sent_documents
        for page in list_objects(self._session, folder):
            for key, written_at in zip(page.keys, page.last_modified, strict=True):
                uri = S3Uri(folder.bucket, key)
                try:
                    origin = read_origin(self._session, uri)
                except DocumentError:
                    continue
                if origin:
                    slug = key.removeprefix(folder.prefix).removesuffix(".parquet")
                    yield _Document(uri, slug, origin, written_at)

    @cached_property
    def _closings(self) -> list[tuple[str, str, str]]:
        """By which import documents were closed, when, and what names its run; that is empty where nobody can tell."""
        begun = {found.snapshot_id: found.begun_at for found in self._snapshots}
        return [
            *((each.origin, each.found.begun_at, each.slug) for each in self._registered if each.has_closed),
            *(
                (origin, begun[base.snapshot_id], "")
                for origin, base in self._named.items()
                if base.snapshot_id in begun and base.snapshot_id not in self._summaries
            ),
        ]

    def _is_closed(self, document: _Document, moment: str, but: str) -> bool:
        return any(
            origin == document.origin
            and not (but and slug == but)
            and document.written_at <= closed_at <= moment
            # Within a second, only a run's own snapshot is known to come after its document.
            and (document.written_at < closed_at or document.slug == slug)
            for origin, closed_at, slug in self._closings
        )

    def _is_whole(self, uri: S3Uri) -> bool:
        try:
            deque(read_sent(self._session, uri), maxlen=0)
            deque(read_overwritten(self._session, uri), maxlen=0)
        except DocumentError:
            return False
        return True

    def _last_sent(self, origin: str, moment: str, but: str) -> set[tuple[str, bytes]]:
        """What the last run of an import that had ended by some time has left as sent."""
        for each in self._registered:
            if each.origin != origin or each.found.begun_at > moment or (but and each.slug == but):
                continue
            snapshot_id = each.found.snapshot_id
            # Times come in their order, so that one ledger of each import is asked for again and again.
            if self._ledgers.get(origin, ("",))[0] != snapshot_id:
                self._ledgers[origin] = snapshot_id, self._sent_by(each)
            if pairs := self._ledgers[origin][1]:
                return pairs
        return set()

    def _sent_by(self, registered: _Registered) -> set[tuple[str, bytes]]:
        """What a ledger says was sent; where it cannot be read, what the run was going to send."""
        head = f"s3://{registered.bucket}/"
        pages = registered.found.readable_ledger()
        if pages:
            return {(head + row.key, row.sent) for page in pages for row in ledger_rows(page) if row.sent is not None}
        own = (document for document in self._documents if document.slug == registered.slug)
        return {
            pair for document in own if self._is_whole(document.uri) for pair in read_sent(self._session, document.uri)
        }
