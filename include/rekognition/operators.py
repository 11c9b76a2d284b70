"""Operators that create, update and delete Rekognition Custom Labels projects and datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils import validate_execute_complete_event
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import conf
from airflow.utils.helpers import prune_dict

from include.rekognition.arns import DatasetArn, project_name_of
from include.rekognition.entry_batches import (
    MAX_BATCH_SIZE_BYTES,
    EntrySource,
    InlineEntries,
    S3Manifest,
    entry_batches,
    split_s3_uri,
)
from include.rekognition.errors import (
    RekognitionDatasetChangedError,
    RekognitionDatasetError,
    RekognitionManifestChangedError,
    RekognitionResourceExistsError,
    RekognitionResourceNotFoundError,
    RekognitionWaitTimeoutError,
    translated_errors,
)
from include.rekognition.hook import RekognitionHook
from include.rekognition.links import RekognitionDatasetLink, RekognitionProjectLink
from include.rekognition.triggers import (
    RekognitionDatasetCreatedTrigger,
    RekognitionDatasetDeletedTrigger,
    RekognitionDatasetUpdatedTrigger,
    RekognitionProjectCreatedTrigger,
    RekognitionWaiterTrigger,
)

if TYPE_CHECKING:
    from airflow.sdk import Context


_SHORT_DELAY_S = 1


class RekognitionBaseOperator(AwsBaseOperator[RekognitionHook]):
    """
    This is the base operator for Rekognition Service operators (not supposed to be used directly in Dags).

    :param wait_for_completion: Whether to wait for the operation to end. (default: True)
    :param waiter_delay: Time in seconds to wait between status checks. (default: 10)
    :param waiter_max_attempts: Maximum number of status checks. (default: 360)
    :param deferrable: If True, the operator will wait asynchronously for the operation to end.
        This implies waiting for completion. This mode requires aiobotocore module to be installed.
        (default: False, but can be overridden in config file by setting default_deferrable to True)
    :param wait_before_deferring: Time in seconds to wait on the worker before the task is deferred: what ends within
        it costs no deferral. (default: 0)
    :param aws_conn_id: The Airflow connection used for AWS credentials.
        If this is ``None`` or empty then the default boto3 behaviour is used. If
        running Airflow in a distributed manner and aws_conn_id is None or
        empty, then default boto3 configuration would be used (and must be
        maintained on each worker node).
    :param region_name: AWS region_name. If not specified then the default boto3 behaviour is used.
    :param verify: Whether or not to verify SSL certificates. See:
        https://boto3.amazonaws.com/v1/documentation/api/latest/reference/core/session.html
    :param botocore_config: Configuration dictionary (key-values) for botocore client. See:
        https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html
    """

    aws_hook_class = RekognitionHook
    ui_color = "#66c3ff"

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        waiter_delay: int = 10,
        waiter_max_attempts: int = 360,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        wait_before_deferring: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_before_deferring = wait_before_deferring
        self.wait_for_completion = wait_for_completion
        self.waiter_delay = waiter_delay
        self.waiter_max_attempts = waiter_max_attempts
        self.deferrable = deferrable

    def _await(self, trigger_class: type[RekognitionWaiterTrigger], resource: str, **resume_kwargs: Any) -> None:
        """Wait as the operator was told to; where it defers, this does not return."""
        if self.deferrable:
            if not self._ends_soon(trigger_class, resource):
                self._defer_to(trigger_class, resource, **resume_kwargs)
        elif self.wait_for_completion:
            self._wait(trigger_class, resource)

    def _wait(self, trigger_class: type[RekognitionWaiterTrigger], resource: str) -> None:
        self.log.info("Waiting for %s to become %s.", resource, trigger_class.waiter)
        self.hook.wait(trigger_class.waiter, resource, self.waiter_delay, self.waiter_max_attempts)

    def _ends_soon(self, trigger_class: type[RekognitionWaiterTrigger], resource: str) -> bool:
        """Whether the operation ends before it is worth a deferral."""
        if not self.wait_before_deferring:
            return False
        try:
            self.hook.wait(trigger_class.waiter, resource, _SHORT_DELAY_S, self.wait_before_deferring // _SHORT_DELAY_S)
        except RekognitionWaitTimeoutError:
            return False
        return True

    def _defer_to(self, trigger_class: type[RekognitionWaiterTrigger], resource: str, **resume_kwargs: Any) -> NoReturn:
        self.log.info("Deferring until %s has become %s.", resource, trigger_class.waiter)
        self.defer(
            trigger=trigger_class(
                **{trigger_class.resource_field: resource},
                waiter_delay=self.waiter_delay,
                waiter_max_attempts=self.waiter_max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
            kwargs=resume_kwargs,
        )

    @staticmethod
    def _validated(event: dict[str, Any] | None) -> dict[str, Any]:
        """
        Return the event of a trigger that ended well.

        :raises RekognitionDatasetError: The error that the synchronous mode would have raised.
        """
        validated_event = validate_execute_complete_event(event)
        if validated_event["status"] != "success":
            raise RekognitionDatasetError.from_event(validated_event["error"])
        return validated_event

    def _persist_link(
        self, context: Context, link: type[RekognitionProjectLink | RekognitionDatasetLink], project_name: str
    ) -> None:
        link.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
            project_name=project_name,
        )


class RekognitionCreateProjectOperator(RekognitionBaseOperator):
    """
    Create a Custom Labels project.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:RekognitionCreateProjectOperator`

    :param project_name: The name of the project, 1 to 255 of ``a-z A-Z 0-9 _ . -``. (templated)
    :param tags: Tags of the new project. (templated)
    :param if_exists: What to do when the account has a Custom Labels project of that name: ``fail``, or
        ``skip`` to leave it (and its tags) as it is and return its ARN. (default: fail)
    :return: The ARN of the project.

    The parameters for waiting and for AWS are those of :class:`RekognitionBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("project_name", "tags")
    template_fields_renderers: ClassVar[dict[str, str]] = {"tags": "json"}
    operator_extra_links = (RekognitionProjectLink(),)

    def __init__(
        self,
        *,
        project_name: str,
        tags: dict[str, str] | None = None,
        if_exists: Literal["fail", "skip"] = "fail",
        waiter_delay: int = 5,
        waiter_max_attempts: int = 120,
        **kwargs: Any,
    ) -> None:
        super().__init__(waiter_delay=waiter_delay, waiter_max_attempts=waiter_max_attempts, **kwargs)
        _check_choice("if_exists", if_exists)
        self.project_name = project_name
        self.tags = tags
        self.if_exists = if_exists

    def execute(self, context: Context) -> str:
        project_arn = self._create_or_find()
        self._persist_link(context, RekognitionProjectLink, self.project_name)
        self._await(RekognitionProjectCreatedTrigger, self.project_name, project_arn=project_arn)
        return project_arn

    def _create_or_find(self) -> str:
        arguments = prune_dict({"ProjectName": self.project_name, "Tags": self.tags})
        try:
            with translated_errors(self.project_name):
                project_arn: str = self.hook.conn.create_project(**arguments)["ProjectArn"]
        except RekognitionResourceExistsError:
            # A name that is taken by a content moderation adapter is not found here.
            project = self.hook.find_project(self.project_name) if self.if_exists == "skip" else None
            if project is None:
                raise
            self.log.info("The project %s exists already.", self.project_name)
            return str(project["ProjectArn"])
        self.log.info("Created the project %s.", project_arn)
        return project_arn

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, *, project_arn: str) -> str:
        self._validated(event)
        return project_arn


