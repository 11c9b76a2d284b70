"""Random histories: their steps are drawn from a seed, and each step draws its choices from a seed of its own.

So any selection of a history's steps can be carried out, which is how a history is made short that broke a promise.
"""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.chaos import disturbances, people
from tests.chaos.crew import Crew, running_crew
from tests.chaos.history import History
from tests.chaos.places import IMAGES, VERSIONS, WORKSPACE, Place
from tests.chaos.promises import BrokenPromiseError
from tests.chaos.proxy import Proxy
from tests.chaos.tally import Tally
from tests.fixtures.local_aws import LocalAws, running_local_aws

Act = Callable[[History, random.Random], None]

STEPS: Final[dict[str, tuple[Act, int]]] = {
    "add": (people.add, 4),
    "delete": (people.delete, 4),
    "come_back": (people.come_back, 4),
    "rename": (people.rename, 4),
    "relocate": (people.relocate, 3),
    "rename_folder": (people.rename_folder, 2),
    "overwrite": (people.overwrite, 3),
    "copy": (people.copy, 2),
    "damage": (people.damage, 2),
    "repair": (people.repair, 2),
    "change_computer": (people.change_computer, 3),
    "edit": (people.edit, 9),
    "label_elsewhere": (people.label_elsewhere, 1),
    "delete_dataset": (people.delete_dataset, 1),
    "save": (people.save, 3),
    "run": (disturbances.run, 14),
    "dry_then_real": (disturbances.dry_then_real, 2),
    "away_and_back": (disturbances.away_and_back, 2),
    "faults": (disturbances.run_with_faults, 6),
    "failed_operation": (disturbances.run_with_failed_operation, 2),
    "kill": (disturbances.killed_run, 6),
    "race": (disturbances.raced_run, 5),
    "usurp": (disturbances.usurped_run, 1),
    "two_runs": (disturbances.two_runs, 2),
    "wait": (disturbances.waiting_run, 3),
    "pause": (disturbances.paused_run, 3),
    "clear": (disturbances.clear, 3),
}
"""What may happen, and how often in comparison."""

KINDS: Final = {"split": 0.25, "past": 0.2, "b": 0.4, "m": 0.4, "c": 0.3, "d": 0.3, "u": 0.3}
"""Kinds of imports that a history may have, and how likely it has them."""

FEATURES: Final = frozenset({*STEPS, *KINDS, "overwrite", "repeated", "deleted", "gallery", "events", "trust", "waits"})
"""What a history may do without."""

_ALWAYS: Final = frozenset({"add", "run"})
_SHARE_OF_STEPS: Final = 0.75
_LENGTH: Final = (6, 22)


@dataclass(frozen=True, slots=True)
class Step:
    """:ivar seed: of the step's own choices"""

    name: str
    seed: int


@dataclass(slots=True)
class Failure:
    """A history that broke a promise.

    :ivar only: numbers of its steps that were carried out; None for all
    """

    seed: int
    promise: str
    detail: str
    log: Sequence[str]
    only: Sequence[int] | None = None
    without: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def __str__(self) -> str:
        only = f" ONLY={','.join(map(str, self.only))}" if self.only is not None else ""
        only += f" WITHOUT={','.join(sorted(self.without))}" if self.without else ""
        only += f" KINDS={','.join(sorted(self.kinds))}" if self.kinds else ""
        story = "\n".join(f"  {line}" for line in self.log)
        return f"Broken promise: {self.promise}\n  {self.detail}\nReplay: make chaos SEED={self.seed}{only}\n{story}"

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "only": self.only, "promise": self.promise, "detail": self.detail}


def draw_steps(seed: int) -> list[Step]:
    """The steps of a history: of a part of all kinds, so that some are frequent."""
    rng = random.Random(seed)
    names = [name for name in STEPS if name in _ALWAYS or rng.random() < _SHARE_OF_STEPS]
    weights = [STEPS[name][1] for name in names]
    return [Step(name, rng.randrange(2**32)) for name in rng.choices(names, weights, k=rng.randint(*_LENGTH))]


