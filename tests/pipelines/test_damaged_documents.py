"""Each damage of each document is refused while planning, and what `rebuild-base` makes of it loses nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
from typer.testing import CliRunner

from include.custom_labels.__main__ import app
from include.custom_labels.errors import AccessError, DatasetConflictError, DocumentError
from include.custom_labels.ledger import State
from include.custom_labels.locations import S3Uri
from include.custom_labels.reasons import Reason
from include.object_store.exports import read_export
from include.object_store.registration_journal import HeldJournal, read_journal
from include.object_store.snapshots import Base, read_current, read_summary, write_current
from include.object_store.streams import put_bytes, read_bytes
from include.pipelines import runs
from include.pipelines.base_rebuild import BaseRebuild, RebuildOptions
from include.pipelines.boto_datasets import BotoDataset
from include.rekognition import hook
from tests.fixtures.places import HOLDER, Place
from tests.fixtures.registered_datasets import GONE, KEYS, RegisteredDataset

pytestmark = pytest.mark.integration


# To make clients takes longer than all that a run does with them here.
_s3_session, _rekognition_hook = cache(runs.s3_session), cache(runs.rekognition_hook)


@pytest.fixture
def registered(place: Place, monkeypatch: pytest.MonkeyPatch) -> RegisteredDataset:
    monkeypatch.setattr(hook, "requests_per_s", lambda: 1000.0)
    monkeypatch.setattr(runs, "s3_session", _s3_session)
    monkeypatch.setattr(runs, "rekognition_hook", _rekognition_hook)
    return RegisteredDataset(place)


def place_of(here: RegisteredDataset, name: str) -> S3Uri:
    snapshot = here.dataset.snapshot(here.snapshots[-1])
    return {
        "current.json": here.dataset.current,
        "registration.json": here.dataset.registration,
        "summary.json": snapshot.summary,
        "ledger.parquet": snapshot.ledger,
        "manifest": snapshot.manifest,
        "export": here.dataset.export("killed"),
        "sent": here.dataset.sent("killed"),
    }[name]


def edited(data: bytes) -> bytes:
    """As an editor leaves it: as long as before, with a few other characters."""
    name = b'"manifest_sha256": "'
    at = data.index(name) + len(name) if name in data else len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "of another format": lambda data: json.dumps(json.loads(data) | {"format": 3}).encode(),
    "edited": edited,
}
CODES = {"missing": {"DOCUMENT_MISSING"}, "of another format": {"DOCUMENT_FORMAT"}}
JSON = ("current.json", "registration.json", "summary.json")
CASES = [
    (name, kind)
    for name in (*JSON, "ledger.parquet", "manifest", "export", "sent")
    for kind in DAMAGES
    if name in JSON or kind != "of another format"
]


def damage(here: RegisteredDataset, name: str, kind: str) -> None:
    uri = place_of(here, name)
    found = read_bytes(here.session, uri)
    assert found is not None
    damaged = DAMAGES[kind](found[0])
    if name == "registration.json" and kind == "edited":
        damaged = found[0].replace(b"replacement", b"replacemint")
    if damaged is None:
        here.session.client.delete_object(Bucket=uri.bucket, Key=uri.key)
    else:
        put_bytes(here.session, uri, damaged)


class Rebuilding:
    """:ivar said: line by line"""

    def __init__(self, here: RegisteredDataset, *, project: str = "", **options: bool) -> None:
        project = project or here.place.project
        self.said: list[str] = []
        self._rebuild = BaseRebuild(
            here.session,
            BotoDataset(here.place.rekognition, project, "train"),
            here.workspace,
            project,
            "train",
            RebuildOptions(**options),
            say=self.said.append,
        )

    def run(self) -> bool:
        return self._rebuild.run()


def test_a_whole_dataset_is_planned_and_nothing_is_rebuilt(registered: RegisteredDataset) -> None:
    plan, _ = registered.plan()
    assert plan.totals == {"same": len(KEYS) - 1, "kept": 1, "aside": 1}
    before = registered.documents()
    rebuilding = Rebuilding(registered)
    assert not rebuilding.run()
    assert rebuilding.said == ["All documents that a run would use are whole."]
    assert registered.documents() == before


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_damaged_document_is_refused_before_any_write_and_rebuilt_without_loss(
    registered: RegisteredDataset, name: str, kind: str
) -> None:
    exported = [registered.work_aside, registered.work_aside.replace(b"gone", b"gone-too")]
    if name in ("registration.json", "export", "sent"):
        registered.leave_unfinished(exported)
    damage(registered, name, kind)
    before, entries = registered.documents(), registered.entries()

    with pytest.raises(DocumentError) as caught:
        registered.plan()
    assert "rebuild-base" in caught.value.next_step
    assert caught.value.code in CODES.get(kind, {"DOCUMENT_DAMAGED", "DOCUMENT_UNREADABLE"})
    assert (registered.documents(), registered.entries()) == (before, entries)

    dry = Rebuilding(registered, is_dry=True, gives_up_export=True)
    assert dry.run()
    assert registered.documents() == before

    rebuilding = Rebuilding(registered, gives_up_export=True)
    assert rebuilding.run()
    after = registered.documents()
    assert before.keys() <= after.keys(), "nothing is deleted"
    assert registered.entries() == entries
    assert not Rebuilding(registered).run()
    journal = read_journal(registered.session, registered.dataset)
    assert journal.lease is None
    plan, _ = registered.plan()
    assert plan.totals["kept"] == 1, "a person's entry is still a person's"
    assert plan.totals["same"] == len(KEYS) - 1
    # No image of the journal's export exists: what it has is told of, or left there. Other work stays where it was.
    kept = sum(plan.totals.get(outcome, 0) for outcome in ("aside", "removed", "left"))
    if name in ("registration.json", "sent"):
        assert journal.replacement is not None
        assert journal.replacement.count == kept == 2
    else:
        assert kept >= 1


def test_what_is_found_and_done_is_said(registered: RegisteredDataset) -> None:
    damage(registered, "ledger.parquet", "cut off")
    rebuilding = Rebuilding(registered)
    assert rebuilding.run()
    said = "\n".join(rebuilding.said)
    assert "damaged: DOCUMENT_DAMAGED" in said
    assert f"base: {registered.snapshots[0]}" in said
    assert f"dataset: {len(KEYS)} entries; {len(KEYS) - 1} are as they were last sent, and 1 are a person's" in said
    assert "kept aside: 1 entries" in said
    found = read_current(registered.session, registered.dataset)
    assert found is not None
    summary = read_summary(registered.session, registered.dataset, found[0].snapshot_id)
    assert summary is not None
    assert summary.details["rebuilt"]["from"] == registered.snapshots[0]
    assert summary.as_of == datetime(2026, 11, 2, 20, tzinfo=UTC), "no run goes back behind what was registered"
    # The entries as they were are kept, and the work that only the export had.
    entries = read_bytes(registered.session, registered.dataset.snapshot(found[0].snapshot_id).entries)
    assert entries is not None
    assert len(entries[0].splitlines()) == len(KEYS)
    (gone,) = [row for row in registered.ledger(found[0].snapshot_id) if row.key == GONE]
    assert (gone.state, gone.reason, gone.entry) == (State.ASIDE, Reason.WORK_KEPT_ASIDE, registered.work_aside)


def test_work_is_taken_from_a_later_ledger_whose_snapshot_is_not_whole(registered: RegisteredDataset) -> None:
    damage(registered, "manifest", "missing")
    uri = registered.dataset.export("second")
    registered.session.client.delete_object(Bucket=uri.bucket, Key=uri.key)
    assert Rebuilding(registered).run()
    assert registered.plan()[0].totals["aside"] == 1


def test_without_any_whole_snapshot_everything_is_a_persons(registered: RegisteredDataset) -> None:
    for snapshot_id in registered.snapshots:
        put_bytes(registered.session, registered.dataset.snapshot(snapshot_id).summary, b"")
    rebuilding = Rebuilding(registered)
    assert rebuilding.run()
    assert f"dataset: {len(KEYS)} entries; 0 are as they were last sent" in "\n".join(rebuilding.said)
    assert registered.plan()[0].totals == {"same": len(KEYS) - 1, "kept": 1, "aside": 1}


def test_a_dry_run_is_never_the_base(registered: RegisteredDataset) -> None:
    """A snapshot that nobody registered is newer than the one that is damaged."""
    newest = registered.publish(datetime(2026, 11, 3, 20, tzinfo=UTC), registers=False)
    damage(registered, "ledger.parquet", "empty")
    rebuilding = Rebuilding(registered)
    assert rebuilding.run()
    assert f"base: {registered.snapshots[0]}" in "\n".join(rebuilding.said)
    assert newest not in "\n".join(rebuilding.said)


def test_an_import_beside_keeps_its_base(registered: RegisteredDataset) -> None:
    found = read_current(registered.session, registered.dataset)
    assert found is not None
    other = Base(snapshot_id=registered.snapshots[0])
    both = msgspec.structs.replace(found[0], bases={**found[0].bases, "another import": other})
    write_current(registered.session, registered.dataset, both, expected_etag=found[1])
    damage(registered, "ledger.parquet", "empty")
    assert Rebuilding(registered).run()
    found = read_current(registered.session, registered.dataset)
    assert found is not None
    assert found[0].bases["another import"].snapshot_id == registered.snapshots[0]
    assert found[0].bases[registered.origin].snapshot_id == found[0].snapshot_id not in registered.snapshots


def test_an_export_that_is_gone_is_given_up_only_on_demand(registered: RegisteredDataset) -> None:
    registered.leave_unfinished([registered.work_aside])
    damage(registered, "export", "missing")
    with pytest.raises(DatasetConflictError) as caught:
        Rebuilding(registered).run()
    assert caught.value.code == "EXPORT_MISSING"
    assert "--without-export" in caught.value.next_step
    journal = read_journal(registered.session, registered.dataset)
    assert journal.replacement is not None
    assert journal.lease is None
    rebuilding = Rebuilding(registered, gives_up_export=True)
    assert rebuilding.run()
    assert "is no longer named" in "\n".join(rebuilding.said)
    assert read_journal(registered.session, registered.dataset).replacement is None


def test_nobody_is_disturbed(registered: RegisteredDataset) -> None:
    damage(registered, "ledger.parquet", "empty")
    held = HeldJournal.take(
        registered.session, registered.dataset, HOLDER, now=datetime.now(UTC), has_ended=lambda _: False
    )
    before = registered.documents()
    with pytest.raises(DatasetConflictError) as caught:
        Rebuilding(registered).run()
    assert caught.value.code == "DATASET_LEASED"
    assert "--take-lease" in caught.value.next_step
    assert registered.documents() == before
    assert Rebuilding(registered, takes_lease=True).run()
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        held.release()


def test_a_run_that_registers_meanwhile_is_not_overwritten(
    registered: RegisteredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(registered, "ledger.parquet", "empty")
    rebuilding = Rebuilding(registered)
    read = BotoDataset.entries

    def entries(dataset: BotoDataset, arn: str) -> Iterator[bytes]:
        found = read_current(registered.session, registered.dataset)
        assert found is not None
        write_current(registered.session, registered.dataset, found[0], expected_etag=found[1])
        return read(dataset, arn)

    monkeypatch.setattr(BotoDataset, "entries", entries)
    with pytest.raises(DatasetConflictError, match="CURRENT_CHANGED"):
        rebuilding.run()
    assert read_journal(registered.session, registered.dataset).lease is None


def test_what_is_nowhere(registered: RegisteredDataset) -> None:
    with pytest.raises(AccessError, match="NOTHING_IN_WORKSPACE"):
        Rebuilding(registered, project="elsewhere").run()


def test_a_dataset_that_is_gone_keeps_its_documents(registered: RegisteredDataset) -> None:
    registered.place.rekognition.delete_dataset(DatasetArn=registered.arn)
    give_up = time.monotonic() + 30
    while registered.place.dataset_arn() is not None:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    damage(registered, "current.json", "empty")
    rebuilding = Rebuilding(registered)
    assert rebuilding.run()
    assert "dataset: 0 entries" in "\n".join(rebuilding.said)
    plan, _ = registered.plan()
    assert (plan.action, plan.sent) == ("create", len(KEYS))


def test_all_exports_that_no_snapshot_accounts_for_are_named(registered: RegisteredDataset) -> None:
    work = registered.work_aside
    for name in ("one", "two"):
        put_bytes(registered.session, registered.dataset.export(name), work.replace(b"gone", name.encode()))
    put_bytes(registered.session, registered.dataset.registration, b"")
    assert Rebuilding(registered).run()
    journal = read_journal(registered.session, registered.dataset)
    assert journal.replacement is not None
    lines = set(read_export(registered.session, registered.dataset, journal.replacement))
    assert {work.replace(b"gone", name).rstrip() for name in (b"one", b"two")} <= lines


def test_the_command(registered: RegisteredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = registered.place.aws
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.s3_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_REKOGNITION", aws.rekognition_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.secret_key)
    arguments = ["rebuild-base", str(registered.workspace.folder), "--project", registered.place.project]
    arguments += ["--type", "train", "--aws-region", aws.region]
    runner = CliRunner()
    assert runner.invoke(app, arguments).exit_code == 0
    damage(registered, "summary.json", "empty")
    dry = runner.invoke(app, [*arguments, "--dry-run"])
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (1, "Nothing was written.")
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"written: {registered.dataset.current}" in done.stdout
    assert registered.plan()[0].totals["kept"] == 1
    elsewhere = runner.invoke(app, [*arguments[:3], "elsewhere", *arguments[4:]])
    assert (elsewhere.exit_code, "NOTHING_IN_WORKSPACE" in elsewhere.stderr) == (2, True)
