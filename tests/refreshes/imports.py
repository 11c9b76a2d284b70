"""Imports of any source, task by task in this process, against the local services.

The tasks' own code runs, and their operators wait on the spot; only Airflow is played, by `Airflow`. A test may stop
between two tasks, as a scheduler may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import set_current_context

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.ledger import LedgerRow, ledger_rows
from include.custom_labels.locations import S3Uri
from include.custom_labels.risks import Risk
from include.custom_labels.split_report import SplitReport
from include.object_store.registration_journal import Journal, Registration, read_journal
from include.object_store.snapshots import CurrentSnapshot, read_current
from include.object_store.streams import read_bytes
from include.object_store.tables import read_ledger
from include.pipelines import existing_dataset, ground_truth, local_computer, registration_work, s3_folder
from include.pipelines.distribution import DistributeEntriesOperator
from include.pipelines.division import choose_dataset, divide_images
from include.pipelines.gates import Gate, asks, check_gate
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.publication import publish
from include.pipelines.registration import Plan
from include.pipelines.registration_tasks import PlanRegistrationOperator, RegisterDatasetOperator
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.requests import REQUEST_TYPES
from include.pipelines.runs import ImportRun
from include.pipelines.summaries import summarize
from include.pipelines.verification import Verified, verify
from tests.fixtures.places import Place

_numbers = count(1)


class Events:
    """What a task is given to send asset events with, and what it has sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def __getitem__(self, alias: object) -> Events:
        return self

    def add(self, asset: object, extra: dict[str, Any]) -> None:
        self.sent.append(extra)


class Airflow:
    """What tasks ask of Airflow.

    :ivar states: of the runs that Airflow knows
    """

    # Every try is the last one.
    try_number = 1
    max_tries = 0

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def context(self, dag_id: str, run_id: str, run_type: str) -> dict[str, Any]:
        self.states[run_id] = "running"
        now = datetime.now(UTC)
        return {
            "ti": self,
            "dag": SimpleNamespace(tasks=(), timetable=None),
            "task": SimpleNamespace(upstream_task_ids=(), pool=""),
            "dag_run": SimpleNamespace(dag_id=dag_id, run_id=run_id, run_type=run_type, run_after=now),
            "outlet_events": Events(),
        }

    def xcom_push(self, **_: Any) -> None:
        """What one task has for the next, tests hand on themselves."""

    def xcom_pull(self, **_: Any) -> None:
        return None

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        if run_id not in self.states:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
        return self.states[run_id]


@contextmanager
def _refusals() -> Iterator[None]:
    """An error as it was raised, and not as Airflow has to see it."""
    try:
        yield
    except AirflowFailException as error:
        cause = getattr(error.__cause__, "reason", error.__cause__)
        assert isinstance(cause, CustomLabelsError)
        raise cause from error


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[CustomLabelsError]]:
    """The block ends in an error of this code that says what to do."""
    with pytest.raises(CustomLabelsError) as caught:
        yield caught
    assert caught.value.code == code, caught.value
    assert caught.value.next_step


@contextmanager
def before_a_write(act: Callable[[], object], step: str = "", *, skip: int = 0) -> Iterator[None]:
    """Once, something happens after a run has written down what it does, and before it makes sure that it may.

    :param step: of a registration; empty for any
    :param skip: how many such writes come first
    """
    acts: list[Callable[[], object]] = [act, *[lambda: None] * skip]
    with pytest.MonkeyPatch.context() as patch:
        fence = RegistrationWork._fence

        def act_first(work: RegistrationWork, registration: Registration) -> None:
            if acts and step in ("", registration.step):
                acts.pop()()
            fence(work, registration)

        patch.setattr(RegistrationWork, "_fence", act_first)
        yield
    assert not acts, "nothing was written"


