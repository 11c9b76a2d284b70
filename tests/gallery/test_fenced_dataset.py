"""What a save can tell of a batch's end, and of others who work on the dataset at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from include.custom_labels.errors import AccessError
from include.gallery import fenced_dataset
from include.gallery.edits import ChangedEntry
from include.gallery.fenced_dataset import LOOKS, Applied, FencedDataset
from include.gallery.live_entries import KnownEntries
from include.gallery.save_lease import SaveLease
from include.gallery.save_plan import ChangedEntries
from include.gallery.services import DatasetState, ServiceProject
from tests.gallery.worlds import ARN, NAME, START, World, entry

TIMES = [START + timedelta(minutes=n) for n in range(3)]
BATCH = [ChangedEntry(id="0" * 16, before=entry("a.png", "echo"), after=entry("a.png", "dot"))]


def state(status: str, at: int) -> DatasetState:
    """:param at: of which of `TIMES` the dataset's last change is"""
    return DatasetState(
        status=status, status_message="No.", updated_at=TIMES[at], images=1, labelled=1, labels=1, errors=0
    )


@dataclass
class Script:
    """Rekognition as it says the given states, one a look, and then the last one for ever."""

    states: Sequence[DatasetState]
    lines: dict[str, bytes] = field(default_factory=dict)
    updates: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def projects(self) -> list[ServiceProject]:
        raise NotImplementedError

    def describe(self, dataset_arn: str) -> DatasetState:
        first, *rest = self.states
        self.states = rest or [first]
        return first

    def entries(self, dataset_arn: str) -> Iterator[str]:
        self.asked.append("all")
        return (line.decode() for line in self.lines.values())

    def find_entries(self, dataset_arn: str, source_ref: str) -> list[str]:
        self.asked.append(source_ref)
        return [self.lines[source_ref].decode()] if source_ref in self.lines else []

    def update(self, dataset_arn: str, lines: bytes) -> None:
        self.updates.append(lines)


def fenced(here: World, service: Script, *, images: int = 1) -> FencedDataset:
    now = lambda: datetime.now(UTC)  # noqa: E731
    lease = SaveLease.take(here.session, NAME.folder(here.workspace()), "save", now=now, has_ended=lambda holder: False)
    known = KnownEntries(origin="x", dataset_arn=ARN, updated_at=TIMES[0].isoformat(), read_at=START)
    return FencedDataset(service, known, lease, images=images, live_on=lambda: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fenced_dataset, "POLL_S", 0.001)


@pytest.mark.parametrize(
    ("seen", "until", "is_alone"),
    [
        pytest.param([("UPDATE_IN_PROGRESS", 0)] * 3 + [("UPDATE_COMPLETE", 1)], 1, True, id="ours"),
        pytest.param([("UPDATE_COMPLETE", 1)], 1, True, id="ours, within one look"),
        pytest.param([("UPDATE_COMPLETE", 0)] * 3 + [("UPDATE_COMPLETE", 1)], 1, True, id="ours, seen late"),
        pytest.param(
            [("UPDATE_IN_PROGRESS", 0), ("UPDATE_IN_PROGRESS", 1), ("UPDATE_COMPLETE", 2)], 2, False, id="theirs after"
        ),
        pytest.param([("UPDATE_IN_PROGRESS", 1), ("UPDATE_COMPLETE", 2)], 2, False, id="theirs right before"),
    ],
)
def test_what_the_looks_at_a_batch_tell(here: World, seen: list[tuple[str, int]], until: int, is_alone: bool) -> None:
    service = Script([state("CREATE_COMPLETE", 0), *(state(*each) for each in seen)])
    applied = fenced(here, service).send(BATCH)
    assert applied == Applied(TIMES[0].isoformat(), TIMES[until].isoformat(), is_alone)
    assert service.updates == [BATCH[0].after + b"\n"]


@pytest.mark.parametrize("now", [("UPDATE_IN_PROGRESS", 0), ("UPDATE_COMPLETE", 1), ("DELETE_IN_PROGRESS", 0)])
def test_a_dataset_that_is_not_the_one_that_was_looked_at_gets_nothing(here: World, now: tuple[str, int]) -> None:
    service = Script([state(*now)])
    assert fenced(here, service).send(BATCH) is None
    assert service.updates == []


def test_the_next_batch_builds_on_the_one_before(here: World) -> None:
    service = Script([state("UPDATE_COMPLETE", at) for at in (0, 1, 1, 2)])
    dataset = fenced(here, service)
    assert [dataset.send(BATCH), dataset.send(BATCH)] == [
        Applied(TIMES[at].isoformat(), TIMES[at + 1].isoformat(), is_alone=True) for at in (0, 1)
    ]


def test_a_batch_whose_operation_nobody_ever_saw_is_not_waited_for_for_ever(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fenced_dataset, "_UNSEEN_S", 0.01)
    applied = fenced(here, Script([state("UPDATE_COMPLETE", 0)])).send(BATCH)
    assert applied is not None
    assert applied.until == applied.since


def test_a_batch_that_rekognition_does_not_take_in_is_a_failure(here: World) -> None:
    service = Script([state("CREATE_COMPLETE", 0), state("UPDATE_IN_PROGRESS", 0), state("UPDATE_FAILED", 1)])
    with pytest.raises(AccessError) as caught:
        fenced(here, service).send(BATCH)
    assert caught.value.code == "REKOGNITION_DATASET_FAILED"
    assert caught.value.message.endswith("UPDATE_FAILED: No.")


@pytest.mark.parametrize(
    ("changes", "images", "asked"),
    [(LOOKS, 250_000, LOOKS), (LOOKS + 1, LOOKS * 100, 1), (LOOKS + 1, LOOKS * 100 + 1, 0)],
)
def test_entries_are_looked_at_where_few_requests_tell(here: World, changes: int, images: int, asked: int) -> None:
    lines = {f"s3://example-images/{n}.png": entry(f"{n}.png", "echo") for n in range(changes)}
    service = Script([state("CREATE_COMPLETE", 0)], lines)
    with ChangedEntries() as plan:
        plan.add(ChangedEntry(id=f"{n:016x}", before=line, after=line) for n, line in enumerate(lines.values()))
        dataset = fenced(here, service, images=images)
        assert dataset.is_as_planned(plan)
        assert len(service.asked) == asked
        service.lines |= {"s3://example-images/7.png": entry("7.png", "theirs")}
        assert dataset.is_as_planned(plan) == (asked == 0)
        del service.lines["s3://example-images/7.png"]
        assert dataset.is_as_planned(plan) == (asked == 0)
