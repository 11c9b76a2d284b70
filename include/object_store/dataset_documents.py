"""The two documents that say what a dataset is: `current.json`, and the journal `registration.json`.

Each registration writes both, so that where one is there and the other is not, the other was lost.
"""

from __future__ import annotations

from include.object_store.documents import missing
from include.object_store.registered_snapshot import find_snapshot
from include.object_store.registration_journal import Journal, find_journal
from include.object_store.session import S3Session
from include.object_store.snapshot_survey import is_registered, survey_snapshots
from include.object_store.snapshots import CurrentSnapshot, DatasetFolder, read_current


def read_documents(session: S3Session, dataset: DatasetFolder) -> tuple[CurrentSnapshot | None, Journal]:
    """Both documents; None and an empty journal where nothing was ever registered.

    :raises DocumentError: one of them is damaged, of another format, or lost
    :raises AccessError: what else S3 answers
    """
    journal = find_journal(session, dataset)
    found = read_current(session, dataset)
    if found is not None:
        if journal is None:
            raise missing(dataset.registration, dataset.current)
        return found[0], journal
    # As long as the first registration is under way, the journal says so.
    if journal in (None, Journal()):
        _check_that_none_was_registered(session, dataset)
    return None, journal or Journal()


def _check_that_none_was_registered(session: S3Session, dataset: DatasetFolder) -> None:
    for found in survey_snapshots(session, dataset):
        snapshot = find_snapshot(session, dataset, found.snapshot_id)
        # Without a summary, which is written last, no run has come as far as to register it.
        if snapshot is not None and is_registered(snapshot.summary):
            raise missing(dataset.current, snapshot.folder.summary)
