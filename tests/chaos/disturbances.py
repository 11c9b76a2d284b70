"""Runs: undisturbed, with faults, killed, paused and overtaken, beside people and each other, and cleared."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from tests.chaos import people, promises
from tests.chaos.commands import CLEARED, LAST, PLANNING, task_id
from tests.chaos.datasets import Part
from tests.chaos.history import SOURCES, History, Past, Running, describe
from tests.chaos.model import Import
from tests.chaos.places import View, second
from tests.chaos.proxy import FAULTS, Trap, Which

_FAILURES: Sequence[dict[str, Any]] = (
    {"operation": "CreateDataset", "message": "The manifest file has too many labels.", "code": "CLIENT_ERROR"},
    {"operation": "CreateDataset", "message": "The service could not finish the operation.", "code": "SERVICE_ERROR"},
    {"operation": "UpdateDatasetEntries", "message": "The manifest file has too many labels.", "code": "CLIENT_ERROR"},
)


PATIENT: Final = 24 * 60
"""Minutes, which no other run or save takes."""

HOLDS_NO_VERSIONS: Final = True
"""Nothing is held where there are point-in-time runs: an image may have two entries then, and the model knows one."""


def draw_import(history: History, rng: random.Random) -> Import:
    """What a run is asked for."""
    origin = people.pick_origin(history, rng)
    more: dict[str, Any] = {}
    if rng.random() < 0.25:
        more["removals"] = "hold"
    if rng.random() < (0.3 if origin == "u" else 0.1) and "overwrite" not in history.without:
        more["human_edits"] = "overwrite"
    if rng.random() < 0.1:
        more["register"] = False
    if rng.random() < 0.3:
        more["run_type"] = "scheduled"
    if rng.random() < 0.2 and "waits" not in history.without:
        more["max_wait_minutes"] = rng.choice([0, 10])
    if origin == "u" and rng.random() < 0.5:
        more["automatic_labeling"] = False
    if SOURCES[origin] == "s3_folder":
        if rng.random() < 0.2:
            more["aliases"] = {rng.choice(people.FOLDERS): rng.choice(people.LABELS)}
        if rng.random() < 0.15:
            more["exclude"] = frozenset([rng.choice(people.FOLDERS)])
        if rng.random() < 0.05:
            more["automatic_labeling"] = False
        if history.is_split:
            more["test_share"] = rng.choice([0.2, 0.4, 0.5])
            more["is_split"] = rng.random() < 0.95
            more["freeze_test"] = rng.random() < 0.15
            more["is_grouped"] = rng.random() < 0.1
    if history.place.keeps_versions and more.get("removals") == "hold" and HOLDS_NO_VERSIONS:
        del more["removals"]
    asked = history.asked(origin, **more)
    if asked.lists_folder and "past" not in history.without and rng.random() < history.past_share:
        return replace(asked, as_of=rng.choice(history.moments()), is_past=True)
    times = sorted({past.asked.as_of for past in history.past})
    if times and asked.lists_folder and rng.random() < 0.2 and "repeated" not in history.without:
        return replace(asked, as_of=rng.choice(times))
    if "repeated" in history.without:
        history.await_another_second()
        return replace(asked, as_of=second(datetime.now(UTC)))
    return asked


def run(history: History, rng: random.Random) -> None:
    """A run that nothing disturbs."""
    history.check_green(history.run(draw_import(history, rng)))


def dry_then_real(history: History, rng: random.Random) -> None:
    """Two runs as of the same time that differ in one parameter."""
    asked = draw_import(history, rng)
    first = {
        "register": replace(asked, register=False),
        "removals": asked if history.place.keeps_versions and HOLDS_NO_VERSIONS else replace(asked, removals="hold"),
        "human_edits": replace(asked, human_edits="keep"),
    }[
        rng.choice(
            ["register", "removals"] if "overwrite" in history.without else ["register", "removals", "human_edits"]
        )
    ]
    second_run = replace(asked, register=True, removals="replace", human_edits=asked.human_edits)
    for each in (first, second_run):
        history.check_green(history.run(each))


def away_and_back(history: History, rng: random.Random) -> None:
    """A folder is left out once: a split may give its images, and people's work on them, to the other dataset then."""
    people.edit(history, rng)
    asked = replace(draw_import(history, rng), register=True, removals="replace")
    if not asked.lists_folder:
        return
    for exclude, test_share in ((frozenset([rng.choice(people.FOLDERS[:2])]), 0.5), (frozenset(), 0.2)):
        history.check_green(history.run(replace(asked, exclude=exclude, test_share=test_share)))


