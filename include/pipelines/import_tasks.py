"""The tasks that all import sources share, before and after the ones that only a source has."""

from __future__ import annotations

from airflow.sdk import XComArg

from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.policy import task_of
from include.pipelines.publication import DATASETS, publish
from include.pipelines.reconciliation import reconcile
from include.pipelines.registration import PLAN_KEY, plan_registration
from include.pipelines.registration_group import PLAN, RECONCILE, register
from include.pipelines.start import check_access, validate_request
from include.pipelines.summaries import summarize


def start_import(source: str) -> tuple[XComArg, XComArg]:
    """The run, and the access check that has to pass before the source's own tasks.

    :param source: the tag of its request, such as ``s3_folder``
    """
    run = task_of(validate_request)(source)
    return run, task_of(check_access)(run)


def finish_import(
    run: XComArg,
    shards: XComArg,
    *,
    dataset_type: str = "{{ params.dataset_type | upper }}",
    provenance: XComArg | None = None,
) -> None:
    """Everything from the inspection of images to the summary; may be called within a group of tasks.

    :param shards: what the source's last task returns: a list of shards, each with its number, bucket and ledger
    :param dataset_type: ``TRAIN`` or ``TEST``, or a template that gives it
    :param provenance: JSON on where all of this came from, for the snapshot
    """
    inspected = task_of(inspect_images).partial(run=run).expand(shard=shards)
    built = task_of(build_manifest)(run, inspected)
    validated = task_of(validate_manifest)(run, built)
    plan = task_of(plan_registration, task_id=PLAN)(run, built)
    begun, written, restored = register(run, built, plan, dataset_type)
    reconciled = task_of(reconcile, task_id=RECONCILE, trigger_rule="none_failed_min_one_success")(
        run,
        built,
        plan,
        begun[PLAN_KEY],  # type: ignore[index]
    )
    published = task_of(publish, task_id="publish_snapshot", outlets=[DATASETS])(
        run, built, validated, reconciled, provenance
    )
    validated >> plan
    written >> reconciled
    [reconciled, published] >> restored
    task_of(summarize)(run, built, validated, reconciled, published)
