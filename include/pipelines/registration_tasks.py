"""The two tasks of a registration: one that decides, and one that writes to Rekognition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import XComArg

from include.pipelines.links import JournalLink
from include.pipelines.policy import ONE_WAY
from include.pipelines.reconciliation import reconcile
from include.pipelines.registration import Plan, plan_registration
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.runs import has_ended
from include.pipelines.waiting import WaitingOperator
from include.rekognition.links import RekognitionDatasetLink
from include.rekognition.pool import LISTING_SLOTS, in_pool

if TYPE_CHECKING:
    from airflow.sdk import Context

PLAN = "plan_registration"
REGISTER = "register"


class _DatasetOperator(WaitingOperator):
    """A step of one dataset's import, which is given what earlier steps have left."""

    template_fields: Sequence[str] = (*WaitingOperator.template_fields, "built", "provenance")

    def __init__(self, *, built: Any, provenance: Any = None, **kwargs: Any) -> None:
        super().__init__(**in_pool(LISTING_SLOTS), **kwargs)
        self.built = built
        self.provenance = provenance


class PlanRegistrationOperator(_DatasetOperator):
    """Merge the manifest with the dataset that exists, and decide what to send; nothing is written to Rekognition.

    New images, and entries whose labels only this project has changed, are sent. Entries that a person changed are
    kept. Where images were removed, the dataset is going to be replaced. Of a backfill, only the newest run registers.
    While somebody works on the dataset, the task waits without a worker, for `max_wait_minutes` at most.
    """

    def work(self, context: Context) -> dict[str, Any]:
        return plan_registration(self.import_run, self.built, self.provenance).to_json()


class RegisterDatasetOperator(_DatasetOperator):
    """Create, update or replace the dataset under a lease, verify it, and close the ledger.

    The state is the journal `registration.json` in the workspace: each step is written there before and after, and the
    task continues where the journal says after a wait, a retry, a killed worker or Airflow's *clear*. Right before each
    write it makes sure that the lease is still this run's and that nobody else has changed the dataset. It waits
    without a worker for other runs and people, for `max_wait_minutes` at most, and for Rekognition.
    """

    template_fields: Sequence[str] = (*_DatasetOperator.template_fields, "plan")
    operator_extra_links = (JournalLink(), RekognitionDatasetLink())

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def work(self, context: Context) -> dict[str, Any]:
        run = self.import_run
        self._persist_links(context)
        plan, verified = self._registration().go_on()
        self.log.info("%s: %s", plan.action, verified.dataset_arn or "nothing was registered")
        return reconcile(run, self.built, plan, verified)

    def give_up(self) -> None:
        self._registration().give_up()

    def _registration(self) -> RegistrationWork:
        plan = msgspec.convert(self.plan, Plan)
        return RegistrationWork(self.import_run, self.built, plan, self.provenance, has_ended)

    def _persist_links(self, context: Context) -> None:
        run = self.import_run
        more = {"region_name": run.region, "aws_partition": run.rekognition.conn_partition}
        journal = run.dataset.registration
        JournalLink.persist(context=context, operator=self, bucket=journal.bucket, object_key=journal.key, **more)
        RekognitionDatasetLink.persist(context=context, operator=self, project_name=run.request.project, **more)


def plan_task(run: XComArg, built: XComArg, provenance: XComArg | None) -> PlanRegistrationOperator:
    """The task that decides."""
    return PlanRegistrationOperator(task_id=PLAN, run=run, built=built, provenance=provenance)


def register_task(run: XComArg, built: XComArg, plan: XComArg, provenance: XComArg | None) -> RegisterDatasetOperator:
    """The task that writes."""
    return RegisterDatasetOperator(
        task_id=REGISTER, run=run, built=built, plan=plan, provenance=provenance, trigger_rule=ONE_WAY
    )
