"""What runs of our Dags say of themselves, as Airflow's API server reads it for the gallery.

A request names Dag and run. Everything else is the run's own, as its tasks left it in XCom: through which AWS
connection S3 is asked for a run's pictures is never the reader's choice. The API server gets Variables and connections
through the same Airflow SDK as a task does, straight from secrets backends and database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.sdk import Variable
from airflow.sdk.serde import deserialize
from airflow.utils.session import create_session
from sqlalchemy import select

from include.custom_labels.advice import advise
from include.custom_labels.diff import DIFFERENCES, SnapshotDiff
from include.custom_labels.risks import RiskFinding
from include.gallery.addresses import SampleAddress
from include.gallery.messages import HeldChange, HeldImage, Risk, RunDataset, RunPage
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetType
from include.object_store.streams import read_bytes
from include.pipelines.gate_tasks import APPROVE, CHECK_GATE, QUESTION_KEY
from include.pipelines.gates import GATE_KEY, Gate
from include.pipelines.import_tasks import PUBLISH
from include.pipelines.registration import Plan
from include.pipelines.registration_tasks import PLAN, REGISTER
from include.pipelines.runs import AIRFLOW_ID_VARIABLE, ImportRun
from include.pipelines.snapshot_report import SampleImage

FIRST_TASK: Final = "validate_request"

_TYPES: tuple[DatasetType, ...] = ("train", "test")
_ENDED = frozenset({"success", "failed"})
_WAITING = ("awaiting_input", "deferred")


class AirflowRuns:
    """The gallery's `include.gallery.services.RunSource`.

    :param s3: S3 through the connection of that id
    """

    def __init__(self, s3: Callable[[str], S3Session]) -> None:
        self._s3 = s3

    def sample(self, address: SampleAddress) -> bytes | None:
        """The picture as it was stored; None where there is no such run or picture.

        :raises RequestError: WORKSPACE_NOT_SET, or CONNECTION_NOT_FOUND
        :raises AccessError: what S3 answers
        """
        run = find_run(address.dag_id, address.run_id)
        if run is None:
            return None
        found = read_bytes(self._s3(run.request.aws_conn_id), run.sample_place(address))
        return found and found[0]

    def has_ended(self, holder: Holder) -> bool:
        """Whether the run is known to have ended; one that this Airflow does not know any more was deleted.

        False for a run of another Airflow, and for a save, which is no run: their leases end by time.
        """
        state = run_state(holder.dag_id, holder.run_id)
        if state is None:
            # Without an id, no run of this Airflow has ever held a lease.
            return holder.airflow != "" and holder.airflow == Variable.get(AIRFLOW_ID_VARIABLE, default="")
        return state in _ENDED

    def started_at(self, holder: Holder) -> datetime | None:
        """When the run started; None where this Airflow does not know it, or it has not started."""
        with create_session() as session:
            found: datetime | None = session.scalar(
                select(DagRun.start_date).where(DagRun.dag_id == holder.dag_id, DagRun.run_id == holder.run_id)
            )
        return found

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        """What the run changed, or would change, as far as it has come; None where there is no such run."""
        state = run_state(dag_id, run_id)
        if state is None:
            return None
        run = find_run(dag_id, run_id)
        if run is None:
            return RunPage(dag_id=dag_id, run_id=run_id, is_ours=False, state=state)
        types = [each for each in _TYPES if run.request.dataset_type in (each, "train+test")]
        # Airflow holds no more of a run than what its tasks have returned.
        left = _xcoms(dag_id, run_id, [f"{each}.{task}" for each in types for task in _TASKS])
        waiting = _waiting(dag_id, run_id)
        return RunPage(
            dag_id=dag_id,
            run_id=run_id,
            is_ours=True,
            state=state,
            source=str(run.request.__struct_config__.tag),
            datasets=[_dataset(run, each, left, waiting) for each in types],
        )


_TASKS: Final = (PLAN, CHECK_GATE, REGISTER, PUBLISH)


def run_state(dag_id: str, run_id: str) -> str | None:
    """Airflow's, such as ``running``; None where there is no such run."""
    with create_session() as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    return None if state is None else str(getattr(state, "value", state))


