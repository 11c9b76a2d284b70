"""All documents of a dataset, each of them read to its end: what is whole, what is damaged, what is gone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import takewhile
from typing import TypeVar

import msgspec

from include.custom_labels.errors import DocumentError
from include.custom_labels.locations import S3Uri
from include.object_store.documents import decode_document, missing
from include.object_store.exports import read_export
from include.object_store.registered_snapshot import RegisteredSnapshot, read_registered
from include.object_store.registration_journal import Journal
from include.object_store.sent_digests import read_sent
from include.object_store.session import S3Session
from include.object_store.snapshot_survey import FoundSnapshot, is_registered, survey_snapshots
from include.object_store.snapshots import Base, CurrentSnapshot, DatasetFolder
from include.object_store.streams import read_bytes

Document = TypeVar("Document", bound=msgspec.Struct)


class DatasetSurvey:
    """What there is of a dataset in the workspace, once `look` has been called.

    :ivar journal: None where it is damaged or gone
    :ivar journal_etag: of the object as it is; None where it is gone
    :ivar current: None where it is damaged or gone
    :ivar current_etag: of the object as it is; None where it is gone
    :ivar bases: the snapshots that `current` names and that are whole, by origin
    :ivar snapshots: all that the dataset has, whole or not, from the one that was written last on
    :ivar damages: what is wrong with anything that a run would use
    :ivar whole_sent: the digests that the journal names and that can be used, by origin
    :ivar has_whole_export: whether the export that the journal names can be used, where it names one
    """

    def __init__(self, session: S3Session, dataset: DatasetFolder) -> None:
        self.journal: Journal | None = None
        self.journal_etag: str | None = None
        self.current: CurrentSnapshot | None = None
        self.current_etag: str | None = None
        self.bases: dict[str, RegisteredSnapshot] = {}
        self.snapshots: list[FoundSnapshot] = []
        self.damages: list[DocumentError] = []
        self.whole_sent: dict[str, str] = {}
        self.has_whole_export = True
        self._session = session
        self._dataset = dataset

    def look(self) -> None:
        """Read everything that a run would use.

        :raises AccessError: what S3 answers
        """
        self.snapshots = survey_snapshots(self._session, self._dataset)
        self.journal, self.journal_etag = self._document(self._dataset.registration, Journal)
        self.current, self.current_etag = self._document(self._dataset.current, CurrentSnapshot)
        if self.current_etag is not None and self.journal_etag is None:
            self.damages.append(missing(self._dataset.registration, self._dataset.current))
        if self.current_etag is None and self.newest_whole:
            snapshot = next(iter(self.newest_whole.values()))
            self.damages.append(missing(self._dataset.current, snapshot.folder.summary))
        self._look_at_bases()
        self._look_at_journal()

    @property
    def named_bases(self) -> dict[str, Base]:
        """What `current.json` names, by origin; in one of an earlier release, its only snapshot."""
        current = self.current
        if current is None:
            return {}
        last = Base(snapshot_id=current.snapshot_id, summary_sha256=current.summary_sha256)
        return current.bases or {current.origin: last}

    @property
    def has_whole_bases(self) -> bool:
        """Whether `current.json` and all snapshots that it names can be used."""
        return self.current is not None and self.bases.keys() == self.named_bases.keys()

    @cached_property
    def newest_whole(self) -> dict[str, RegisteredSnapshot]:
        """By origin, the registered snapshot that was written last of those that are whole; the last one first."""
        newest: dict[str, RegisteredSnapshot] = {}
        for found in self.snapshots:
            snapshot = found.read()
            # What is wrong with one that no run would use is of no interest.
            if snapshot is not None and is_registered(snapshot.summary) and origin_of(snapshot) not in newest:
                with suppress(DocumentError):
                    snapshot.verify()
                    newest[origin_of(snapshot)] = snapshot
        return newest

    def after(self, snapshot: RegisteredSnapshot | None) -> list[FoundSnapshot]:
        """The snapshots that were written after one; all of them where it is None. From the last one on."""
        last = snapshot.summary.snapshot_id if snapshot else ""
        return list(takewhile(lambda found: found.snapshot_id != last, self.snapshots))

    def written_at(self, snapshot: RegisteredSnapshot | None) -> str:
        """When the last object of a snapshot was written, as in a listing; before any time where it is None."""
        times = {found.snapshot_id: found.written_at for found in self.snapshots}
        return times[snapshot.summary.snapshot_id] if snapshot else ""

    def _document(self, uri: S3Uri, kind: type[Document]) -> tuple[Document | None, str | None]:
        found = read_bytes(self._session, uri)
        if found is None:
            return None, None
        with self._noticed():
            return decode_document(uri, found[0], kind), found[1]
        return None, found[1]

    def _look_at_bases(self) -> None:
        if self.current is None:
            return
        for origin, base in self.named_bases.items():
            with self._noticed():
                snapshot = read_registered(self._session, self._dataset, self.current, base)
                snapshot.verify()
                self.bases[origin] = snapshot

    def _look_at_journal(self) -> None:
        for origin, uri in self.journal.sent.items() if self.journal is not None else ():
            with self._noticed():
                deque(read_sent(self._session, S3Uri.parse(uri)), maxlen=0)
                self.whole_sent[origin] = uri
        if self.journal is not None and self.journal.replacement is not None:
            self.has_whole_export = False
            with self._noticed():
                deque(read_export(self._session, self._dataset, self.journal.replacement), maxlen=0)
                self.has_whole_export = True

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except DocumentError as error:
            self.damages.append(error)


def origin_of(snapshot: RegisteredSnapshot) -> str:
    """The import that a snapshot is of."""
    return str(snapshot.summary.details.get("origin", ""))