class RekognitionCreateDatasetOperator(RekognitionBaseOperator):
    """
    Create a project's train or test dataset: from a manifest, as a copy of another dataset, or empty.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:RekognitionCreateDatasetOperator`

    :param project_arn: The ARN of the project. (templated)
    :param dataset_type: ``TRAIN`` or ``TEST``. (templated)
    :param manifest_s3_uri: ``s3://bucket/key`` of a manifest in the Region and account of the project.
        (templated)
    :param manifest_version_id: S3 version of the manifest. (templated)
    :param source_dataset_arn: The ARN of a dataset to copy, in the same Region and account. (templated)
    :param tags: Tags of the new dataset. (templated)
    :param if_exists: What to do when the project has a dataset of that type: ``fail``, or ``skip`` to wait for that
        one and return its ARN, as a task needs that may be run again after its worker died. (default: fail)
    :return: The ARN of the dataset.

    Without ``manifest_s3_uri`` and ``source_dataset_arn`` the dataset is empty.
    The parameters for waiting and for AWS are those of :class:`RekognitionBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields(
        "project_arn", "dataset_type", "manifest_s3_uri", "manifest_version_id", "source_dataset_arn", "tags"
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"tags": "json"}
    operator_extra_links = (RekognitionProjectLink(), RekognitionDatasetLink())

    def __init__(
        self,
        *,
        project_arn: str,
        dataset_type: str,
        manifest_s3_uri: str | None = None,
        manifest_version_id: str | None = None,
        source_dataset_arn: str | None = None,
        tags: dict[str, str] | None = None,
        if_exists: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_choice("if_exists", if_exists)
        self.if_exists = if_exists
        self.project_arn = project_arn
        self.dataset_type = dataset_type
        self.manifest_s3_uri = manifest_s3_uri
        self.manifest_version_id = manifest_version_id
        self.source_dataset_arn = source_dataset_arn
        self.tags = tags

    def execute(self, context: Context) -> str:
        arguments = prune_dict(
            {
                "ProjectArn": self.project_arn,
                "DatasetType": self.dataset_type,
                "DatasetSource": self._dataset_source(),
                "Tags": self.tags,
            }
        )
        project_name = project_name_of(self.project_arn)
        dataset_arn = self._create_or_find(arguments, project_name)
        self._persist_link(context, RekognitionProjectLink, project_name)
        self._persist_link(context, RekognitionDatasetLink, project_name)
        self._await(RekognitionDatasetCreatedTrigger, dataset_arn)
        return dataset_arn

    def _create_or_find(self, arguments: dict[str, Any], project_name: str) -> str:
        try:
            with translated_errors(self.project_arn):
                dataset_arn: str = self.hook.conn.create_dataset(**arguments)["DatasetArn"]
        except RekognitionResourceExistsError:
            dataset = self.hook.find_dataset(project_name, self.dataset_type) if self.if_exists == "skip" else None
            if dataset is None:
                raise
            self.log.info("The dataset %s exists already.", dataset["DatasetArn"])
            return str(dataset["DatasetArn"])
        self.log.info("Creating the dataset %s.", dataset_arn)
        return dataset_arn

    def _dataset_source(self) -> dict[str, Any] | None:
        if self.manifest_s3_uri and self.source_dataset_arn:
            raise ValueError("Give manifest_s3_uri or source_dataset_arn, not both.")
        if self.manifest_version_id and not self.manifest_s3_uri:
            raise ValueError("manifest_version_id needs manifest_s3_uri.")
        if self.source_dataset_arn:
            return {"DatasetArn": self.source_dataset_arn}
        if self.manifest_s3_uri:
            bucket, key = split_s3_uri(self.manifest_s3_uri)
            s3_object = {"Bucket": bucket, "Name": key, "Version": self.manifest_version_id or None}
            return {"GroundTruthManifest": {"S3Object": prune_dict(s3_object)}}
        return None

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        dataset_arn: str = self._validated(event)["dataset_arn"]
        return dataset_arn


class RekognitionUpdateDatasetEntriesOperator(RekognitionBaseOperator):
    """
    Add entries to a dataset, or replace those with the same ``source-ref``.

    The entries are sent in batches that AWS accepts, one after the other: the end of each is awaited before the next
    is sent, also without ``wait_for_completion``, which is about the last one only. A task that is run again sends
    everything again, which gives the same dataset. In deferrable mode the worker is free while AWS applies a batch.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:RekognitionUpdateDatasetEntriesOperator`

    :param dataset_arn: The ARN of the dataset. (templated)
    :param manifest_s3_uri: ``s3://bucket/key`` of JSON Lines to send. It is read in ranges, never as a whole.
        (templated)
    :param manifest_version_id: S3 version of the manifest. (templated)
    :param entries: The JSON Lines themselves, as ``bytes``, ``str`` or line by line, instead of a manifest.
        Not templated: image keys may contain what Jinja takes for its own.
    :param max_batch_size_bytes: Upper bound for a batch. (default: 3,700,000)
    :return: ``{"dataset_arn": str, "batches": int, "lines": int}``; ``lines`` counts lines that are not blank.

    The parameters for waiting and for AWS are those of :class:`RekognitionBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("dataset_arn", "manifest_s3_uri", "manifest_version_id")
    operator_extra_links = (RekognitionDatasetLink(),)

    def __init__(
        self,
        *,
        dataset_arn: str,
        manifest_s3_uri: str | None = None,
        manifest_version_id: str | None = None,
        entries: bytes | str | Iterable[str | bytes] | None = None,
        max_batch_size_bytes: int = MAX_BATCH_SIZE_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_arn = dataset_arn
        self.manifest_s3_uri = manifest_s3_uri
        self.manifest_version_id = manifest_version_id
        self.entries = entries
        self.max_batch_size_bytes = max_batch_size_bytes

    def execute(self, context: Context) -> dict[str, Any]:
        source = self._source()
        self._persist_link(context, RekognitionDatasetLink, DatasetArn.parse(self.dataset_arn).project_name)
        if self.deferrable:
            return self._send_next_batch(source, offset=0, batches=0, lines=0)
        batches = lines = 0
        for batch in self.hook.send_entries(
            self.dataset_arn,
            source,
            max_batch_size_bytes=self.max_batch_size_bytes,
            waiter_delay=self.waiter_delay,
            waiter_max_attempts=self.waiter_max_attempts,
        ):
            batches += 1
            lines += batch.lines
            self._log_progress(batch.end, source.size_bytes, batches)
        if batches and self.wait_for_completion:
            self._wait(RekognitionDatasetUpdatedTrigger, self.dataset_arn)
        return self._result(batches=batches, lines=lines)

    def _source(self) -> EntrySource:
        if (self.entries is None) == (not self.manifest_s3_uri):
            raise ValueError("Give either manifest_s3_uri or entries.")
        if self.entries is not None:
            return InlineEntries(self.entries)
        s3_client = S3Hook(**self._hook_parameters).conn
        return S3Manifest(s3_client, str(self.manifest_s3_uri), version_id=self.manifest_version_id)

    def _send_next_batch(self, source: EntrySource, *, offset: int, batches: int, lines: int) -> dict[str, Any]:
        """Send one batch and defer until AWS has applied it; return the result when there is none left."""
        batch = next(entry_batches(source, start=offset, max_batch_size_bytes=self.max_batch_size_bytes), None)
        if batch is None:
            return self._result(batches=batches, lines=lines)
        self.hook.update_dataset_entries(self.dataset_arn, batch.body)
        self._log_progress(batch.end, source.size_bytes, batches + 1)
        progress = {
            "offset": batch.end,
            "size_bytes": source.size_bytes,
            "version": source.version,
            "batches": batches + 1,
            "lines": lines + batch.lines,
        }
        if self._ends_soon(RekognitionDatasetUpdatedTrigger, self.dataset_arn):
            return self._go_on(progress)
        return self._defer_to(RekognitionDatasetUpdatedTrigger, self.dataset_arn, progress=progress)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, *, progress: dict[str, Any]
    ) -> dict[str, Any]:
        self._validated(event)
        return self._go_on(progress)

    def _go_on(self, progress: dict[str, Any]) -> dict[str, Any]:
        batches, lines, offset = progress["batches"], progress["lines"], progress["offset"]
        if offset >= progress["size_bytes"]:
            return self._result(batches=batches, lines=lines)
        source = self._source()
        if source.version != progress["version"]:
            raise RekognitionManifestChangedError(
                detail=f"{source.location} was replaced after {offset} of its bytes had been sent.",
                resource=source.location,
            )
        return self._send_next_batch(source, offset=offset, batches=batches, lines=lines)

    def _log_progress(self, sent_bytes: int, size_bytes: int, batches: int) -> None:
        self.log.info("Sent batch %d: %d of %d bytes so far.", batches, sent_bytes, size_bytes)

    def _result(self, *, batches: int, lines: int) -> dict[str, Any]:
        return {"dataset_arn": self.dataset_arn, "batches": batches, "lines": lines}