# Faults and kills


def _which(rng: random.Random, history: History) -> tuple[Which, int]:
    which: Which = rng.choice(["any", "any", "write", "document", "rekognition", "rekognition_write"])
    at = {"any": history.requests, "write": 25, "document": 10, "rekognition": 15, "rekognition_write": 3}[which]
    return which, rng.randint(1, at)


def draw_faults(history: History, rng: random.Random) -> list[Trap]:
    traps = []
    for _ in range(rng.randint(1, 4)):
        which, at = _which(rng, history)
        traps.append(Trap(kind=rng.choice(FAULTS), which=which, at=at, times=rng.choice([1, 1, 1, 2, 12])))
    return traps


def run_with_faults(history: History, rng: random.Random) -> None:
    """Services and the way to them fail at some requests."""
    history.run(draw_import(history, rng), *draw_faults(history, rng))


def run_with_failed_operation(history: History, rng: random.Random) -> None:
    """An operation of Rekognition ends in ``*_FAILED``."""
    failure = rng.choice(_FAILURES)
    try:
        history.say(f"the next {failure['operation']} ends in FAILED")
        history.tally.add("faults: *_FAILED")
        asked = draw_import(history, rng)
        history.run(asked, prepare=lambda: history.place.aws.faults(kind="fail", **failure))
    finally:
        history.place.aws.clear_faults()


def killed_run(history: History, rng: random.Random) -> None:
    """A process is killed at a request; Airflow tries the task again, or the run has failed, or is deleted."""
    which, at = _which(rng, history)
    trap = Trap(kind="kill", which=which, at=at, is_after=rng.random() < 0.5)
    running = history.run(draw_import(history, rng), trap)
    for _ in range(3):
        if running.ended is None or running.ended["state"] != "killed":
            return
        if rng.random() < 0.5:
            break
        traps = [Trap(kind="kill", which="any", at=rng.randint(1, 20))] if rng.random() < 0.3 else []
        with history.begun_again(running, *traps) as running:
            history.say(f"run {running.run_id} is tried again {' '.join(map(str, traps))}")
            history.finish(running)
            history.judge(running)
    if rng.random() < 0.3 and "deleted" not in history.without:
        history.say(f"run {running.run_id} is deleted in Airflow")
        history.airflow(running.run_id, "")


# Races


def _meanwhile(
    history: History, rng: random.Random, trap: Trap, *acts: Callable[[History, random.Random], None]
) -> Callable[[Running], None]:
    def meanwhile(running: Running) -> None:
        if _is_under_way(running, trap) and people.create_dataset not in acts:
            return
        history.tally.add("races")
        if history.is_registered_by(running):
            acts_now: tuple[Callable[[History, random.Random], None], ...] = (people.edit,)
        else:
            acts_now = acts
        # What the held run has written so far is not a person's.
        history.look(running)
        if rng.random() < 0.3 and "gallery" not in history.without:
            people.save_meanwhile(history, rng, running)
        else:
            for act in acts_now:
                act(history, rng)

    return meanwhile


