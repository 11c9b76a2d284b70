"""The split that Rekognition makes: a part of the training dataset's entries goes to an empty test dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from include.custom_labels.errors import DatasetConflictError
from include.object_store.registration_journal import HeldJournal
from include.object_store.snapshots import read_current
from include.pipelines.division import DATASET_TYPES
from include.pipelines.requests import SplitRequest
from include.pipelines.runs import ImportRun, has_ended, utc_now
from include.pipelines.side_changes import run_of_type
from include.pipelines.waiting import WAITER_OF_STATUS, WaitingError, WaitingOperator
from include.rekognition.errors import translated_errors
from include.rekognition.pool import WAITING_SLOTS, in_pool

if TYPE_CHECKING:
    from airflow.sdk import Context

DISTRIBUTE = "distribute_entries"
_MAX_ATTEMPTS = 1440


class DistributeEntriesOperator(WaitingOperator):
    """Let Rekognition move a part of the training dataset's entries to the test dataset, where that was asked for.

    Rekognition moves entries only into an empty test dataset, which is created if it is missing. The next run finds the
    moved images where they are, and leaves a snapshot of each dataset. Nothing is moved if another run has registered
    the dataset since; while somebody works on either dataset, the task waits without a worker.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**in_pool(WAITING_SLOTS), **kwargs)

    def work(self, context: Context) -> dict[str, Any]:
        request = self.import_run.request
        if (
            not isinstance(request, SplitRequest)
            or request.distribution != "rekognition"
            or request.dataset_type != "train+test"
            or not request.register
        ):
            return {"moved": 0}
        with self._leases():
            return {"moved": self._distribute()}

    def _distribute(self) -> int:
        """Go as far as can be gone now; the number of entries that were moved."""
        run, hook = self.import_run, self.import_run.rekognition
        project = hook.find_project(run.request.project)
        found = {dataset["DatasetType"]: dataset for dataset in (project or {}).get("Datasets", ())}
        for dataset in found.values():
            if waiter := WAITER_OF_STATUS.get(dataset["Status"]):
                raise WaitingError(waiter=waiter, resource=dataset["DatasetArn"])
        if project is None or "TRAIN" not in found or not self._is_registered_by(run, found["TRAIN"]["DatasetArn"]):
            self.log.info("No entries are moved: this run is not the one that has registered the dataset.")
            return 0
        if "TEST" not in found:
            with translated_errors(project["ProjectArn"]):
                arn = hook.conn.create_dataset(ProjectArn=project["ProjectArn"], DatasetType="TEST")["DatasetArn"]
            raise WaitingError(waiter="dataset_created", resource=arn)
        arns = [found["TRAIN"]["DatasetArn"], found["TEST"]["DatasetArn"]]
        if hook.describe_dataset(arns[1])["DatasetStats"]["TotalEntries"]:
            return 0
        with translated_errors(arns[0]):
            hook.conn.distribute_dataset_entries(Datasets=[{"Arn": arn} for arn in arns])
        # On the worker, since nothing else tells this distribution from one that moved nothing.
        for arn in arns:
            hook.wait("dataset_updated", arn, self.waiter_delay, _MAX_ATTEMPTS)
        moved: int = hook.describe_dataset(arns[1])["DatasetStats"]["TotalEntries"]
        self.log.info("Rekognition moved %s entries to the test dataset.", f"{moved:,}")
        return moved

    @staticmethod
    def _is_registered_by(run: ImportRun, dataset_arn: str) -> bool:
        train = run_of_type(run, "train")
        found = read_current(train.s3, train.dataset)
        return found is not None and (found[0].run, found[0].dataset_arn) == (run.holder, dataset_arn)

    @contextmanager
    def _leases(self) -> Iterator[None]:
        """Nobody else works on either dataset meanwhile.

        :raises WaitingError: somebody does
        """
        run = self.import_run
        with ExitStack() as stack:
            for dataset_type in DATASET_TYPES:
                folder = run_of_type(run, dataset_type).dataset
                try:
                    held = HeldJournal.take(run.s3, folder, run.holder, now=utc_now(), has_ended=has_ended)
                except DatasetConflictError as error:
                    raise WaitingError(error) from error
                stack.callback(held.release)
            yield


def distribution_task(run: XComArg) -> DistributeEntriesOperator:
    """The task that lets Rekognition make the split."""
    return DistributeEntriesOperator(task_id=DISTRIBUTE, run=run)
