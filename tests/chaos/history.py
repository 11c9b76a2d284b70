"""One history: what has happened in its place so far, and how its runs are carried out and judged."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty
from typing import Any, Final

from tests.chaos import promises
from tests.chaos.commands import (
    ALL_RISKS,
    DATASET_TYPES,
    LAST,
    PART_TASKS,
    PLANNING,
    Command,
    DatasetType,
    airflow_state,
    task_id,
    waiting_file,
)
from tests.chaos.contents import says, write_line
from tests.chaos.crew import Crew, Job
from tests.chaos.datasets import Dataset, Part, Share
from tests.chaos.judgement import Judgement
from tests.chaos.model import Expectation, Import, Listed, Source, find_copies, find_files, find_source
from tests.chaos.places import VERSIONS, WORKSPACE, Place, View, made, second, with_sizes
from tests.chaos.promises import BrokenPromiseError
from tests.chaos.proxy import Asked, Line, Proxy, Trap
from tests.chaos.splits import Sides, misplaced, withheld
from tests.chaos.tally import Tally
from tests.fixtures.places import end_of_second

SOURCES: Final = {
    "a": "s3_folder",
    "b": "s3_folder",
    "m": "ground_truth",
    "c": "existing_dataset",
    "d": "existing_dataset",
    "u": "local_computer",
}
"""Origins of a history's dataset: two folders, a manifest, two other datasets, and uploads.

