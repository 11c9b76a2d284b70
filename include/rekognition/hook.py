"""Hook for the dataset operations of Amazon Rekognition Custom Labels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.utils.waiter_with_logging import wait
from airflow.providers.common.compat.sdk import AirflowException
from airflow.utils.helpers import prune_dict
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from include.rekognition.arns import project_name_of
from include.rekognition.entry_batches import MAX_BATCH_SIZE_BYTES, EntryBatch, EntrySource, entry_batches
from include.rekognition.errors import translated_errors, waiting_error
from include.rekognition.pacing import RequestPacer
from include.rekognition.pool import requests_per_s

# The pool and the pacer keep our tasks within the quota; what is left to the retries is the competition of others.
# "standard" backs off exponentially with full jitter, up to 20 s a retry; ten attempts last about a minute.
DEFAULT_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 10})
PAGE_SIZE = 100


class RekognitionHook(AwsBaseHook):
    """
    Interact with Amazon Rekognition.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("rekognition") <Rekognition.Client>`.
    Requests are paced to the task's share of the pool `include.rekognition.pool.POOL`, or to 5 a second and operation
    outside of it, and retried with backoff and jitter when AWS throttles them nevertheless. A ``config``, or
    ``config_kwargs`` in the connection, wins over the hook's own retry settings.

    Additional arguments (such as ``aws_conn_id``) may be specified and
    are passed down to the underlying AwsBaseHook.

    .. seealso::
        - :class:`airflow.providers.amazon.aws.hooks.base_aws.AwsBaseHook`
    """

    if TYPE_CHECKING:
        # boto3 makes its client classes at run time.
        conn: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "rekognition"
        super().__init__(*args, **kwargs)

    @cached_property
    def waiter_path(self) -> Path:
        # The base class looks into its own package only.
        return Path(__file__).parent / "waiters" / "rekognition.json"

    @property
    def config(self) -> Config:
        """Configuration for botocore client read-only property."""
        return DEFAULT_CONFIG.merge(super().config)

    def get_client_type(
        self, region_name: str | None = None, config: Config | None = None, deferrable: bool = False
    ) -> Any:
        """Get the underlying boto3 client using boto3 session; its requests are paced unless it is an async one."""
        client: Any = super().get_client_type(region_name=region_name, config=config, deferrable=deferrable)
        # An async client only serves a waiter, which has its own delay, and must not be put to sleep.
        if not deferrable:
            client.meta.events.register("before-send.rekognition", RequestPacer(requests_per_s()))
        return client

    def find_project(self, project_name: str) -> dict[str, Any] | None:
        """
        Return the ``ProjectDescription`` of a Custom Labels project, or None if there is none of that name.

        :raises RekognitionDatasetError: AWS refused the request.
        """
        with translated_errors(project_name):
            pages = self.conn.get_paginator("describe_projects").paginate(ProjectNames=[project_name])
            for page in pages:
                for description in page["ProjectDescriptions"]:
                    if project_name_of(description["ProjectArn"]) == project_name:
                        found: dict[str, Any] = description
                        return found
        return None

    def find_dataset(self, project_name: str, dataset_type: str) -> dict[str, Any] | None:
        """
        Return what DescribeProjects tells about a project's dataset, or None if it has none of that type.

        :param dataset_type: ``TRAIN`` or ``TEST``.
        :return: ``DatasetArn``, ``DatasetType``, ``CreationTimestamp``, ``Status``, ``StatusMessage``,
            ``StatusMessageCode``. :meth:`describe_dataset` has the counts.
        :raises RekognitionDatasetError: AWS refused the request.
        """
        project = self.find_project(project_name) or {}
        return next((d for d in project.get("Datasets", ()) if d["DatasetType"] == dataset_type), None)

    def describe_dataset(self, dataset_arn: str) -> dict[str, Any]:
        """
        Return the ``DatasetDescription``: status of the last operation, and ``DatasetStats``.

        :raises RekognitionResourceNotFoundError: There is no such dataset.
        :raises RekognitionDatasetError: AWS refused the request.
        """
        with translated_errors(dataset_arn):
            description: dict[str, Any] = self.conn.describe_dataset(DatasetArn=dataset_arn)["DatasetDescription"]
        return description

    def iterate_dataset_entries(
        self,
        dataset_arn: str,
        *,
        contains_labels: list[str] | None = None,
        labeled: bool | None = None,
        source_ref_contains: str | None = None,
        has_errors: bool | None = None,
    ) -> Iterator[str]:
        """
        Yield the dataset's entries, one JSON line each; 250,000 of them take at least 500 seconds.

        :param contains_labels: Only entries with any of these labels (10 at most).
        :param labeled: Only entries with labels, or only those without.
        :param source_ref_contains: Only entries whose ``source-ref`` contains this text.
        :param has_errors: Only entries with errors, or only those without.
        :raises RekognitionDatasetError: AWS refused a request.
        """
        filters = prune_dict(
            {
                "ContainsLabels": contains_labels,
                "Labeled": labeled,
                "SourceRefContains": source_ref_contains,
                "HasErrors": has_errors,
            }
        )
        return self._iterate("list_dataset_entries", "DatasetEntries", dataset_arn, filters)

    def iterate_dataset_labels(self, dataset_arn: str) -> Iterator[dict[str, Any]]:
        """
        Yield the dataset's labels as ``{"LabelName", "LabelStats": {"EntryCount", "BoundingBoxCount"}}``.

        :raises RekognitionDatasetError: AWS refused a request.
        """
        return self._iterate("list_dataset_labels", "DatasetLabelDescriptions", dataset_arn, {})

    def _iterate(self, operation: str, result_key: str, dataset_arn: str, filters: dict[str, Any]) -> Iterator[Any]:
        with translated_errors(dataset_arn):
            paginator = self.conn.get_paginator(operation)
            pages = iter(
                paginator.paginate(DatasetArn=dataset_arn, PaginationConfig={"PageSize": PAGE_SIZE}, **filters)
            )
        while True:
            # The items are yielded outside, so that the consumer's own errors are not translated.
            with translated_errors(dataset_arn):
                page = next(pages, None)
            if page is None:
                return
            yield from page[result_key]

    def update_dataset_entries(self, dataset_arn: str, changes: bytes) -> None:
        """
        Send one batch of entries; AWS adds or replaces them by ``source-ref`` after the call has returned.

        :param changes: JSON Lines, below 5,242,880 bytes.
        :raises RekognitionResourceInUseError: Another update is under way.
        :raises RekognitionDatasetError: AWS refused the request.
        """
        with translated_errors(dataset_arn):
            self.conn.update_dataset_entries(DatasetArn=dataset_arn, Changes={"GroundTruth": changes})

    def send_entries(
        self,
        dataset_arn: str,
        source: EntrySource,
        *,
        start: int = 0,
        max_batch_size_bytes: int = MAX_BATCH_SIZE_BYTES,
        waiter_delay: int = 10,
        waiter_max_attempts: int = 360,
    ) -> Iterator[EntryBatch]:
        """
        Send all entries of ``source`` batch after batch, and yield each batch once AWS has accepted it.

        Before a further batch, the end of the one before is awaited; the end of the last one is left to the caller.
        To continue later, give the last yielded batch's ``end`` as ``start``. To send entries twice does no harm.

        :param waiter_delay: Seconds between two status checks.
        :param waiter_max_attempts: Number of status checks for each batch.
        :raises RekognitionDatasetFailedError: AWS could not apply a batch.
        :raises RekognitionDatasetError: AWS refused a request.
        """
        for batch in entry_batches(source, start=start, max_batch_size_bytes=max_batch_size_bytes):
            self.update_dataset_entries(dataset_arn, batch.body)
            yield batch
            if batch.end < source.size_bytes:
                self.wait("dataset_updated", dataset_arn, waiter_delay, waiter_max_attempts)

    @staticmethod
    def waiter_arguments(waiter_name: str, resource: str) -> dict[str, Any]:
        """
        Return the request that a waiter repeats.

        :param resource: Project name for the ``project_*`` waiters, dataset ARN for the others.
        """
        return {"ProjectNames": [resource]} if waiter_name.startswith("project") else {"DatasetArn": resource}

    def wait(self, waiter_name: str, resource: str, waiter_delay: float, waiter_max_attempts: int) -> None:
        """
        Wait with a custom waiter.

        :param waiter_name: A waiter of ``waiters/rekognition.json``.
        :param resource: Project name for the ``project_*`` waiters, dataset ARN for the others.
        :param waiter_delay: Seconds between two status checks.
        :param waiter_max_attempts: Number of status checks.
        :raises RekognitionDatasetFailedError: The dataset ended in CREATE_FAILED or UPDATE_FAILED.
        :raises RekognitionWaitTimeoutError: The status did not come in time.
        :raises RekognitionDatasetError: The waiting failed in another way.
        """
        try:
            wait(
                waiter=self.get_waiter(waiter_name),
                # Fractions of a second are for tests.
                waiter_delay=waiter_delay,  # type: ignore[arg-type]
                waiter_max_attempts=waiter_max_attempts,
                args=self.waiter_arguments(waiter_name, resource),
                failure_message=f"{resource} did not become {waiter_name}",
                status_message=f"Status of {resource}",
                status_args=STATUS_QUERIES,
            )
        except (AirflowException, BotoCoreError) as error:
            raise waiting_error(
                error,
                waiter_name=waiter_name,
                resource=resource,
                waiter_delay=waiter_delay,
                waiter_max_attempts=waiter_max_attempts,
            ) from error


STATUS_QUERIES = [
    "DatasetDescription.Status",
    "DatasetDescription.StatusMessage",
    "ProjectDescriptions[0].Status",
]
