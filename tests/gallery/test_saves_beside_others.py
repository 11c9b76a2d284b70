"""Saves while runs, other saves and people work on the same dataset: they wait, and nobody's work is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.processes import wait_until
from include.gallery import save_plan, save_work
from include.gallery.fenced_dataset import FencedDataset
from include.gallery.messages import RunLink, Save
from include.gallery.save_lease import HOLDER, LEASE, SaveLease
from include.gallery.save_work import SaveRecord
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal, Journal, read_journal
from include.object_store.streams import put_json
from tests.fixtures.existing_datasets import boxed, image_level, make_dataset
from tests.fixtures.places import Place
from tests.gallery.saving import HOSTILE_KEY, Clock, Gallery, assigned, box

pytestmark = pytest.mark.integration

RUN = Holder("import_s3_folder", "run-1")
SENT = {"s3://example-images/alexa-devices/": "s3://example-workspace/a.parquet"}
STARTED = datetime(2026, 11, 24, 17, tzinfo=UTC)


def acting(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, *acts: Callable[[], object]) -> None:
    """Let somebody act right before the first, second … call of a method."""
    original, remaining = getattr(kind, method), iter(acts)

    def call(self: object, *arguments: object, **more: object) -> object:
        next(remaining, lambda: None)()
        return original(self, *arguments, **more)

    monkeypatch.setattr(kind, method, call)


async def test_a_save_while_the_nightly_run_registers_waits_and_says_what_for(gallery: Gallery, tmp_path: Path) -> None:
    run = gallery.held_by(RUN)
    run.write(sent=SENT)
    gallery.services.no_runs.started[RUN] = STARTED
    another_process = Gallery(gallery.place, tmp_path / "another")
    async with gallery.visited() as client, another_process.visited() as elsewhere:
        save_id = await gallery.begun(client, assigned(gallery.ids("a.png"), "white"))
        for found in (await gallery.waits(client, save_id), await another_process.waits(elsewhere, save_id)):
            assert (found.cause, found.run) == ("run", RunLink(dag_id=RUN.dag_id, run_id=RUN.run_id))
            assert run.journal.lease is not None
            assert (found.working_since, found.lease_until) == (STARTED, run.journal.lease.expires_at)
            assert found.until - found.since <= save_work.MAX_WAIT
        assert gallery.services.datasets().updates == []
        run.release()
        assert (await gallery.ended(client, save_id)).state == "saved"
    assert gallery.said()["a.png"] == {"echo", "white"}
    # What the run left under way is left to the next run.
    assert read_journal(gallery.services.s3(), gallery.folder).sent == SENT


async def test_a_run_that_was_killed_is_not_waited_for(gallery: Gallery) -> None:
    gallery.held_by(RUN)
    gallery.services.no_runs.ended.add(RUN)
    assert (await gallery.save(assigned(gallery.ids("a.png"), "white"))).state == "saved"


@pytest.mark.parametrize(
    ("holder", "who"), [(RUN, "The run run-1 of import_s3_folder"), (Holder(HOLDER, "another"), "Another save")]
)
async def test_a_save_does_not_wait_for_ever(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, holder: Holder, who: str
) -> None:
    monkeypatch.setattr(save_work, "MAX_WAIT", timedelta(0))
    held = gallery.held_by(holder)
    save = await gallery.save(assigned(gallery.ids("a.png"), "white"))
    assert save.problem is not None
    assert (save.state, save.waiting, save.problem.code) == ("failed", None, "DATASET_LEASED")
    assert save.problem.message.startswith(who)
    assert gallery.services.datasets().updates == []
    assert read_journal(gallery.services.s3(), gallery.folder) == held.journal


async def test_a_run_that_replaces_the_dataset_is_waited_for_and_its_dataset_is_saved_to(gallery: Gallery) -> None:
    run, arn = gallery.held_by(RUN), str(gallery.place.dataset_arn())
    lines = list(gallery.entries().values())
    async with gallery.visited() as client:
        # The gallery knows the old one, and looks again only when it may.
        assert gallery.datasets.arn(gallery.name) == arn
        gallery.place.rekognition.delete_dataset(DatasetArn=arn)
        assert wait_until(lambda: gallery.place.dataset_arn() is None, deadline_s=20, interval_s=0.05)
        gallery.datasets.arn(gallery.name, anew=True)
        save_id = await gallery.begun(client, assigned(gallery.ids("a.png"), "white"))
        await gallery.waits(client, save_id)
        assert make_dataset(gallery.place, gallery.place.project, "train", lines) != arn
        run.release()
        assert (await gallery.ended(client, save_id)).state == "saved"
    assert gallery.said()["a.png"] == {"echo", "white"}


async def test_saves_at_the_same_moment_wait_for_each_other(gallery: Gallery, tmp_path: Path) -> None:
    others = [Gallery(gallery.place, tmp_path / name) for name in ("one", "two", "three")]
    keys = list(gallery.entries())
    saves = await asyncio.gather(
        *(each.save(assigned(each.ids(*keys), f"label {n}")) for n, each in enumerate((gallery, *others)))
    )
    assert [(save.state, save.problem) for save in saves] == [("saved", None)] * 4
    assert all({f"label {n}" for n in range(4)} <= labels for labels in gallery.said().values())
    # To go back from any of them, its record has what was there right before.
    assert sorted(len(gallery.before(save)["d.png"]) for save in saves) == [1, 2, 3, 4]
    assert read_journal(gallery.services.s3(), gallery.folder) == Journal()


async def test_a_save_that_waits_for_another_save_says_so(gallery: Gallery) -> None:
    other = f"20261124T180000Z-{'0' * 16}"
    held = gallery.held_by(Holder(HOLDER, other))
    record = SaveRecord(
        save=Save(save_id=other, state="sending"), user="another", begun_at=STARTED, updated_at=datetime.now(UTC)
    )
    put_json(gallery.services.s3(), gallery.folder.save(other), record)
    async with gallery.visited() as client:
        save_id = await gallery.begun(client, assigned(gallery.ids("a.png"), "white"))
        waiting = await gallery.waits(client, save_id)
        assert (waiting.cause, waiting.run, waiting.working_since) == ("save", None, STARTED)
        held.release()
        assert (await gallery.ended(client, save_id)).state == "saved"


async def test_a_save_into_a_dataset_that_somebody_updates_waits(gallery: Gallery) -> None:
    gallery.services.datasets().status = "UPDATE_IN_PROGRESS"
    async with gallery.visited() as client:
        save_id = await gallery.begun(client, assigned(gallery.ids("a.png"), "white"))
        waiting = await gallery.waits(client, save_id)
        assert (waiting.cause, waiting.status) == ("operation", "UPDATE_IN_PROGRESS")
        # Their work is not there yet: what the save did now would be lost, or theirs would.
        assert gallery.services.datasets().updates == []
        gallery.person_edits(image_level(gallery.ref("a.png"), "theirs"))
        gallery.services.datasets().status = None
        assert (await gallery.ended(client, save_id)).state == "saved"
    assert gallery.said()["a.png"] == {"theirs", "white"}


async def test_a_dataset_that_is_busy_for_too_long_fails_the_save(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    gallery = Gallery(gallery.place, gallery.datasets._cache.folder, clock)
    gallery.services.datasets().status = "UPDATE_IN_PROGRESS"
    monkeypatch.setattr(save_work, "MAX_WAIT", LEASE / 2)
    async with gallery.visited() as client:
        save_id = await gallery.begun(client, assigned(gallery.ids("a.png"), "white"))
        await gallery.waits(client, save_id)
        clock.passes(LEASE / 2)
        save = await gallery.ended(client, save_id)
    assert save.problem is not None
    assert (save.state, save.problem.code) == ("failed", "DATASET_BUSY")
    assert "UPDATE_IN_PROGRESS" in save.problem.message
    assert read_journal(gallery.services.s3(), gallery.folder) == Journal()


async def test_an_update_that_somebody_began_right_before_ours_is_waited_for(gallery: Gallery) -> None:
    service = gallery.services.datasets()

    def somebody_is_faster() -> None:
        service.before_update = lambda: None
        gallery.person_edits(image_level(gallery.ref("a.png"), "theirs"), waits=False)

    service.before_update = somebody_is_faster
    save = await gallery.save(assigned(gallery.ids("a.png"), "white"))
    assert (save.state, save.sent, save.total) == ("saved", 1, 1)
    assert gallery.said()["a.png"] == {"theirs", "white"}
    assert gallery.before(save) == {"a.png": {"theirs"}}


async def test_an_edit_right_before_sending_is_kept_and_recorded(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = gallery.seen("b.png")
    theirs = (image_level(gallery.ref("a.png"), "theirs"), boxed(gallery.ref("b.png"), "theirs", left=3))
    # Planned and recorded, and not sent yet.
    acting(monkeypatch, FencedDataset, "send", lambda: gallery.person_edits(*theirs))
    save = await gallery.save(
        assigned(gallery.ids("a.png", "d.png"), "white"), gallery.redrawing("b.png", [], box("mine"), seen=seen)
    )
    assert (save.state, save.sent, save.total, [each.key for each in save.conflicts]) == ("saved", 2, 2, ["b.png"])
    assert gallery.said() == {
        "a.png": {"theirs", "white"},
        "b.png": {"theirs"},
        "d.png": {"echo", "white"},
        HOSTILE_KEY: set(),
    }
    # What was not sent after all is not in the record: to go back would undo their work.
    assert gallery.before(save) == {"a.png": {"theirs"}, "d.png": {"echo"}}
    assert gallery.shown() == gallery.said()


async def test_an_edit_between_two_batches_is_kept_and_recorded(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_plan, "SAFE_UPDATE_BYTES", 400)
    keys = sorted(gallery.entries())
    service = gallery.services.datasets()

    def edit_all() -> None:
        # Of the image that was sent, this is the later word; to the others, the save adds its own.
        gallery.person_edits(*(image_level(gallery.ref(key), "theirs") for key in keys))

    acting(monkeypatch, FencedDataset, "send", lambda: None, edit_all)
    save = await gallery.save(assigned(gallery.ids(*keys), "white"))
    assert (save.state, save.sent, save.total) == ("saved", 4, 4)
    (sent_first,) = [key for key in keys if gallery.ref(key).encode() in service.updates[0]]
    assert gallery.said() == {key: {"theirs"} if key == sent_first else {"theirs", "white"} for key in keys}
    before = {"a.png": {"echo"}, "b.png": {"dot"}, HOSTILE_KEY: set(), "d.png": {"echo"}}[sent_first]
    assert gallery.before(save) == {key: before if key == sent_first else {"theirs"} for key in keys}
    assert gallery.shown() == gallery.said()


@pytest.mark.parametrize("batches_before", [0, 1])
async def test_the_record_has_nothing_that_somebody_else_saved_first(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, batches_before: int
) -> None:
    monkeypatch.setattr(save_plan, "SAFE_UPDATE_BYTES", 400)
    keys = sorted(gallery.entries())

    def save_the_same() -> None:
        gallery.person_edits(*(image_level(gallery.ref(key), "white") for key in keys))

    acting(monkeypatch, FencedDataset, "send", *[lambda: None] * batches_before, save_the_same)
    save = await gallery.save(assigned(gallery.ids(*keys), "white"))
    assert (save.state, save.sent, save.total) == ("saved", batches_before, batches_before)
    # To go back to the others' entries would undo the other person's work.
    assert len(gallery.before(save) if save.record else {}) == batches_before
    assert gallery.said() == {key: {"white"} for key in keys}


async def test_an_edit_that_the_time_of_the_last_change_does_not_tell_is_kept(gallery: Gallery) -> None:
    live, service = gallery.datasets.live(gallery.name), gallery.services.datasets()
    live.ensure_current(20)
    state = live.state()
    assert state is not None
    # As if their operation had begun and ended within one look of ours.
    gallery.person_edits(image_level(gallery.ref("a.png"), "theirs"))
    service.updated_at = state.updated_at
    service.before_update = lambda: setattr(service, "updated_at", None)
    save = await gallery.save(assigned(gallery.ids("a.png"), "white"))
    assert (save.state, gallery.said()["a.png"]) == ("saved", {"theirs", "white"})
    assert gallery.before(save) == {"a.png": {"theirs"}}


async def test_an_edit_that_comes_with_a_save_is_shown(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    # After the save's own operation has ended, and before its entries are looked at.
    theirs = image_level(gallery.ref("a.png"), "later")
    acting(monkeypatch, FencedDataset, "entries_of", lambda: None, lambda: gallery.person_edits(theirs))
    save = await gallery.save(assigned(gallery.ids("a.png", "d.png"), "white"))
    assert (save.state, gallery.said()["a.png"]) == ("saved", {"later"})
    assert gallery.shown() == gallery.said()


async def test_a_dataset_that_was_made_anew_meanwhile_is_read_and_planned_with(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = str(gallery.place.dataset_arn())

    def make_anew() -> None:
        gallery.place.rekognition.delete_dataset(DatasetArn=arn)
        assert wait_until(lambda: gallery.place.dataset_arn() is None, deadline_s=20, interval_s=0.05)
        make_dataset(gallery.place, gallery.place.project, "train", [image_level(gallery.ref("a.png"), "theirs")])

    acting(monkeypatch, FencedDataset, "send", make_anew)
    save = await gallery.save(assigned(gallery.ids("a.png", "d.png"), "white"))
    assert (save.state, save.sent, [each.id for each in save.refusals]) == ("saved", 1, gallery.ids("d.png"))
    assert gallery.said() == {"a.png": {"theirs", "white"}}


@pytest.mark.parametrize("batches_before", [0, 1])
@pytest.mark.parametrize("somebody_took_over", [False, True])
async def test_a_save_that_was_stopped_for_longer_than_its_lease_sends_nothing_more(
    place: Place,
    gallery: Gallery,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batches_before: int,
    somebody_took_over: bool,
) -> None:
    clock = Clock()
    monkeypatch.setattr(save_plan, "SAFE_UPDATE_BYTES", 400)
    stopped = Gallery(place, tmp_path / "stopped", clock)

    def stop() -> None:
        clock.passes(LEASE)
        if somebody_took_over:
            HeldJournal.take(stopped.services.s3(), stopped.folder, RUN, now=clock(), has_ended=lambda _: False)

    acting(monkeypatch, FencedDataset, "send", *[lambda: None] * batches_before, stop)
    save = await stopped.save(assigned(stopped.ids(*stopped.entries()), "white"))
    assert save.problem is not None
    assert (save.state, save.problem.code, save.sent) == ("failed", "LEASE_LOST", batches_before)
    assert len(stopped.services.datasets().updates) == batches_before
    lease = read_journal(stopped.services.s3(), stopped.folder).lease
    assert (lease.holder if lease else None) == (RUN if somebody_took_over else None)


async def test_a_save_that_is_stopped_between_its_last_look_and_sending_sends_nothing(
    place: Place, gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    stopped = Gallery(place, tmp_path / "stopped", clock)
    acting(monkeypatch, SaveLease, "check", lambda: None, lambda: clock.passes(LEASE))
    save = await stopped.save(assigned(stopped.ids("a.png"), "white"))
    assert save.problem is not None
    assert (save.problem.code, stopped.services.datasets().updates) == ("LEASE_LOST", [])


async def test_a_save_that_was_stopped_while_it_waited_is_over(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    stopped = Gallery(gallery.place, tmp_path / "stopped", clock)
    run = stopped.held_by(RUN)
    async with stopped.visited() as client:
        save_id = await stopped.begun(client, assigned(stopped.ids("a.png"), "white"))
        await stopped.waits(client, save_id)
        # Every other process says SAVE_INTERRUPTED by now, and people may have saved again.
        clock.passes(LEASE + timedelta(seconds=1))
        run.release()
        save = await stopped.ended(client, save_id)
    assert save.problem is not None
    assert (save.problem.code, stopped.services.datasets().updates) == ("LEASE_LOST", [])
    assert read_journal(stopped.services.s3(), stopped.folder) == Journal()


async def test_saves_that_wait_leave_room_for_others(
    gallery: Gallery, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.gallery.saves.SAVES_AT_ONCE", 1)
    monkeypatch.setattr("include.gallery.saves.SAVES_WAITING", 2)
    run = gallery.held_by(RUN)
    edit = assigned(gallery.ids("a.png"), "white")
    async with gallery.visited() as client:
        saves = []
        for _ in range(2):
            saves.append(await gallery.begun(client, edit))
            await gallery.waits(client, saves[-1])
        refused = await client.post(gallery.path, json={"edits": [edit]})
        assert (refused.status_code, refused.json()["code"]) == (503, "SAVES_BUSY")
        run.release()
        assert {(await gallery.ended(client, save_id)).state for save_id in saves} == {"saved"}