@contextmanager
def right_before(client: Any, operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Once, something happens when a client's request is on its way already.

    :param client: of Rekognition
    :param act: may return an answer, which is then that of the request
    """
    with _at_event(client, f"before-send.rekognition.{operation}", act):
        yield


@contextmanager
def right_after(client: Any, operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Once, something happens when a client's request was answered, and nobody knows of the answer yet.

    :param client: of Rekognition
    """
    with _at_event(client, f"after-call.rekognition.{operation}", act):
        yield


@contextmanager
def _at_event(client: Any, event: str, act: Callable[[], object]) -> Iterator[None]:
    acts = [act]

    def act_first(**_: Any) -> object:
        return acts.pop()() if acts else None

    client.meta.events.register_first(event, act_first)
    try:
        yield
    finally:
        client.meta.events.unregister(event, act_first)
    assert not acts, f"there was no {event}"


@contextmanager
def edited_before_verification(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Iterator[None]:
    """Something happens after a run's last write, and before it looks at what has come of it."""

    def act_first(run: ImportRun, plan: Plan, arn: str, **more: Any) -> Verified:
        act()
        return verify(run, plan, arn, **more)

    with monkeypatch.context() as patch:
        patch.setattr(registration_work, "verify", act_first)
        yield


class DeathError(BaseException):
    """A worker dies: nothing that a run does about its own failures is done."""


def die() -> None:
    raise DeathError


@dataclass(kw_only=True)
class Import:
    """An import into one dataset, from its manifest on.

    :ivar whole: the run, which may be for both datasets
    :ivar run: of this dataset alone
    :ivar published: what the task *publish_snapshot* returned
    :ivar screen: what the task *summarize* showed
    """

    whole: dict[str, Any]
    run: ImportRun
    built: dict[str, Any]
    validated: dict[str, Any]
    context: dict[str, Any]
    provenance: dict[str, Any] | None = None
    split: SplitReport | None = None
    planned: dict[str, Any] = field(default_factory=dict)
    gate: Gate = field(default_factory=Gate)
    reconciled: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    screen: dict[str, Any] = field(default_factory=dict)

    # The tasks.

    def plan_it(self) -> Import:
        """The tasks *plan_registration* and *check_gate*; a person says yes, where one is asked."""
        inputs = {"run": self.run.to_json(), "built": self.built, "provenance": self.provenance}
        self.planned = self._execute(PlanRegistrationOperator, **inputs)
        with self._context():
            self.gate = check_gate(self.run, self.built, self.plan, self.split)
            asks(self.run, self.plan, self.gate)
        return self

    def register(self) -> Import:
        """The task *register*."""
        inputs = {"run": self.run.to_json(), "built": self.built, "provenance": self.provenance}
        self.reconciled = self._execute(RegisterDatasetOperator, plan=self.planned, **inputs)
        return self

    def register_and_die(self, place: Place) -> None:
        """The worker dies before it hears that its update was accepted, which it was."""
        with right_after(self.run.rekognition.conn, "UpdateDatasetEntries", die), pytest.raises(DeathError):
            self.register()
        arn = place.dataset_arn()
        assert arn
        assert place.wait_until_ready(arn)["Status"] == "UPDATE_COMPLETE"

    def publish(self) -> Import:
        """The task *publish_snapshot*."""
        gate = msgspec.to_builtins(self.gate)
        with self._context():
            self.published = publish(
                self.run.to_json(), self.built, self.validated, self.reconciled, gate, None, self.provenance
            )
        return self

    def summarize(self) -> Import:
        """The task *summarize*, at whose end Airflow says of the run that it has succeeded."""
        with self._context():
            self.screen = summarize(self.run.to_json(), self.built, self.validated, self.reconciled, self.published)
        return self.end("success")

    def distribute(self) -> int:
        """The task *distribute_entries*; how many entries were moved."""
        moved: int = self._execute(DistributeEntriesOperator, run=self.whole)["moved"]
        return moved

    def finish(self) -> Import:
        """All of the tasks that are left."""
        return (self if self.planned else self.plan_it()).register().publish().summarize()

    def end(self, state: str) -> Import:
        """Airflow says of the run that it has ended."""
        self.context["ti"].states[self.run.holder.run_id] = state
        return self

    def _execute(self, operator: Callable[..., Any], **inputs: Any) -> dict[str, Any]:
        task = operator(task_id="task", deferrable=False, waiter_delay=0.01, **inputs)
        with self._context():
            done: dict[str, Any] = task.execute(self.context)
        return done

    @contextmanager
    def _context(self) -> Iterator[None]:
        with _refusals(), set_current_context(self.context):  # type: ignore[arg-type]
            yield

    # What came of it.

    @cached_property
    def plan(self) -> Plan:
        """What was planned at first."""
        return msgspec.convert(self.planned, Plan)

    @property
    def action(self) -> str:
        """What was done in the end."""
        action: str = self.reconciled["plan"]["action"]
        return action

    @property
    def merged(self) -> Any:
        """What the merge of the plan came to that was carried out."""
        return msgspec.convert(self.reconciled["plan"], Plan).merged

    @property
    def risks(self) -> dict[Risk, int]:
        return {each.risk: each.count for each in self.gate.risks}

    @property
    def states(self) -> dict[str, int]:
        states: dict[str, int] = self.reconciled["states"]
        return states

    @property
    def changed(self) -> bool:
        return bool(self.published["changed"])

    @property
    def events(self) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = self.context["outlet_events"].sent
        return sent

    @property
    def rows(self) -> dict[str, LedgerRow]:
        """The published ledger by key."""
        pages = read_ledger(self.run.s3, S3Uri.parse(self.published["ledger_uri"]))
        return {row.key: row for page in pages for row in ledger_rows(page)}

    @property
    def reasons(self) -> dict[str, str]:
        """State and reason by key."""
        return {key: f"{row.state} {row.reason}" for key, row in self.rows.items()}

    @property
    def journal(self) -> Journal:
        return read_journal(self.run.s3, self.run.dataset)

    @property
    def current(self) -> CurrentSnapshot | None:
        found = read_current(self.run.s3, self.run.dataset)
        return found[0] if found else None

    @property
    def entries_before(self) -> bytes:
        """``entries.manifest`` of the snapshot; empty where it has none."""
        uri = self.run.dataset.snapshot(self.published["snapshot_id"]).entries
        found = read_bytes(self.run.s3, uri)
        return found[0] if found else b""

    def summary(self) -> dict[str, Any]:
        """``summary.json`` of the snapshot."""
        uri = S3Uri.parse(self.published["summary_uri"])
        answer = self.run.s3.client.get_object(Bucket=uri.bucket, Key=uri.key)
        summary: dict[str, Any] = msgspec.json.decode(answer["Body"].read())
        return summary


@dataclass(frozen=True)
class Imports:
    """Imports into the datasets of a place."""

    place: Place
    airflow: Airflow

    def begin(
        self, source: str = "s3_folder", *, run_type: str = "manual", tick: datetime | None = None, **conf: Any
    ) -> Import:
        """An import up to *validate_manifest*.

        :param tick: the end of its data interval
        """
        (begun,) = self._begin(source, run_type, tick, conf)
        return begun

    def run(self, source: str = "s3_folder", **conf: Any) -> Import:
        """A whole import."""
        return self.begin(source, **conf).finish()

    def split(self, source: str = "s3_folder", *, tick: datetime | None = None, **conf: Any) -> dict[str, Import]:
        """A whole import into both datasets of a project, by their types."""
        begun = self._begin(source, "manual", tick, {"dataset_type": "train+test"} | conf)
        done = {each.run.request.dataset_type: each.finish() for each in begun}
        begun[0].distribute()
        return done

    def _begin(self, source: str, run_type: str, tick: datetime | None, conf: Mapping[str, Any]) -> list[Import]:
        context = self.airflow.context(f"import_{source}", f"run-{next(_numbers)}", run_type)
        context["data_interval_end"] = tick
        defaults = {"project": self.place.project}
        if source == "s3_folder":
            defaults["s3_folder"] = f"s3://{self.place.images}/{FOLDER}"
        with _refusals(), set_current_context(context):  # type: ignore[arg-type]
            run = ImportRun.of(REQUEST_TYPES[source], defaults | conf, context).to_json()
            return [
                Import(
                    whole=run,
                    run=ImportRun.from_json(of_type),
                    built=(built := build_manifest(of_type, shards)),
                    validated=validate_manifest(of_type, built),
                    context=context,
                    provenance=provenance,
                    split=split,
                )
                for of_type, shards, provenance, split in _SOURCES[source](run)
            ]


FOLDER = "alexa-devices/"

Divided = tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any] | None, SplitReport | None]
"""The run of one dataset, its shards, and where they are from."""