def find_run(dag_id: str, run_id: str) -> ImportRun | None:
    """The run as its first task described it; None where there is no such run of this project."""
    value = _xcoms(dag_id, run_id, [FIRST_TASK]).get((FIRST_TASK, XCOM_RETURN_KEY))
    try:
        run = msgspec.convert(value, ImportRun)
    except msgspec.ValidationError:
        # Another Dag may well have a task of this name.
        return None
    return run if (run.holder.dag_id, run.holder.run_id) == (dag_id, run_id) else None


def _xcoms(dag_id: str, run_id: str, task_ids: Iterable[str]) -> dict[tuple[str, str], Any]:
    """What tasks that are not mapped have left, by task and key; decoded as a task would get it, tuples included."""
    query = XComModel.get_many(run_id=run_id, task_ids=list(task_ids), dag_ids=dag_id, map_indexes=-1)
    with create_session() as session:
        found: Iterable[XComModel] = session.scalars(query)
        return {(each.task_id, each.key): deserialize(each.value) for each in found}


def _waiting(dag_id: str, run_id: str) -> dict[str, list[str]]:
    """The options of each question of the run that nobody has answered, by task."""
    query = (
        select(TaskInstance.task_id, HITLDetail.options)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .where(TaskInstance.state.in_(_WAITING), HITLDetail.responded_at.is_(None))
    )
    with create_session() as session:
        return {task_id: list(options) for task_id, options in session.execute(query)}


def _dataset(
    run: ImportRun, dataset_type: DatasetType, left: dict[tuple[str, str], Any], waiting: dict[str, list[str]]
) -> RunDataset:
    def of(task: str, key: str = XCOM_RETURN_KEY) -> Any:
        return left.get((f"{dataset_type}.{task}", key))

    reconciled = of(REGISTER) or {}
    decided = reconciled.get("plan") or of(PLAN)
    plan = msgspec.convert(decided, Plan) if decided else None
    found = of(CHECK_GATE, GATE_KEY)
    gate = msgspec.convert(found, Gate) if found else None
    asking = f"{dataset_type}.{APPROVE}"
    question = of(CHECK_GATE, QUESTION_KEY)
    return RunDataset(
        project=run.request.project,
        dataset_type=dataset_type,
        action=plan.action if plan else "",
        snapshot_id=(of(PUBLISH) or {}).get("snapshot_id", ""),
        base_snapshot_id=gate.base_snapshot_id if gate else "",
        counts=_counts(gate.diff) if gate else {},
        states=reconciled.get("states", {}),
        held=_held(run, asking, waiting[asking], question, plan, gate)
        if asking in waiting and question and plan and gate
        else None,
    )


def _counts(diff: SnapshotDiff | None) -> dict[str, int]:
    """Images by kind of difference, where that is known."""
    if diff is None:
        return {}
    totals = {kind: getattr(diff, kind) for kind in DIFFERENCES}
    return {kind: total for kind, total in totals.items() if total is not None}


def _held(
    run: ImportRun, task_id: str, options: list[str], question: dict[str, Any], plan: Plan, gate: Gate
) -> HeldChange:
    images = msgspec.convert(question.get("images", []), list[SampleImage])
    return HeldChange(
        task_id=task_id,
        subject=question["subject"],
        options=options,
        action=plan.action,
        counts=_counts(gate.diff),
        labels_appeared=gate.diff.labels_appeared if gate.diff else [],
        labels_vanished=gate.diff.labels_vanished if gate.diff else [],
        risks=[_risk(each, run.request.parameters) for each in gate.risks],
        images=[
            HeldImage(
                change=each.what,
                key=each.change.image.split("/", 3)[-1],
                before=each.change.before,
                after=each.change.after,
                picture=each.url,
                missing=each.missing,
            )
            for each in images
        ],
    )


def _risk(found: RiskFinding, parameters: Collection[str]) -> Risk:
    return Risk(
        code=found.risk,
        explanation=advise(found.risk, found.risk.explanation, parameters),
        detail=found.detail,
        count=found.count,
        samples=list(found.samples),
    )
