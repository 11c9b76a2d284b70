"""One history: what has happened in its place so far, and how its runs are carried out and judged."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty
from typing import Any, Final

from include.gallery.messages import Save
from tests.chaos import promises
from tests.chaos.commands import ALL_RISKS, PLANNING, Command, airflow_state
from tests.chaos.contents import Said, says, write_line
from tests.chaos.crew import Crew, Job
from tests.chaos.model import Expectation, Import, Listed, Source, Truth, find_source
from tests.chaos.places import IMAGES, WORKSPACE, Place, View, made, second, with_sizes
from tests.chaos.promises import BrokenPromiseError
from tests.chaos.proxy import Asked, Line, Proxy, Trap
from tests.chaos.tally import Tally
from tests.fixtures.places import end_of_second

SOURCES: Final = {"a": "s3_folder", "b": "s3_folder", "m": "ground_truth", "c": "existing_dataset"}
"""Origins of a history's dataset: two folders, a manifest, and a copy of another dataset."""

RUN_S: Final = 90.0
"""A run that takes longer is stuck."""

_CLIENTS: Final = {"connect_timeout": 2, "read_timeout": 60}
_IMPATIENT: Final = {"connect_timeout": 2, "read_timeout": 1}
_MAX_MISSING_SHARE: Final = 0.2

Meanwhile = Callable[["Running"], None]


@dataclass(slots=True)
class PendingSave:
    """A save of the gallery that goes on while a run does.

    :ivar edits: what it makes of what an entry says, by key
    """

    save_id: str
    edits: Mapping[str, Callable[[Said], Said]]
    image_ids: Mapping[str, str]


@dataclass(slots=True)
class Running:
    """A run that was begun.

    :ivar ended: what the crew said of its end
    :ivar meanwhile: what happens when a trap holds a request
    :ivar held: the request
    :ivar overtaken_at: when another run registered the dataset while this one was under way, as `current.json` says
    """

    asked: Import
    source: Source
    command: Command
    line: Line
    job: Job
    meanwhile: Meanwhile | None = None
    ended: dict[str, Any] | None = None
    saves: list[PendingSave] = field(default_factory=list)
    held: Asked | None = None
    overtaken_at: str = ""
    arn_before: str = ""
    registered_before: str = ""
    edits_before: int = 0

    @property
    def is_green(self) -> bool:
        return self.ended is not None and self.ended["state"] == "success"

    @property
    def run_id(self) -> str:
        return self.command.run_id


@dataclass(slots=True)
class Past:
    """A run that is over."""

    asked: Import
    source: Source
    command: Command
    is_green: bool