def _draw_hold(history: History, rng: random.Random) -> Trap:
    """A request before which others act, or a write after which they do."""
    which: Which = rng.choice(["document", "rekognition", "any", "rekognition_write"])
    at = {"document": 10, "rekognition": 15, "any": history.requests, "rekognition_write": 3}[which]
    is_after = which == "rekognition_write" or (which == "document" and rng.random() < 0.5)
    return Trap(kind="hold", which=which, at=rng.randint(1, at), is_after=is_after)


def _is_under_way(running: Running, trap: Trap) -> bool:
    """Whether a write to Rekognition is held that was sent already: no check can come in between any more."""
    return running.held is not None and running.held.is_one_of("rekognition_write") and not trap.is_after


def raced_run(history: History, rng: random.Random) -> None:
    """A person, or the gallery, works on the dataset while a run does."""
    act = rng.choice([people.edit, people.edit, people.edit, people.label_elsewhere, people.delete_dataset])
    if act is people.delete_dataset and "delete_dataset" in history.without:
        return
    trap = _draw_hold(history, rng)
    history.run(draw_import(history, rng), trap, meanwhile=_meanwhile(history, rng, trap, act))


def usurped_run(history: History, rng: random.Random) -> None:
    """Somebody creates the dataset that a run has just deleted."""
    trap = Trap(kind="hold", which="rekognition_write", at=rng.choice([2, 3]))
    history.run(draw_import(history, rng), trap, meanwhile=_meanwhile(history, rng, trap, people.create_dataset))


def two_runs(history: History, rng: random.Random) -> None:
    """The same Dag twice, or two origins, at the same time."""
    asked = draw_import(history, rng)
    other = asked if rng.random() < 0.5 else draw_import(history, rng)
    history.say("two runs at the same time")
    history.tally.add("races")
    with history.begun(asked, _draw_hold(history, rng)) as first:
        history.say(f"  run {first.run_id} of {describe(first.asked)}")

        def meanwhile(_: Running) -> None:
            history.look(first)
            with history.begun(other) as second_run:
                history.say(f"  run {second_run.run_id} of {describe(second_run.asked)}")
                history.finish(second_run)
                history.judge(second_run)

        first.meanwhile = meanwhile
        history.finish(first)
        history.judge(first)


def waiting_run(history: History, rng: random.Random) -> None:
    """A run waits until another one has ended, or a save of the gallery, and then goes on."""
    asked = replace(draw_import(history, rng), register=True)
    people.add_to(history, rng, asked.origin)
    asked = replace(asked, as_of=second(datetime.now(UTC)), is_past=False)
    if rng.random() < 0.4 and "gallery" not in history.without:
        _wait_for_save(history, rng, asked)
    else:
        _wait_for_run(history, rng, asked, is_killed=rng.random() < 0.3)


def _wait_for_run(history: History, rng: random.Random, asked: Import, *, is_killed: bool) -> None:
    """:param is_killed: whether the other one is killed, and does not end by itself"""
    other = replace(asked if rng.random() < 0.5 else draw_import(history, rng), max_wait_minutes=PATIENT)
    which: Which = rng.choice(["document", "rekognition_write"])
    trap = Trap(kind="hold", which=which, at=rng.randint(1, 4), is_after=rng.random() < 0.5)
    with ExitStack() as stack:
        waiting: list[Running] = []

        def meanwhile(running: Running) -> None:
            history.look(running)
            # It does not change the dataset before the first one was judged.
            second = stack.enter_context(history.begun(other, Trap(kind="hold", which="rekognition_write", at=1)))
            history.say(f"  run {second.run_id} of {describe(second.asked)}")
            waiting.append(second)
            if history.await_wait(second):
                history.say(f"  {second.run_id} waits")
                history.tally.add("waits for a run")
            if is_killed:
                running.job.signal(signal.SIGKILL)

        first = stack.enter_context(history.begun(asked, trap, meanwhile=meanwhile))
        history.say(f"run {first.run_id} of {describe(first.asked)} {trap}")
        history.finish(first)
        history.judge(first)
        for second in waiting:
            history.finish(second)
            history.judge(second)
            _check_patience(second)


