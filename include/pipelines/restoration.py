"""The way back from a replacement that failed: the dataset as it was exported before it was deleted."""

from __future__ import annotations

import logging
from typing import Any

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.locations import S3Uri
from include.object_store.registration_journal import HeldJournal, Replacement, read_journal
from include.pipelines.runs import ImportRun
from include.pipelines.steps import step
from include.rekognition.errors import translated_errors

_WAITER_DELAY_S = 5
_WAITER_MAX_ATTEMPTS = 1440

log = logging.getLogger(__name__)


@step
def restore_dataset(run: dict[str, Any] | None) -> dict[str, Any]:
    """Create the dataset again from its exported entries, where it was deleted and its replacement failed.

    Runs only after a failure; it then also ends the run's lease on the dataset. The run has failed all the same.
    """
    if run is None:
        # The task that makes the run of the request has failed, so that nothing has begun.
        return {"restored": 0}
    import_run = ImportRun.from_json(run)
    lease = read_journal(import_run.s3, import_run.dataset).lease
    if lease is None or lease.holder != import_run.holder:
        # A run that did not get the lease has done nothing.
        return {"restored": 0}
    held = HeldJournal.resume(import_run.s3, import_run.dataset, import_run.holder)
    replacement = held.journal.replacement
    if replacement is None:
        held.write(lease=None)
        return {"restored": 0}
    restored = _restore(import_run, replacement)
    if restored is None:
        # The replacement is there, and something else failed: the next run takes from the export what it may lack.
        held.write(lease=None)
        return {"restored": 0}
    held.write(replacement=None, lease=None)
    log.warning("The dataset is %s, with the %s entries that it had before.", restored, f"{replacement.count:,}")
    return {"restored": replacement.count, "dataset_arn": restored}


def _restore(run: ImportRun, replacement: Replacement) -> str | None:
    """The ARN of a dataset with the exported entries, new or never deleted; None where there is another dataset."""
    hook = run.rekognition
    dataset = hook.find_dataset(run.request.project, run.dataset_type)
    if dataset is not None and dataset["Status"] == "CREATE_FAILED":
        with translated_errors(dataset["DatasetArn"]):
            hook.conn.delete_dataset(DatasetArn=dataset["DatasetArn"])
        dataset = {**dataset, "Status": "DELETE_IN_PROGRESS"}
    if dataset is not None and dataset["Status"] == "DELETE_IN_PROGRESS":
        hook.wait("dataset_deleted", dataset["DatasetArn"], _WAITER_DELAY_S, _WAITER_MAX_ATTEMPTS)
        dataset = None
    if dataset is not None:
        return replacement.dataset_arn if dataset["DatasetArn"] == replacement.dataset_arn else None
    arn = _create(run, replacement)
    count: int = hook.describe_dataset(arn)["DatasetStats"]["TotalEntries"]
    if count != replacement.count:
        raise DatasetConflictError(
            "RESTORE_INCOMPLETE",
            f"{count:,} of {replacement.count:,} entries were restored.",
            f"All of them are in {replacement.entries}; compare it with the dataset's entries.",
            entries=replacement.entries,
        )
    return arn


def _create(run: ImportRun, replacement: Replacement) -> str:
    hook = run.rekognition
    project = hook.find_project(run.request.project)
    if project is None:
        raise DatasetConflictError(
            "DATASET_VANISHED",
            f"The project {run.request.project} is gone.",
            f"Its dataset's entries are in {replacement.entries}.",
        )
    source = S3Uri.parse(replacement.entries)
    with translated_errors(project["ProjectArn"]):
        arn: str = hook.conn.create_dataset(
            ProjectArn=project["ProjectArn"],
            DatasetType=run.dataset_type,
            DatasetSource={"GroundTruthManifest": {"S3Object": {"Bucket": source.bucket, "Name": source.key}}},
        )["DatasetArn"]
    hook.wait("dataset_created", arn, _WAITER_DELAY_S, _WAITER_MAX_ATTEMPTS)
    return arn
