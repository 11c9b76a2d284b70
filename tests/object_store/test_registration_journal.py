"""The journal is written under a condition, and the lease has one holder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat

import msgspec
import pytest

from include.custom_labels.errors import DatasetConflictError
from include.object_store import registration_journal
from include.object_store.registration_journal import (
    LEASE,
    HeldJournal,
    Holder,
    Journal,
    Registration,
    Replacement,
    read_journal,
)
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder, Workspace
from include.object_store.streams import read_json
from tests.fixtures.places import Place

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
ONE, TWO = Holder("refresh_example", "one"), Holder("import_s3_folder", "two")
FOLDER = "s3://example-images/alexa-devices/"
SENT = {FOLDER: "s3://example-workspace/a.parquet"}


@pytest.fixture
def session(place: Place) -> S3Session:
    return S3Session(place.s3)


@pytest.fixture
def dataset(place: Place) -> DatasetFolder:
    return Workspace.parse(f"s3://{place.workspace}/x").dataset("example-project", "train")


def take(session: S3Session, dataset: DatasetFolder, holder: Holder, **more: object) -> HeldJournal:
    now, ended = more.get("now", NOW), more.get("ended", False)
    return HeldJournal.take(session, dataset, holder, now=now, has_ended=lambda _: bool(ended))  # type: ignore[arg-type]


def test_the_life_of_a_registration(session: S3Session, dataset: DatasetFolder) -> None:
    assert read_journal(session, dataset) == Journal()
    held = take(session, dataset, ONE)
    replacement = Replacement(dataset_arn="arn", entries="s3://example-workspace/e.manifest", count=3)
    registration = Registration(holder=ONE, plan="s3://example-workspace/plan.json", step="delete", dataset_arn="arn")
    held.write(sent=SENT, replacement=replacement, registration=registration)
    resumed = HeldJournal.resume(session, dataset, ONE)
    assert resumed.journal.replacement == replacement
    assert resumed.journal.sent == SENT
    assert resumed.journal.registration == registration
    resumed.release()
    # What is not done stays for the next run.
    left = read_journal(session, dataset)
    assert (left.lease, left.registration, left.replacement) == (None, registration, replacement)
    take(session, dataset, TWO).commit("s3://example-images/another/")
    # It is not for another import to tell what this one has sent.
    assert read_journal(session, dataset) == Journal(sent=SENT)
    assert read_journal(session, dataset).is_open_for(FOLDER)
    assert not read_journal(session, dataset).is_open_for("s3://example-images/another/")
    remainder = Replacement(dataset_arn="arn", entries="s3://example-workspace/r.manifest", count=1, is_remainder=True)
    take(session, dataset, TWO).commit(FOLDER, remainder)
    # What is for other imports to bring back leaves nothing for this one to close.
    assert read_journal(session, dataset) == Journal(replacement=remainder)
    assert not read_journal(session, dataset).is_open_for(FOLDER)
    take(session, dataset, TWO).commit(FOLDER)
    assert read_journal(session, dataset) == Journal()


def test_one_run_at_a_time(session: S3Session, dataset: DatasetFolder) -> None:
    take(session, dataset, ONE)
    with pytest.raises(DatasetConflictError) as caught:
        take(session, dataset, TWO)
    assert caught.value.code == "DATASET_LEASED"
    assert "The run one of refresh_example" in caught.value.message
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        HeldJournal.resume(session, dataset, TWO)
    # A task that is run again has the lease already.
    take(session, dataset, ONE)


def racing(monkeypatch: pytest.MonkeyPatch, others: Iterator[Callable[[], object]]) -> None:
    """Let somebody else act whenever the journal has been read, until there is nobody left."""

    def read(*arguments: object) -> object:
        found = read_json(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(registration_journal, "read_json", read_json)
        next(others, lambda: None)()
        monkeypatch.setattr(registration_journal, "read_json", read)
        return found

    monkeypatch.setattr(registration_journal, "read_json", read)


def test_of_two_at_the_same_moment_the_second_is_told_who_holds_the_lease(
    session: S3Session, dataset: DatasetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    racing(monkeypatch, iter([lambda: take(session, dataset, ONE)]))
    with pytest.raises(DatasetConflictError) as caught:
        take(session, dataset, TWO)
    assert caught.value.code == "DATASET_LEASED"
    assert msgspec.convert(caught.value.details["holder"], Holder) == ONE
    assert caught.value.details["expires_at"] == (NOW + LEASE).isoformat()


def test_a_lease_that_somebody_was_faster_to_take_and_give_back_is_taken(
    session: S3Session, dataset: DatasetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pass_by() -> None:
        take(session, dataset, ONE).release()

    racing(monkeypatch, repeat(pass_by, 3))
    lease = take(session, dataset, TWO).journal.lease
    assert lease is not None
    assert lease.holder == TWO


@pytest.mark.parametrize("more", [{"ended": True}, {"now": NOW + LEASE + timedelta(seconds=1)}])
def test_the_lease_of_a_run_that_ended_is_taken_over(
    session: S3Session, dataset: DatasetFolder, more: dict[str, object]
) -> None:
    old = take(session, dataset, ONE)
    old.write(sent=SENT)
    new = take(session, dataset, TWO, **more)
    assert new.journal.sent == SENT
    # The old one may still be alive: it finds out at its next write.
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        old.write(replacement=None)
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        old.commit(FOLDER)
    assert read_journal(session, dataset) == new.journal


def test_a_short_lease_is_renewed_and_released(session: S3Session, dataset: DatasetFolder) -> None:
    short = timedelta(minutes=15)
    take(session, dataset, TWO).write(sent=SENT)
    held = HeldJournal.take(session, dataset, ONE, now=NOW, has_ended=lambda _: True, lease=short)
    held.renew(NOW + short, short)
    with pytest.raises(DatasetConflictError, match="DATASET_LEASED"):
        take(session, dataset, TWO, now=NOW + short)
    held.release()
    # What a run left under way stays for the next run.
    assert read_journal(session, dataset) == Journal(sent=SENT)
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        held.renew(NOW, short)
    # Whoever dies holds nothing up for long.
    HeldJournal.take(session, dataset, ONE, now=NOW, has_ended=lambda _: False, lease=short)
    with pytest.raises(DatasetConflictError, match="DATASET_LEASED"):
        take(session, dataset, TWO, now=NOW)
    take(session, dataset, TWO, now=NOW + short)


def test_runs_of_the_same_name_in_two_airflows_are_two_holders(session: S3Session, dataset: DatasetFolder) -> None:
    here, there = Holder("refresh", "manual", "one Airflow"), Holder("refresh", "manual", "another")
    take(session, dataset, here)
    with pytest.raises(DatasetConflictError, match="DATASET_LEASED"):
        take(session, dataset, there)
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        HeldJournal.resume(session, dataset, there)