def _wait_for_save(history: History, rng: random.Random, asked: Import) -> None:
    asked = replace(asked, max_wait_minutes=PATIENT)
    dataset = history.datasets["train"]
    with dataset.place.held_saves() as held:
        pending = people.begin_save(history, dataset, rng)
        if pending is None or not held.reached(pending.save_id):
            return
        with history.begun(asked) as running:
            history.say(f"run {running.run_id} of {describe(running.asked)}")
            running.meanwhile = lambda _: None
            part = next(part for part in running.parts if part.dataset is dataset)
            part.saves.append(pending)
            if history.await_wait(running):
                history.say(f"  {running.run_id} waits for the save")
                history.tally.add("waits for a save")
            held.release()
            history.finish(running)
            history.judge(running)
            _check_patience(running)


def _check_patience(running: Running) -> None:
    error = (running.ended or {}).get("error", "")
    if "DATASET_LEASED" in error:
        raise promises.BrokenPromiseError("a run waits as long as it may", f"{running.run_id}: {error}")


def paused_run(history: History, rng: random.Random) -> None:
    """A run's machine sleeps, and the run is taken for ended; others work, and it wakes."""
    history.tally.add("pauses")
    trap = _draw_hold(history, rng)
    overtaken: list[Part] = []

    def meanwhile(running: Running) -> None:
        running.job.signal(signal.SIGSTOP)
        try:
            if _is_under_way(running, trap):
                return
            if not history.is_registered_by(running):
                overtake(running)
                planned = history.xcoms(running)
                overtaken.extend(part for part in running.parts if task_id(part.dataset.type, PLANNING) in planned)
        finally:
            running.job.signal(signal.SIGCONT)

    def overtake(running: Running) -> None:
        history.airflow(running.run_id, "failed")
        history.look(running)
        acts = [people.edit]
        if "divided" in history.xcoms(running):
            acts += [people.add, people.delete, people.rename]
        for act in rng.sample(acts, min(len(acts), 2)):
            act(history, rng)
        history.run(draw_import(history, rng))
        people.edit(history, rng)

    with history.begun(draw_import(history, rng), trap, meanwhile=meanwhile) as running:
        history.say(f"run {running.run_id} of {describe(running.asked)} {trap}")
        history.finish(running)
        done = history.xcoms(running)
        history.judge(
            running, may_change=lambda part: part not in overtaken or task_id(part.dataset.type, LAST) in done
        )


def clear(history: History, rng: random.Random) -> None:
    """A task of an older run is cleared in Airflow, and all that follow it."""
    if not history.past:
        return
    past: Past = rng.choice(history.past[-6:])
    task = rng.choice(CLEARED)
    dataset_type = rng.choice(past.asked.dataset_types) if past.asked.is_split else "train"
    history.tally.add("clears")
    place = history.datasets[dataset_type].place
    before, done = View(place), history.xcoms(past)
    snapshot_id = done.get(task_id(dataset_type, "publish_snapshot"), {}).get("snapshot_id")
    is_newest = snapshot_id == before.registered_of(past.command.conf)
    was_green = task_id(dataset_type, LAST) in done
    # A task after the last look at the dataset knows nothing of what came after it.
    may_change = not was_green or task == PLANNING or (task == "register" and is_newest)
    history.clear(past, dataset_type, task)
    with history.begun_again(past) as running:
        history.say(f"run {past.command.run_id} is cleared from {task_id(dataset_type, task)}")
        history.finish(running)
        history.judge(running, may_change=lambda _: may_change, is_cleared=True)
    if not may_change and before.current.get("snapshot_id") != View(place).current.get("snapshot_id"):
        raise promises.BrokenPromiseError("a cleared task changes nothing", "current.json names another snapshot")