def _divided(
    run: dict[str, Any], shards: list[dict[str, Any]], chosen: dict[str, Any] | None = None
) -> Iterator[Divided]:
    divided = divide_images(run, [inspect_images(run, shard) for shard in shards])
    report = divided.pop("report")
    split = msgspec.convert(report, SplitReport) if report else None
    for dataset_type, of_type in divided.items():
        yield choose_dataset(run, dataset_type, chosen), of_type, None, split


def _s3_folder(run: dict[str, Any]) -> Iterator[Divided]:
    return _divided(run, s3_folder.assign_labels(run, s3_folder.list_objects(run)))


def _local_computer(run: dict[str, Any]) -> Iterator[Divided]:
    staged = local_computer.stage_files(run)
    uploaded = [local_computer.upload_images(run, staged, shard) for shard in local_computer.divide_files(staged)]
    return _divided(run, local_computer.assign_labels(run, staged, uploaded), staged["chosen"])


def _ground_truth(run: dict[str, Any]) -> Iterator[Divided]:
    shards = ground_truth.read_annotations(run)
    return _divided(run, [ground_truth.copy_to_image_root(run, shard) for shard in shards])


def _existing_dataset(run: dict[str, Any]) -> Iterator[Divided]:
    found = existing_dataset.find_source(run)
    for dataset_type in found:
        of_type = choose_dataset(run, dataset_type)
        exported = existing_dataset.export_entries(of_type, found)
        entries = existing_dataset.read_entries(of_type, exported)
        brought = [existing_dataset.bring_images(of_type, shard) for shard in entries]
        yield of_type, [inspect_images(of_type, shard) for shard in brought], exported, None


_SOURCES: dict[str, Callable[[dict[str, Any]], Iterator[Divided]]] = {
    "s3_folder": _s3_folder,
    "local_computer": _local_computer,
    "ground_truth": _ground_truth,
    "existing_dataset": _existing_dataset,
}