class History:
    """A place, the truth about it, and what has been done.

    :ivar bucket: what people have put there: content by key
    :ivar removed: contents by the keys that they had
    :ivar log: what happened, for people
    :ivar without: names of features that this history does without
    """

    def __init__(
        self, place: Place, proxy: Proxy, crew: Crew, tally: Tally, without: frozenset[str] = frozenset()
    ) -> None:
        self.place = place
        self.proxy = proxy
        self.crew = crew
        self.tally = tally
        self.without = without
        self.truth = Truth()
        self.bucket: dict[str, int] = {}
        self.removed: dict[str, int] = {}
        self.log: list[str] = []
        self.past: list[Past] = []
        self.under_way: list[Running] = []
        self.announced: list[Mapping[str, Said]] = []
        self.requests = 60
        self._events = 0
        self._runs = 0
        self._contents = 0

    def say(self, what: str) -> None:
        self.log.append(what)

    def folder(self, origin: str) -> str:
        return f"{self.place.name}/{origin}/"

    def new_content(self, *, is_other_size: bool = False) -> int:
        self._contents += 1
        return self._contents % 100 + self._contents // 100 * 200 + (100 if is_other_size else 0)

    def new_junk(self) -> int:
        self._contents += 1
        return -self._contents

    def put(self, key: str, number: int) -> None:
        self.place.put(key, made(number))
        self.bucket[key] = number

    def remove(self, key: str) -> None:
        self.place.remove(key)
        self.removed[key] = self.bucket.pop(key)

    def keys(self, origin: str = "") -> list[str]:
        return sorted(key for key in self.bucket if key.startswith(self.folder(origin) if origin else ""))

    def images(self, origin: str = "") -> list[str]:
        """Keys of what is an image."""
        return [key for key in self.keys(origin) if self.bucket[key] >= 0]

    def listing(self) -> dict[str, Listed]:
        return with_sizes(self.place.listing())

    # Runs

    def asked(self, origin: str, **more: Any) -> Import:
        """A run as of now."""
        return Import(
            origin=origin,
            folder=self.folder(origin),
            lists_folder=SOURCES[origin] == "s3_folder",
            as_of=second(datetime.now(UTC)),
            **more,
        )

    @contextmanager
    def begun(
        self,
        asked: Import,
        *traps: Trap,
        meanwhile: Meanwhile | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> Iterator[Running]:
        """A run that has a process; the block has to see it to its end.

        :param prepare: called once its source is as it finds it
        """
        self._runs += 1
        listing = self.listing()
        if SOURCES[asked.origin] == "ground_truth":
            asked = self._write_manifest(asked, listing)
        elif SOURCES[asked.origin] == "existing_dataset":
            asked = self._make_source(asked, listing)
        source = find_source(asked, listing)
        prepare()
        with self._process(asked, source, f"r{self._runs}", traps, meanwhile) as running:
            yield running

    @contextmanager
    def begun_again(
        self, past: Past | Running, *traps: Trap, cleared_from: str = "", meanwhile: Meanwhile | None = None
    ) -> Iterator[Running]:
        """A run that goes on after its process was killed, or whose tasks are cleared."""
        with self._process(
            past.asked, past.source, past.command.run_id, traps, meanwhile, cleared_from=cleared_from
        ) as running:
            yield running

    @contextmanager
    def _process(
        self,
        asked: Import,
        source: Source,
        run_id: str,
        traps: tuple[Trap, ...],
        meanwhile: Meanwhile | None,
        *,
        cleared_from: str = "",
    ) -> Iterator[Running]:
        with self.proxy.line(*traps) as line:
            command = self._command(asked, run_id, line, cleared_from)
            self.airflow(run_id, "running")
            view = View(self.place)
            job = self.crew.begin(command)
            line.pid = job.pid
            line.on_hold = lambda trap, asked: job.events.put(("held", trap, asked))
            running = Running(
                asked,
                source,
                command,
                line,
                job,
                meanwhile,
                arn_before=view.arn,
                edits_before=self.truth.edits,
                registered_before=view.current.get("registered_at", ""),
            )
            self.under_way.append(running)
            try:
                yield running
            finally:
                self.under_way.remove(running)
                self._count(running)
                if running.ended is None:
                    job.signal(signal.SIGKILL)

    def _command(self, asked: Import, run_id: str, line: Line, cleared_from: str) -> Command:
        is_silent = any(trap.kind in ("hang", "lost_in_silence") for trap in line.traps)
        extra = {
            "region_name": "us-east-1",
            "endpoint_url": line.s3_endpoint,
            "service_config": {"rekognition": {"endpoint_url": line.rekognition_endpoint}},
            "config_kwargs": _IMPATIENT if is_silent else _CLIENTS,
        }
        fields = {
            "conn_type": "aws",
            "login": self.place.aws.access_key,
            "password": self.place.aws.secret_key,
            "extra": extra,
        }
        return Command(
            source=SOURCES[asked.origin],
            conf=self._conf(asked),
            run_id=run_id,
            run_type=asked.run_type,
            as_of=datetime.fromisoformat(asked.as_of).replace(tzinfo=UTC),
            connection=json.dumps(fields),
            workspace=self.place.workspace_uri,
            folder=str(self.place.folder),
            cleared_from=cleared_from,
        )

    def _conf(self, asked: Import) -> dict[str, Any]:
        conf: dict[str, Any] = {
            "project": self.place.project,
            "human_edits": asked.human_edits,
            "removals": asked.removals,
            "register": asked.register,
            "approval": "never",
            "accept_risks": ALL_RISKS,
            "max_removed_percent": 100,
        }
        match SOURCES[asked.origin]:
            case "s3_folder":
                conf |= {
                    "s3_folder": f"s3://{IMAGES}/{asked.folder}",
                    "label_aliases": dict(asked.aliases),
                    "exclude": sorted(f"{folder}/*" for folder in asked.exclude),
                    "automatic_labeling": asked.automatic_labeling,
                }
            case "ground_truth":
                conf |= {"manifest": f"s3://{WORKSPACE}/{self._manifest}"}
            case "existing_dataset":
                conf |= {"source_dataset": f"{self.place.source_project}/train"}
        return conf

    @property
    def _manifest(self) -> str:
        return f"{self.place.name}/made/m.manifest"

    def _write_manifest(self, asked: Import, listing: Mapping[str, Listed]) -> Import:
        lines = [
            write_line(self.place.ref(key), says(*filter(None, [asked.label_folder(key)])))
            for key in listing
            if key.startswith(asked.folder)
        ]
        self.place.s3.put_object(Bucket=WORKSPACE, Key=self._manifest, Body="\n".join(lines).encode())
        return self._as_of_now(asked)

    def _make_source(self, asked: Import, listing: Mapping[str, Listed]) -> Import:
        entries = {
            key: says(*filter(None, [asked.label_folder(key)])) for key in listing if key.startswith(asked.folder)
        }
        if entries:
            self.place.make_source(entries)
        return self._as_of_now(asked)

    @staticmethod
    def _as_of_now(asked: Import) -> Import:
        # What these origins say was written just now, and no earlier time would find it.
        return replace(asked, as_of=second(datetime.now(UTC)))

    def airflow(self, run_id: str, state: str) -> None:
        """Let Airflow have the run in this state; it does not know it in an empty one."""
        file = airflow_state(str(self.place.folder), run_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        if state:
            file.write_text(state)
        else:
            file.unlink(missing_ok=True)

    def finish(self, running: Running) -> None:
        """Wait for the end of a run's process, and let happen what traps ask for."""
        while running.ended is None:
            try:
                event = running.job.events.get(timeout=RUN_S)
            except Empty:
                running.job.signal(signal.SIGKILL)
                raise BrokenPromiseError("a run ends", f"{running.run_id} goes on after {RUN_S:.0f} s") from None
            if isinstance(event, tuple):
                _, trap, asked = event
                self.say(f"  {running.run_id} is held: {trap}, {asked.name}")
                running.held = asked
                if running.meanwhile:
                    running.meanwhile(running)
                self.proxy.release(running.line)
            else:
                running.ended = event["ended"]
        state = running.ended["state"]
        self.airflow(running.run_id, state if state == "success" else "failed")
        self.tally.add(f"runs: {state}")
        told = {name: value for name, value in running.ended.items() if name not in ("state", "dataset_arn")}
        self.say(f"  {running.run_id} {state}: {told}")

    def look(self, running: Running) -> None:
        """Take over what a run has written so far that is held."""
        if PLANNING not in self.xcoms(running):
            return
        expected = self.truth.expect(running.asked, running.source)
        view = View(self.place)
        self._check_unfinished(running, expected, view.entries, view.export, may_change=True)
        self.truth.observe(running.asked, running.source, expected, view.entries, view.export)

    def xcoms(self, run: Running | Past) -> dict[str, Any]:
        """What the tasks of a run have returned so far."""
        file = run.command.xcoms
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def is_registered_by(self, running: Running) -> bool:
        """Whether a run that is held has written `current.json` already."""
        return View(self.place).current.get("registered_at", "") != running.registered_before

    @staticmethod
    def await_another_second() -> None:
        """What is as of now is then as of another time than all before."""
        end_of_second()

    def _count(self, running: Running) -> None:
        self.tally.add("requests", len(running.line.asked))
        if running.is_green:
            self.requests = len(running.line.asked)
        for trap, asked in running.line.sprung:
            if trap.kind == "kill":
                self.tally.add("kills")
            elif trap.kind != "hold":
                self.tally.add(f"faults: {trap.kind}")
            if trap not in [each for each, other in running.line.sprung if other.number < asked.number]:
                self.say(f"  {running.run_id} met {trap}: {asked.name}")

    def run(
        self,
        asked: Import,
        *traps: Trap,
        meanwhile: Meanwhile | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> Running:
        """A run from its begin to its end, judged; the same parameters as those of `begun`."""
        with self.begun(asked, *traps, meanwhile=meanwhile, prepare=prepare) as running:
            self.say(f"run {running.run_id} of {describe(running.asked)} {' '.join(map(str, traps))}".rstrip())
            self.finish(running)
            self.judge(running)
        return running

    # Judgement

    def judge(self, running: Running, *, may_change: bool = True, is_cleared: bool = False) -> None:
        """Hold the promises against what a run has left.

        :param may_change: False for a run that was overtaken: it may not change anything any more
        """
        saved = self._end_saves(running)
        view = View(self.place)
        actual = view.entries | saved
        asked, source = running.asked, running.source
        late = self.truth.edited_since(running.edits_before)
        expected = _and_as_it_is(self.truth.expect(asked, source), {**late, **saved})
        is_deleted = running.meanwhile is not None and not view.arn
        if running.is_green and running.ended is not None:
            self._check_superseded(running, view)
            promises.ledger_partitions_the_listing(view.ledger(running.ended["snapshot_id"]), asked, source)
            may_change = may_change and asked.register and running.ended["action"] != "superseded"
            if running.ended["action"] == "unchanged" and running.overtaken_at:
                # It found everything as it was before the other run, and has nothing to say of what that one did; or
                # it planned again, and then it is judged like any other.
                may_change = may_change and view.current["registered_at"] != running.overtaken_at
        if running.is_green and running.ended is not None and may_change and not is_deleted:
            if source.is_refused:
                raise BrokenPromiseError("a run without usable images fails", f"{running.run_id} is green")
            left = self._left(running, view)
            expected = _or_none(expected, left)
            promises.dataset_equals_the_model(self.truth, expected, actual)
            if view.current["dataset_updated_at"] == view.updated_at:
                promises.counts_are_the_datasets(view)
            is_new = view.arn != running.arn_before
            overwritten = self.truth.settle(
                asked, source, expected, actual, is_new=is_new, edits=running.edits_before, left=left
            )
            promises.what_is_overwritten_is_kept(view, running.ended["snapshot_id"], overwritten)
            self._check_announced(actual, view.entries, is_alone=running.meanwhile is None)
            for other in self.under_way:
                if other is not running and PLANNING in self.xcoms(other):
                    other.overtaken_at = view.current["registered_at"]
        else:
            self._check_unfinished(running, expected, actual, view.export, may_change=may_change)
            if may_change:
                self.truth.observe(asked, source, expected, actual, view.export)
        self._events = len(self.place.events())
        for key in saved:
            self.truth.edit(key, view.entries[key])
        self.check(view)
        if running.ended is not None and running.ended["state"] != "killed" and not is_cleared:
            self.past.append(Past(asked, source, running.command, running.is_green))

    def _left(self, running: Running, view: View) -> dict[str, Said]:
        """What a green run has left in the export for the import that brought it: entries whose images are gone.

        A run that finds nothing changed does not look whether the images have come back.
        """
        is_unchanged = running.ended is not None and running.ended["action"] == "unchanged"
        return {
            key: said
            for key, said in view.export.items()
            if key not in view.entries and (is_unchanged or key not in self.bucket)
        }

    def check(self, view: View) -> None:
        """Hold the promises that do not depend on what has just happened."""
        promises.no_image_is_touched(self.place, self._bucket())
        promises.no_work_is_lost(self.place, self.truth, view)
        promises.current_names_a_whole_snapshot(view)
        if "trust" not in self.without:
            promises.what_is_trusted_is_true(view)

    def _bucket(self) -> dict[str, Listed]:
        return {key: Listed(etag=made(number).etag, size=None) for key, number in self.bucket.items()}

    @staticmethod
    def _check_superseded(running: Running, view: View) -> None:
        if running.ended is None or running.ended["action"] != "superseded":
            return
        as_of = view.registered_as_of(running.command.conf)
        if running.asked.run_type != "scheduled" or running.asked.as_of >= as_of:
            raise BrokenPromiseError("only an older scheduled run is superseded", f"{running.asked.as_of}, {as_of}")

    def _check_announced(self, *contents: Mapping[str, Said], is_alone: bool) -> None:
        """Anyone who waits for the dataset has been told of its content.

        :param contents: before and after a save that went on while the run did, of which it told
        """
        if len(self.place.events()) > self._events:
            self.announced = [*contents]
        elif is_alone and contents[0] not in self.announced and "events" not in self.without:
            raise BrokenPromiseError("a changed dataset is announced", "no event since it was another one")

    def _check_unfinished(
        self,
        running: Running,
        expected: Expectation,
        actual: Mapping[str, Said],
        exported: Mapping[str, Said],
        *,
        may_change: bool,
    ) -> None:
        """What a run leaves that fails, or registers nothing, is what was there, or what it was about to write."""
        others = [self.truth.expect(each.asked, each.source) for each in self.under_way if each is not running]
        expectations = [expected, *others] if may_change else others
        wrong = []
        for key in sorted({*self.truth.entries, *actual}):
            said = actual.get(key)
            entry = self.truth.entries.get(key)
            if self.truth.accepts(key, said, expectations):
                continue
            if said is None and entry is not None and exported.get(key) == entry.said:
                continue
            wrong.append(f"{key} says {said}, and said {entry.said if entry else None}")
        if wrong:
            raise BrokenPromiseError("a run leaves what was there, or what it was to write", "; ".join(wrong))

    def _end_saves(self, running: Running) -> dict[str, Said]:
        """Wait for saves that went on; what the entries that they changed said before, by key."""
        before: dict[str, Said] = {}
        for pending in running.saves:
            save = self.place.ended_save(pending.save_id)
            self.say(f"  save {save.save_id} {save.state}: {save.problem.code if save.problem else ''}")
            self.tally.add(f"saves: {save.state}")
            if save.state != "saved":
                continue
            before |= self._before_save(running, pending, save)
        return before

    def _before_save(self, running: Running, pending: PendingSave, save: Save) -> dict[str, Said]:
        expected = self.truth.expect(running.asked, running.source)
        actual = self.place.entries()
        left_out = {each.id for each in (*save.conflicts, *save.refusals)}
        found: dict[str, Said] = {}
        for key, edit in pending.edits.items():
            if key not in actual or pending.image_ids[key] in left_out:
                continue
            entry = self.truth.entries.get(key)
            possible = [*expected.accepted.get(key, ()), entry.said if entry else None]
            said = next((each for each in possible if each is not None and edit(each) == actual[key]), None)
            if said is None and entry is not None and self._is_overwritten(running, expected, key, actual[key]):
                self.truth.edit(key, edit(entry.said))
                continue
            if said is None:
                raise BrokenPromiseError(
                    "a save changes what it was asked to",
                    f"{key} says {actual[key]} after a save of one of {list(map(str, possible))}",
                )
            found[key] = said
        return found

    @staticmethod
    def _is_overwritten(running: Running, expected: Expectation, key: str, said: Said) -> bool:
        """Whether a run came after a save that was asked to let nobody's work stand."""
        return running.asked.human_edits == "overwrite" and said in expected.accepted.get(key, ())

    # The end

    def settle(self) -> None:
        """Without faults every import ends well, in at most two rounds; then nothing is left to do."""
        origins = list(dict.fromkeys(past.asked.origin for past in self.past))
        for is_last in (False, True):
            for origin in origins:
                running = self.run(self.asked(origin))
                if is_last:
                    self.check_green(running)
        for origin in origins:
            running = self.run(self.asked(origin))
            if not running.is_green or running.ended is None:
                continue
            if len(origins) == 1 and running.ended["action"] != "unchanged":
                raise BrokenPromiseError("a repeated import changes nothing", running.ended["action"])
            if writes := [each.name for each in running.line.asked if each.is_one_of("rekognition_write")]:
                raise BrokenPromiseError("a repeated import writes nothing to Rekognition", ", ".join(writes))

    def check_green(self, running: Running) -> None:
        """A run that nothing disturbed ends well, unless its source or the dataset's images do not let it."""
        if running.is_green or running.source.is_refused:
            return
        entries = [*self.truth.entries]
        missing = [key for key in entries if self.bucket.get(key, -1) < 0]
        if len(missing) > _MAX_MISSING_SHARE * len(entries):
            return
        raise BrokenPromiseError("an undisturbed run ends well", f"{running.ended}")


def _and_as_it_is(expected: Expectation, said: Mapping[str, Said]) -> Expectation:
    """A run may have seen an edit or a save that came while it was under way, or have looked for the last time before.

    :param said: what these entries said after the edit, and before the save, by key
    """
    accepted = {key: expected.accepted.get(key, frozenset()) | {each} for key, each in said.items()}
    return replace(expected, accepted={**expected.accepted, **accepted})


def _or_none(expected: Expectation, keys: Iterable[str]) -> Expectation:
    """The same, where the dataset may be without these entries."""
    accepted = {key: expected.accepted.get(key, frozenset()) | {None} for key in keys}
    return replace(expected, accepted={**expected.accepted, **accepted})


def describe(asked: Import) -> str:
    """For people."""
    chosen = [
        *([asked.human_edits] if asked.human_edits != "keep" else []),
        *([asked.removals] if asked.removals != "replace" else []),
        *([f"aliases {dict(asked.aliases)}"] if asked.aliases else []),
        *([f"without {sorted(asked.exclude)}"] if asked.exclude else []),
        *([] if asked.automatic_labeling else ["no labels"]),
        *([] if asked.register else ["dry"]),
        *([asked.run_type] if asked.run_type != "manual" else []),
    ]
    return " ".join([asked.origin, f"as of {asked.as_of[11:]}", *chosen])


def choose(rng: random.Random, chance: float) -> bool:
    return rng.random() < chance
