"""People's work that a dataset does not hold, found again in what runs have written since a base.

Exports and the `entries.manifest` of snapshots have the dataset's entries as they were at some time; whose an entry
was then says what had been sent by then. Ledgers say it themselves. This uses neither Airflow nor the project's hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError
from include.custom_labels.history import identity
from include.custom_labels.ledger import LedgerRow, State, content_of, ledger_rows
from include.custom_labels.outcomes import remembered_work
from include.custom_labels.reasons import Reason
from include.object_store.dataset_survey import DatasetSurvey
from include.object_store.exports import exports_since, readable_lines
from include.object_store.registered_snapshot import RegisteredSnapshot
from include.object_store.sent_history import SentHistory
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder


class WorkAside:
    """The work aside of one dataset.

    :param survey: of the dataset, after its look
    :param live_on: called now and then
    """

    def __init__(
        self,
        session: S3Session,
        dataset: DatasetFolder,
        survey: DatasetSurvey,
        history: SentHistory,
        *,
        live_on: Callable[[], None],
    ) -> None:
        self._session = session
        self._dataset = dataset
        self._survey = survey
        self._history = history
        self._live_on = live_on

    def rows(
        self, bases: Mapping[str, RegisteredSnapshot | None], present: set[str]
    ) -> dict[str, dict[str, LedgerRow]]:
        """Rows with people's entries by origin and key, written down since the base of that origin.

        A base that `current.json` names has all work that was kept aside, up to its import's last run.

        :param bases: by origin; None where no whole snapshot of the origin is left
        :param present: identities of what the dataset holds
        :raises AccessError: what S3 answers
        """
        known = {origin: _identities(base) for origin, base in bases.items()}
        anybodys = frozenset[str]().union(*known.values())
        found: dict[str, dict[str, LedgerRow]] = {}
        for origin, base in bases.items():
            if origin in self._survey.bases:
                continue
            rows = {
                row.key: row
                for name, row in self._since(origin, base)
                # What no base knows may be of any of them.
                if name not in present and (name in known[origin] or name not in anybodys)
            }
            for row in base.ledger_rows() if base and rows else ():
                if row.key in rows and rows[row.key].reason is Reason.WORK_KEPT_ASIDE and not rows[row.key].etag:
                    rows[row.key] = _aside(row, rows[row.key].entry)
            if rows:
                found[origin] = rows
        return found

    def _since(self, origin: str, base: RegisteredSnapshot | None) -> Iterator[tuple[str, LedgerRow]]:
        """Rows by the identities of their images, from the older ones on, of which the last one counts."""
        bucket = base.summary.details.get("bucket") if base else self._history.bucket_of(origin)
        for name, line in self._works(base):
            _, _, place, key = name.split("/", 3)
            bucket = bucket or place
            # A ledger is about the images of one bucket.
            if place == bucket:
                yield name, _aside(LedgerRow(key=key, size_bytes=0), line + b"\n")
        for found in reversed(self._survey.after(base)):
            for page in found.readable_ledger() if self._history.may_be_of(found, origin) else ():
                for row in ledger_rows(page):
                    if (work := remembered_work(row)) is not None:
                        bucket = bucket or _bucket(work)
                        # What was sent by a run that is not the base counts as a person's.
                        yield f"s3://{bucket}/{row.key}", row._replace(entry=work, sent=None)
                self._live_on()

    def _works(self, base: RegisteredSnapshot | None) -> Iterator[tuple[str, bytes]]:
        """People's entries, after their images' identities, as they were before runs replaced or overwrote them."""
        exports = exports_since(self._session, self._dataset, self._survey.written_at(base))
        written = [
            (uri, moment, uri.key.rpartition("/")[2].removesuffix(".manifest")) for uri, moment in exports.items()
        ]
        for found in reversed(self._survey.after(base)):
            uri = self._dataset.snapshot(found.snapshot_id).entries
            written.append((uri, found.begun_at, self._history.slug_of(found)))
        for uri, moment, slug in written:
            sent: set[tuple[str, bytes]] | None = None
            try:
                for line in readable_lines(self._session, uri):
                    self._live_on()
                    # Asked for once there is a line: most snapshots have no such entries.
                    sent = self._history.pairs(moment, but=slug) if sent is None else sent
                    source_ref, entry = read_entry(line)
                    name = identity(source_ref)
                    if name.startswith("s3://") and (name, entry.content) not in sent:
                        yield name, line
            except AccessError as error:
                if error.code != "OBJECT_NOT_FOUND":
                    raise


def bucket_of(rows: Mapping[str, LedgerRow]) -> str:
    """The bucket that the rows' entries name; empty where there are none."""
    return next((_bucket(row.entry) for row in rows.values() if row.entry), "")


def _bucket(entry: bytes) -> str:
    return identity(read_entry(entry)[0]).split("/", 3)[2]


def _identities(base: RegisteredSnapshot | None) -> frozenset[str]:
    """Of all images that a snapshot knows."""
    if base is None:
        return frozenset()
    head = f"s3://{base.summary.details.get('bucket', '')}/"
    return frozenset(head + row.key for row in base.ledger_rows())


def _aside(row: LedgerRow, entry: bytes | None) -> LedgerRow:
    drawn_on = row.drawn_on or content_of(row.etag, row.size_bytes) or None
    return row._replace(state=State.ASIDE, reason=Reason.WORK_KEPT_ASIDE, detail="", entry=entry, drawn_on=drawn_on)