class RekognitionDeleteDatasetOperator(RekognitionBaseOperator):
    """
    Delete a dataset; the images stay in S3.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:RekognitionDeleteDatasetOperator`

    :param dataset_arn: The ARN of the dataset. (templated)
    :param if_missing: What to do when there is no such dataset: ``fail``, or ``skip`` when it may have been deleted
        by an earlier try. (default: fail)
    :param updated_at: The dataset's ``LastUpdatedTimestamp`` in ISO format when its entries were exported: it is not
        deleted when it was changed since. Empty to delete it in any case. (templated)
    :return: The ARN of the dataset.

    With ``wait_for_completion`` the dataset is gone when the task ends, and another of its type can be created.
    The parameters for waiting and for AWS are those of :class:`RekognitionBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("dataset_arn", "updated_at")
    operator_extra_links = (RekognitionProjectLink(),)

    def __init__(
        self,
        *,
        dataset_arn: str,
        if_missing: Literal["fail", "skip"] = "fail",
        updated_at: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_choice("if_missing", if_missing)
        self.dataset_arn = dataset_arn
        self.if_missing = if_missing
        self.updated_at = updated_at

    def execute(self, context: Context) -> str:
        try:
            if self.updated_at:
                self._check_unchanged()
            with translated_errors(self.dataset_arn):
                self.hook.conn.delete_dataset(DatasetArn=self.dataset_arn)
        except RekognitionResourceNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("The dataset %s is gone already.", self.dataset_arn)
            return self.dataset_arn
        self.log.info("Deleting the dataset %s.", self.dataset_arn)
        self._persist_link(context, RekognitionProjectLink, project_name_of(self.dataset_arn))
        self._await(RekognitionDatasetDeletedTrigger, self.dataset_arn)
        return self.dataset_arn

    def _check_unchanged(self) -> None:
        description = self.hook.describe_dataset(self.dataset_arn)
        updated_at = description["LastUpdatedTimestamp"].isoformat()
        # The deletion itself changes the timestamp, and a task may be run again after its worker died.
        if updated_at != self.updated_at and description["Status"] != "DELETE_IN_PROGRESS":
            raise RekognitionDatasetChangedError(
                detail=f"It was changed at {updated_at}, after it had been exported as of {self.updated_at}.",
                resource=self.dataset_arn,
            )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        dataset_arn: str = self._validated(event)["dataset_arn"]
        return dataset_arn


def _check_choice(name: str, value: str) -> None:
    if value not in ("fail", "skip"):
        raise ValueError(f"{name} must be 'fail' or 'skip', not {value!r}.")