The images of `c` stay where they are, and those of `d` are copied.
"""

RUN_S: Final = 90.0
"""A run that takes longer is stuck."""

_CLIENTS: Final = {"connect_timeout": 2, "read_timeout": 60}
_IMPATIENT: Final = {"connect_timeout": 2, "read_timeout": 1}
_MAX_MISSING_SHARE: Final = 0.2
_POLL_S: Final = 0.01
_SENT: Final = ("labelled", "unlabelled", "registered")

Meanwhile = Callable[["Running"], None]


@dataclass(slots=True)
class Running:
    """A run that was begun.

    :ivar ended: what the crew said of its end
    :ivar meanwhile: what happens when a trap holds a request
    :ivar held: the request
    :ivar parts: what it does in each dataset
    """

    asked: Import
    source: Source
    command: Command
    line: Line
    job: Job
    parts: list[Part]
    meanwhile: Meanwhile | None = None
    ended: dict[str, Any] | None = None
    held: Asked | None = None

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
    """A place, the truth about its datasets, and what has been done.

    :ivar datasets: by type; that of tests is made by splits alone
    :ivar is_split: whether imports of folders are for both datasets
    :ivar past_share: of imports of folders that are about them as they were
    :ivar bucket: what people have put there: content by key
    :ivar removed: contents by the keys that they had
    :ivar computer: what lies in the folder that is uploaded, by name
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
        self.datasets = {each: Dataset(place.of_type(each)) for each in DATASET_TYPES}
        self.is_split = False
        self.past_share = 0.05
        self.bucket: dict[str, int] = {}
        self.removed: dict[str, int] = {}
        self.computer: dict[str, int] = {}
        self._versions: list[str] = []
        self.log: list[str] = []
        self.past: list[Past] = []
        self.under_way: list[Running] = []
        self.requests = 60
        self._shares: dict[str, dict[DatasetType, Share]] = {}
        self._runs = 0
        self._contents = 0

    def say(self, what: str) -> None:
        self.log.append(what)

    def folder(self, origin: str) -> str:
        """Where people put an origin's images."""
        return f"{self.place.name}/{'from' if origin == 'd' else origin}/"

    def target(self, origin: str) -> str:
        """Where the dataset finds them."""
        folder = self.folder(origin)
        return f"{self.place.copies_prefix}{self.place.images}/{folder}" if origin == "d" else folder

    def has_images(self, origin: str) -> bool:
        """Whether there is anything to import."""
        return bool(self.computer) if origin == "u" else bool(self.images(origin))

    def new_content(self, *, is_other_size: bool = False) -> int:
        self._contents += 1
        return self._contents % 100 + self._contents // 100 * 200 + (100 if is_other_size else 0)

    def new_junk(self) -> int:
        self._contents += 1
        return -self._contents

    def put(self, key: str, number: int) -> None:
        self._versions.append(self.place.put(key, made(number)))
        self.bucket[key] = number

    def remove(self, key: str) -> None:
        self._versions.append(self.place.remove(key))
        self.removed[key] = self.bucket.pop(key)

    def keys(self, origin: str = "") -> list[str]:
        return sorted(key for key in self.bucket if key.startswith(self.folder(origin) if origin else ""))

    def images(self, origin: str = "") -> list[str]:
        """Keys of what is an image."""
        return [key for key in self.keys(origin) if self.bucket[key] >= 0]

    def listing(self, asked: Import | None = None) -> dict[str, Listed]:
        """What lies in the history's folder, or what an import has to find there."""
        if asked is None or not asked.is_past or not self.place.keeps_versions:
            return with_sizes(self.place.listing())
        return with_sizes(self._as_it_was(asked.as_of))

    def _as_it_was(self, as_of: str) -> dict[str, Listed]:
        written = self.place.versions()
        found: dict[str, Listed] = {}
        # Several may be of one second, and are in the order in which people wrote them.
        for key, listed in (written[version_id] for version_id in self._versions):
            if listed.last_modified <= as_of:
                found[key] = listed
        return {key: listed for key, listed in sorted(found.items()) if listed.etag}

    def moments(self) -> list[str]:
        """Times at which the folders may have been others."""
        written = [listed.last_modified for _, listed in self.place.versions().values()]
        return sorted({*written, *(past.asked.as_of for past in self.past)})

    def keep_versions(self) -> None:
        """Let the images be in a bucket that keeps versions, and many imports be about the past."""
        self.place = replace(self.place, images=VERSIONS)
        for dataset in self.datasets.values():
            dataset.place = replace(dataset.place, images=VERSIONS)
        self.past_share = 0.5

    def pick_dataset(self, rng: random.Random) -> Dataset:
        """A dataset for people to work on."""
        there = [each for each in self.datasets.values() if each.truth.entries] if self.is_split else []
        return rng.choice(there) if there else self.datasets["train"]

    # Runs

    def asked(self, origin: str, **more: Any) -> Import:
        """A run as of now."""
        lists_folder = SOURCES[origin] == "s3_folder"
        fields = {"is_split": self.is_split and lists_folder}
        if origin == "u":
            fields |= {"only_adds": True}
        return Import(
            origin=origin,
            folder=self.target(origin),
            lists_folder=lists_folder,
            as_of=second(datetime.now(UTC)),
            **(fields | more),
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
        listing = self.listing(asked)
        if SOURCES[asked.origin] == "ground_truth":
            asked = self._write_manifest(asked, listing)
        elif SOURCES[asked.origin] == "existing_dataset":
            asked = self._make_source(asked, listing)
        elif asked.origin == "u":
            asked = self._as_of_now(asked)
        source = self._find_source(asked, listing)
        prepare()
        with self._process(asked, source, f"r{self._runs}", traps, meanwhile) as running:
            yield running

    def _find_source(self, asked: Import, listing: Mapping[str, Listed]) -> Source:
        if asked.origin == "u":
            files = {asked.folder + name: number for name, number in self.computer.items()}
            return find_files(asked, files, _known(files), listing, f"{os.path.realpath(self.place.computer)}/")
        if asked.origin == "d":
            length = len(self.folder("d"))
            originals = {asked.folder + key[length:]: self.bucket[key] for key in self.keys("d")}
            return find_copies(asked, originals, _known(originals), listing)
        return find_source(asked, listing)

    @contextmanager
    def begun_again(self, past: Past | Running, *traps: Trap, meanwhile: Meanwhile | None = None) -> Iterator[Running]:
        """A run that goes on after its process was killed, or some of whose tasks were cleared."""
        with self._process(past.asked, past.source, past.command.run_id, traps, meanwhile) as running:
            yield running

    def clear(self, past: Past, dataset_type: DatasetType, task: str) -> None:
        """Forget what a task of a run has returned, and all that follow it."""
        done = self.xcoms(past)
        for each in PART_TASKS[PART_TASKS.index(task) :]:
            done.pop(task_id(dataset_type, each), None)
        past.command.xcoms.write_text(json.dumps(done))

    @contextmanager
    def _process(
        self,
        asked: Import,
        source: Source,
        run_id: str,
        traps: tuple[Trap, ...],
        meanwhile: Meanwhile | None,
    ) -> Iterator[Running]:
        with self.proxy.line(*traps) as line:
            command = self._command(asked, run_id, line)
            self.airflow(run_id, "running")
            parts = self._parts(asked, source, command)
            job = self.crew.begin(command)
            line.pid = job.pid
            line.on_hold = lambda trap, asked: job.events.put(("held", trap, asked))
            running = Running(
                asked,
                source,
                command,
                line,
                job,
                parts,
                meanwhile,
            )
            self.under_way.append(running)
            try:
                yield running
            finally:
                self.under_way.remove(running)
                self._count(running)
                if running.ended is None:
                    job.signal(signal.SIGKILL)

    def _parts(self, asked: Import, source: Source, command: Command) -> list[Part]:
        """What a run is going to do in each of its datasets, as they are now."""
        done = self.xcoms_of(command)
        sides, views = Sides(), {each: View(self.datasets[each].place) for each in asked.dataset_types}
        for dataset_type, view in views.items():
            if asked.is_split and (snapshot_id := view.registered_of(command.conf)):
                sides.add(dataset_type, view.ledger(snapshot_id))
        return [
            Part(
                dataset=self.datasets[dataset_type],
                share=None if asked.is_split else Share(source=source),
                was_done=task_id(dataset_type, LAST) in done,
                sides=sides,
                arn_before=view.arn,
                registered_before=view.current.get("registered_at", ""),
                edits_before=self.datasets[dataset_type].truth.edits,
            )
            for dataset_type, view in views.items()
        ]

    def _command(self, asked: Import, run_id: str, line: Line) -> Command:
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
            dataset_types=asked.dataset_types,
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
            "max_wait_minutes": asked.max_wait_minutes,
        }
        if asked.is_past:
            conf |= {"as_of": f"{asked.as_of}+00:00"}
        match SOURCES[asked.origin]:
            case "s3_folder":
                conf |= {
                    "s3_folder": self.place.ref(asked.folder),
                    "history_folder": self.place.ref(self.place.history_prefix),
                    "unversioned": "accept",
                    "label_aliases": dict(asked.aliases),
                    "exclude": sorted(f"{folder}/*" for folder in asked.exclude),
                    "automatic_labeling": asked.automatic_labeling,
                }
                if asked.is_split:
                    conf |= {"dataset_type": "train+test", "test_share": asked.test_share}
                    conf |= {"freeze_test": asked.freeze_test, "group_by": "folder" if asked.is_grouped else None}
            case "ground_truth":
                conf |= {"manifest": f"s3://{WORKSPACE}/{self._manifest}"}
            case "existing_dataset":
                conf |= {"source_dataset": f"{self.place.source_project(asked.origin)}/train"}
                if asked.origin == "d":
                    conf |= {"image_destination": self.place.ref(self.place.copies_prefix)}
            case "local_computer":
                conf |= {
                    "local_folder": str(self.place.computer),
                    "destination": self.place.ref(asked.folder),
                    "automatic_labeling": asked.automatic_labeling,
                }
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
        folder = self.folder(asked.origin)
        labels = {key: key.removeprefix(folder).rpartition("/")[0].partition("/")[0] for key in self.keys(asked.origin)}
        entries = {key: says(*filter(None, [label])) for key, label in labels.items() if key in listing}
        if entries:
            self.place.make_source(self.place.source_project(asked.origin), entries)
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
        told = {name: value for name, value in running.ended.items() if name != "state"}
        self.say(f"  {running.run_id} {state}: {told}")

    def await_wait(self, running: Running) -> bool:
        """Whether a run waits for others, once it does, is held, or has ended."""
        file = waiting_file(running.command.folder, running.run_id)
        give_up = time.monotonic() + RUN_S
        while not file.exists() and running.job.events.empty():
            if time.monotonic() > give_up:
                raise BrokenPromiseError("a run ends", f"{running.run_id} goes on after {RUN_S:.0f} s")
            time.sleep(_POLL_S)
        return file.exists()

    def look(self, running: Running) -> None:
        """Take over what a run has written so far that is held; of datasets that it is done with, judge it."""
        for judgement in self._judgements(running):
            if judgement.is_green:
                judgement.hold(may_change=True)
                judgement.part.was_done = True
            else:
                judgement.look()

    def xcoms(self, run: Running | Past) -> dict[str, Any]:
        """What the tasks of a run have returned so far."""
        return self.xcoms_of(run.command)

    @staticmethod
    def xcoms_of(command: Command) -> dict[str, Any]:
        """The same of a run that may not have begun."""
        found: dict[str, Any] = json.loads(command.xcoms.read_text()) if command.xcoms.exists() else {}
        return found

    def has_planned(self, running: Running) -> bool:
        """Whether a run has made a plan for any dataset."""
        return any(task.endswith(f".{PLANNING}") for task in self.xcoms(running))

    def is_registered_by(self, running: Running) -> bool:
        """Whether a run that is held has written a `current.json` already."""
        return any(
            View(part.dataset.place).current.get("registered_at", "") != part.registered_before
            for part in running.parts
        )

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

    def judge(
        self, running: Running, *, may_change: Callable[[Part], bool] = lambda _: True, is_cleared: bool = False
    ) -> None:
        """Hold the promises against what a run has left.

        :param may_change: False for what was overtaken: it may not change anything any more
        """
        for judgement in self._judgements(running):
            judgement.hold(may_change=may_change(judgement.part), is_cleared=is_cleared)
        self.check()
        if running.ended is not None and running.ended["state"] != "killed" and not is_cleared:
            self.past.append(Past(running.asked, running.source, running.command, running.is_green))

    def _judgements(self, running: Running) -> list[Judgement]:
        """Of the parts that this process of the run has to do with."""
        done = self.xcoms(running)
        self._divide(running, done)
        parts = [part for part in running.parts if not part.was_done]
        return [Judgement(self, running, part, done, part.expect(running.asked)) for part in parts]

    def _divide(self, running: Running, done: Mapping[str, Any]) -> None:
        """Find out what a split has given to each dataset, and whether it may have."""
        if not running.asked.is_split or "divided" not in done:
            return
        shares = self._shares.get(running.run_id)
        if shares is None:
            shares = self._shares[running.run_id] = self._divided(running, done["divided"])
        for part in running.parts:
            part.share = shares[part.dataset.type]

    def _divided(self, running: Running, divided: Mapping[str, Any]) -> dict[DatasetType, Share]:
        asked, source = running.asked, running.source
        rows = {each: self.place.ledger(divided[each][0]["ledger"]) for each in DATASET_TYPES if each in divided}
        on = {each: {row["key"] for row in rows.get(each, ()) if row["state"] in _SENT} for each in DATASET_TYPES}
        out = withheld(rows.get("train", ()))
        if lost := source.images.keys() - on["train"] - on["test"] - out:
            raise BrokenPromiseError("a split gives each image to a dataset", f"{sorted(lost)} are in neither")
        if both := on["train"] & on["test"]:
            raise BrokenPromiseError("a split gives each image to one dataset", f"{sorted(both)} are in both")
        if out and not asked.freeze_test:
            raise BrokenPromiseError("a split withholds images of a frozen dataset alone", f"{sorted(out)}")
        now: dict[str, DatasetType] = {key: each for each in DATASET_TYPES for key in on[each]}
        is_newest = all(asked.as_of >= past.asked.as_of for past in self.past if past.asked.origin == asked.origin)
        if is_newest and len(self.under_way) == 1 and running.meanwhile is None:
            sides = running.parts[0].sides
            rules = {"is_frozen": asked.freeze_test, "is_grouped": asked.is_grouped}
            if wrong := misplaced(sides, now, source.listed, **rules):
                raise BrokenPromiseError("an image stays on its side of a split", "; ".join(wrong))
        shares: dict[DatasetType, Share] = {}
        for here, there in zip(DATASET_TYPES, reversed(DATASET_TYPES), strict=True):
            part = source.divided(on[here], on[there])
            arriving = self.datasets[here].truth.arriving(asked, part, self.datasets[there].truth)
            is_empty = here not in divided and is_newest
            shares[here] = Share(source=part, arriving=arriving, is_empty=is_empty)
        return shares

    def expectations(self, dataset: Dataset, *, besides: Running) -> list[Expectation]:
        """What other runs may leave in a dataset that are under way."""
        found = []
        for running in self.under_way:
            if running is not besides:
                self._divide(running, self.xcoms(running))
                found += [part.expect(running.asked) for part in running.parts if part.dataset is dataset]
        return found

    def note_overtaken(self, by: Running, dataset: Dataset, view: View) -> None:
        """Runs that are under way, and had planned before another one registered the dataset."""
        for running in self.under_way:
            if running is not by and self.has_planned(running):
                for part in running.parts:
                    if part.dataset is dataset:
                        part.overtaken_at = view.current["registered_at"]

    def check(self) -> None:
        """Hold the promises that do not depend on what has just happened."""
        for running in self.under_way:
            self._take_over_images(running.source)
        promises.no_image_is_touched(self.place, self._bucket())
        datasets = [*self.datasets.values()] if self.is_split else [self.datasets["train"]]
        views = [View(each.place) for each in datasets]
        for dataset, view in zip(datasets, views, strict=True):
            promises.no_work_is_lost(dataset.place, dataset.truth, views)
            promises.current_names_a_whole_snapshot(view)
            if "trust" not in self.without:
                promises.what_is_trusted_is_true(view)

    def _take_over_images(self, source: Source) -> None:
        """Images that a run has brought are in the bucket as any other."""
        if source.brings:
            there = self.place.listing()
            self.bucket |= {
                key: number for key, number in source.brings.items() if key in there and key not in self.bucket
            }

    def _bucket(self) -> dict[str, Listed]:
        return {key: Listed(etag=made(number).etag, size=None) for key, number in self.bucket.items()}

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
            actions = {each: running.ended[each] for each in DATASET_TYPES if each in running.ended}
            if len(origins) == 1 and {*actions.values()} != {"unchanged"}:
                raise BrokenPromiseError("a repeated import changes nothing", f"{actions}")
            if writes := [each.name for each in running.line.asked if each.is_one_of("rekognition_write")]:
                raise BrokenPromiseError("a repeated import writes nothing to Rekognition", ", ".join(writes))

    def check_green(self, running: Running) -> None:
        """A run that nothing disturbed ends well, unless its source or the dataset's images do not let it."""
        if running.is_green or running.source.may_be_refused:
            return
        for dataset in self.datasets.values():
            entries = [*dataset.truth.entries]
            missing = [key for key in entries if self.bucket.get(key, -1) < 0]
            if len(missing) > _MAX_MISSING_SHARE * len(entries):
                return
        raise BrokenPromiseError("an undisturbed run ends well", f"{running.ended}")


def _known(numbers: Mapping[str, int]) -> dict[str, Listed]:
    contents = {key: made(number) for key, number in numbers.items()}
    return {key: Listed(etag=each.etag, size=each.size) for key, each in contents.items()}


def describe(asked: Import) -> str:
    """For people."""
    chosen = [
        *([asked.human_edits] if asked.human_edits != "keep" else []),
        *([asked.removals] if asked.removals != "replace" else []),
        *([f"aliases {dict(asked.aliases)}"] if asked.aliases else []),
        *([f"without {sorted(asked.exclude)}"] if asked.exclude else []),
        *([] if asked.automatic_labeling else ["no labels"]),
        *([f"waits {asked.max_wait_minutes} min"] if asked.max_wait_minutes != 60 else []),
        *(["past"] if asked.is_past else []),
        *([] if asked.register else ["dry"]),
        *([f"split {asked.test_share}"] if asked.is_split else []),
        *(["frozen"] if asked.freeze_test else []),
        *(["grouped"] if asked.is_grouped else []),
        *([asked.run_type] if asked.run_type != "manual" else []),
    ]
    return " ".join([asked.origin, f"as of {asked.as_of[11:]}", *chosen])


def choose(rng: random.Random, chance: float) -> bool:
    return rng.random() < chance
