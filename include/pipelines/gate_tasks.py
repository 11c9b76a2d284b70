"""The tasks of the gate: look for risks, and ask a person in Airflow's Required Actions."""

from __future__ import annotations

import logging
from datetime import timedelta
from inspect import cleandoc
from typing import Any

import msgspec
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import XComArg, get_current_context, task

from include.custom_labels.split_report import SplitReport
from include.pipelines.gates import GATE_KEY, asks, check_gate
from include.pipelines.registration import Plan
from include.pipelines.registration_tasks import PLAN, REGISTER
from include.pipelines.reporting import departures_of, question_of
from include.pipelines.runs import ImportRun
from include.pipelines.steps import step
from include.rekognition.pool import CALLING_SLOTS, in_pool

CHECK_GATE = "check_gate"
APPROVE = "approve"

QUESTION_KEY = "question"
"""XCom key of what a person is asked."""

RESPONSE_TIMEOUT = timedelta(days=7)
"""How long a run waits for a person before it fails."""


log = logging.getLogger(__name__)


@step
def pass_gate(
    run: dict[str, Any],
    built: dict[str, Any],
    plan: dict[str, Any],
    split: dict[str, Any] | None,
    group: str,
) -> str:
    """Compare the new manifest with the last snapshot, find risks, and ask a person where `approval` says so.

    With ``approval: never`` a run with risks fails here, before any write.
    """
    import_run = ImportRun.from_json(run)
    decided = msgspec.convert(plan, Plan)
    gate = check_gate(import_run, built, decided, msgspec.convert(split, SplitReport) if split else None)
    pushed = get_current_context()["ti"]
    pushed.xcom_push(key=GATE_KEY, value=msgspec.to_builtins(gate))
    for risk in gate.risks:
        log.warning("%s: %s %s", risk.risk, risk.detail, ", ".join(map(ascii, risk.samples)))
    if not asks(import_run, decided, gate):
        return group + REGISTER
    pushed.xcom_push(
        key=QUESTION_KEY,
        value=question_of(
            import_run,
            built,
            decided,
            gate,
            images_per_label=decided.merged.labels if decided.merged else None,
            departures=departures_of(decided),
        ),
    )
    return group + APPROVE


def open_gate(run: XComArg, built: XComArg, plan: XComArg, split: XComArg | None) -> tuple[XComArg, ApprovalOperator]:
    """The gate, and the question that it may lead to.

    :param plan: of the task `PLAN`, which may be in a group of tasks
    """
    # Templates name tasks by their whole ids, and these start with the group that the tasks are in.
    group = plan.operator.task_id.removesuffix(PLAN)  # type: ignore[attr-defined]
    asked = f"ti.xcom_pull(task_ids='{group}{CHECK_GATE}', key='{QUESTION_KEY}')"
    gate = task.branch(task_id=CHECK_GATE, doc_md=cleandoc(pass_gate.__doc__ or ""), **in_pool(CALLING_SLOTS))(
        pass_gate
    )(
        run,  # type: ignore[arg-type]
        built,  # type: ignore[arg-type]
        plan,  # type: ignore[arg-type]
        split,  # type: ignore[arg-type]
        group,
    )
    approved = ApprovalOperator(
        task_id=APPROVE,
        subject=f"{{{{ {asked}['subject'] }}}}",
        body=f"{{{{ {asked}['body'] }}}}",
        fail_on_reject=True,
        response_timeout=RESPONSE_TIMEOUT,
        # The time that the waiting may take is the response's.
        execution_timeout=None,
        # Whoever rejected is not asked again.
        retries=0,
        doc_md="Wait until a person approves in Required Actions; a rejection fails the run, and nothing is changed.",
    )
    gate >> approved
    return gate, approved