@dataclass
class Stage:
    """Where histories take place, one after the other."""

    aws: LocalAws
    proxy: Proxy
    crew: Crew
    folder: Path
    tally: Tally = field(default_factory=Tally)
    without: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        config = Config(retries={"total_max_attempts": 3}, proxies={})
        arguments: dict[str, Any] = {
            "aws_access_key_id": self.aws.access_key,
            "aws_secret_access_key": self.aws.secret_key,
            "region_name": "us-east-1",
            "config": config,
        }
        self.s3 = boto3.client("s3", endpoint_url=self.aws.s3_endpoint, **arguments)
        self.rekognition = boto3.client("rekognition", endpoint_url=self.aws.rekognition_endpoint, **arguments)
        for bucket in (IMAGES, VERSIONS, WORKSPACE):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=VERSIONS, VersioningConfiguration={"Status": "Enabled"})

    def play(self, seed: int, only: Sequence[int] | None = None) -> Failure | None:
        """One history; the promise that it broke."""
        steps = list(enumerate(draw_steps(seed)))
        if only is not None:
            steps = [steps[number] for number in only]
        name = f"h{next(self.numbers)}"
        folder = self.folder / name
        folder.mkdir()
        place = Place(self.aws, self.s3, self.rekognition, name, folder)
        history = History(place, self.proxy, self.crew, self.tally, self.without)
        self.tally.add("histories")
        try:
            begin(history, random.Random(seed), self.kinds)
            for number, step in steps:
                if step.name in self.without:
                    continue
                history.say(f"[{number}] {step.name}")
                self.tally.add("steps")
                STEPS[step.name][0](history, random.Random(step.seed))
            history.say("[end]")
            history.settle()
        except BrokenPromiseError as broken:
            return Failure(seed, broken.promise, broken.detail, history.log, only, self.without, self.kinds)
        except Exception as error:  # a fault of the harness is a finding as well
            where = traceback.format_exc()
            promise = f"harness: {type(error).__name__}"
            return Failure(seed, promise, f"{error}\n{where}", history.log, only, self.without, self.kinds)
        finally:
            self.aws.clear_faults()
            self.aws.delete_projects()
        return None

    def shorten(self, failure: Failure, patience_s: float = 90) -> Failure:
        """The same failure by fewer steps, as far as can be found in time."""
        give_up = time.monotonic() + patience_s
        best = failure
        only = list(failure.only if failure.only is not None else range(len(draw_steps(failure.seed))))
        if found := [
            int(line[1 : line.index("]")]) for line in failure.log if line.startswith("[") and line[1].isdigit()
        ]:
            only = [number for number in only if number <= found[-1]]
        size = max(1, len(only) // 2)
        while size >= 1 and time.monotonic() < give_up:
            at = 0
            while at < len(only) and time.monotonic() < give_up:
                fewer = only[:at] + only[at + size :]
                again = self.play(failure.seed, fewer)
                if again is not None and again.promise == failure.promise:
                    only, best = fewer, again
                else:
                    at += size
            size //= 2
        return best


def begin(history: History, rng: random.Random, kinds: frozenset[str]) -> None:
    """Some images in each of a few folders.

    :param kinds: that the history has whatever its seed says
    """
    drawn = {kind for kind, chance in KINDS.items() if rng.random() < chance}
    chosen = (drawn | kinds) - history.without
    history.is_split = "split" in chosen
    if "past" in chosen:
        history.keep_versions()
    if "u" in chosen:
        people.fill_computer(history, rng, rng.randint(4, 8))
    for origin in ("a", *(each for each in ("b", "m", "c", "d") if each in chosen)):
        for _ in range(rng.randint(5, 9) if origin == "a" else rng.randint(3, 5)):
            key = people.new_key(history, rng, origin)
            history.put(key, history.new_content())
    history.say(f"{' '.join(sorted(chosen))} {', '.join(history.keys())}".strip())


@contextmanager
def stage(*, without: frozenset[str] = frozenset(), kinds: frozenset[str] = frozenset()) -> Iterator[Stage]:
    """Local AWS, a proxy and a crew until the block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        aws = stack.enter_context(running_local_aws(folder / "aws", "--status-delay", "0.02"))
        proxy = stack.enter_context(Proxy(aws.s3_endpoint, aws.rekognition_endpoint))
        crew = stack.enter_context(running_crew(folder))
        yield Stage(aws, proxy, crew, folder, without=without, kinds=kinds)
