"""
Errors of the Rekognition dataset operations, and the one place where AWS's errors become ours.

::

    RekognitionDatasetError                 any answer that has no class of its own
    ├── RekognitionAccessDeniedError        the identity lacks a permission
    ├── RekognitionCredentialsError         no credentials, or unknown ones
    │   └── RekognitionCredentialsExpiredError  credentials that have expired
    ├── RekognitionUnreachableError         no answer: network, endpoint, timeout
    ├── RekognitionServiceError             AWS failed; the same request may work later
    ├── RekognitionThrottledError           too many requests, retries used up
    ├── RekognitionLimitExceededError       a quota of the account is used up
    ├── RekognitionInvalidRequestError      a parameter is malformed
    ├── RekognitionS3ObjectError            the manifest cannot be read
    │   └── RekognitionManifestChangedError the manifest was replaced while it was being sent
    ├── RekognitionResourceNotFoundError    no such project or dataset
    ├── RekognitionResourceExistsError      the project name or the dataset slot is taken
    ├── RekognitionResourceInUseError       another operation holds the project or dataset
    ├── RekognitionResourceNotReadyError    the dataset is not usable yet
    ├── RekognitionDatasetChangedError      the dataset is not what it was when it was exported
    ├── RekognitionEntryTooLargeError       one JSON line does not fit into a request
    ├── RekognitionDatasetFailedError       the dataset ended in CREATE_FAILED or UPDATE_FAILED
    ├── RekognitionUnexpectedStatusError    a status from which the awaited one is never reached
    └── RekognitionWaitTimeoutError         the awaited status did not come in time

Every class has a stable ``code``, takes keyword fields only, says in its message what to do next, and survives
pickling and the JSON of a trigger event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, NamedTuple

from airflow.providers.amazon.aws.exceptions import WaiterMaxAttemptsError, WaiterNoCredentialsError
from airflow.providers.common.compat.sdk import AirflowException
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
    WaiterError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)

from include.custom_labels.errors import RENEW_CREDENTIALS


class RekognitionDatasetError(AirflowException):
    """
    Base of all errors of this package.

    :param detail: What happened, as a full sentence.
    :param resource: ARN, name or S3 URI that the request was about.
    :param operation: AWS API operation, e.g. ``CreateDataset``.
    :param aws_error_code: AWS's own error code, e.g. ``LimitExceededException``.
    :param request_id: AWS's request id, for a support case. It is a note of the traceback and not part of the
        message, so that the same failure always reads the same.
    """

    code: ClassVar[str] = "REKOGNITION_REQUEST_FAILED"
    next_step: ClassVar[str] = "Look the AWS error code up in the Rekognition API reference."

    _classes: ClassVar[dict[str, type[RekognitionDatasetError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.code in RekognitionDatasetError._classes:
            raise TypeError(f"{cls.__name__} needs a code of its own; {cls.code} is taken.")
        RekognitionDatasetError._classes[cls.code] = cls

    def __init__(
        self,
        *,
        detail: str,
        resource: str | None = None,
        operation: str | None = None,
        aws_error_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.detail = detail
        self.resource = resource
        self.operation = operation
        self.aws_error_code = aws_error_code
        self.request_id = request_id
        super().__init__(f"{self.code}: {detail} Next step: {self._advice()}")
        if request_id:
            self.add_note(f"AWS request id: {request_id}")

    @property
    def remedy(self) -> str:
        """What to do about the cause, whatever has become of the resource since."""
        return self.next_step

    def _advice(self) -> str:
        return self.remedy

    @property
    def fields(self) -> dict[str, Any]:
        """The keyword fields from which an equal error can be made; JSON serializable."""
        return {
            "detail": self.detail,
            "resource": self.resource,
            "operation": self.operation,
            "aws_error_code": self.aws_error_code,
            "request_id": self.request_id,
        }

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return partial(type(self), **self.fields), ()

    def to_event(self) -> dict[str, Any]:
        """Return ``{"code", "fields"}`` for the payload of a trigger event."""
        return {"code": self.code, "fields": self.fields}

    @staticmethod
    def from_event(event: Mapping[str, Any]) -> RekognitionDatasetError:
        """
        Return the error that :meth:`to_event` described.

        :raises KeyError: The code is not one of this package.
        """
        return RekognitionDatasetError._classes[event["code"]](**event["fields"])


RekognitionDatasetError._classes[RekognitionDatasetError.code] = RekognitionDatasetError


class RekognitionAccessDeniedError(RekognitionDatasetError):
    """The identity of the AWS connection lacks a permission."""

    code = "REKOGNITION_ACCESS_DENIED"
    next_step = (
        "Allow the operation on this resource in the IAM policy of the AWS connection's identity, "
        "and check its permissions boundary and service control policies."
    )


class RekognitionCredentialsError(RekognitionDatasetError):
    """There are no credentials, or AWS does not accept them."""

    code = "REKOGNITION_CREDENTIALS_REJECTED"
    next_step = "Check the keys, the role and the session token of the AWS connection."


class RekognitionCredentialsExpiredError(RekognitionCredentialsError):
    """The credentials were good once."""

    code = "CREDENTIALS_EXPIRED"
    next_step = RENEW_CREDENTIALS


class RekognitionUnreachableError(RekognitionDatasetError):
    """No answer came back."""

    code = "REKOGNITION_UNREACHABLE"
    next_step = "Check the endpoint, the Region and the network of the worker, then run the task again."


class RekognitionServiceError(RekognitionDatasetError):
    """AWS failed to handle a valid request."""

    code = "REKOGNITION_SERVICE_ERROR"
    next_step = "Run the task again later; open an AWS support case with the request id if it persists."


class RekognitionThrottledError(RekognitionDatasetError):
    """Too many requests a second, also after all retries."""

    code = "REKOGNITION_THROTTLED"
    next_step = (
        "Run fewer tasks at a time against this account and Region (an Airflow pool does it): "
        "each dataset operation is allowed 5 requests a second."
    )


class RekognitionLimitExceededError(RekognitionDatasetError):
    """A quota of the account is used up."""

    code = "REKOGNITION_LIMIT_EXCEEDED"
    next_step = "Delete what is no longer needed, or ask for a higher quota in the Service Quotas console."


class RekognitionInvalidRequestError(RekognitionDatasetError):
    """A parameter is malformed; the same request never works."""

    code = "REKOGNITION_INVALID_REQUEST"
    next_step = "Correct the parameter that the message names."


class RekognitionS3ObjectError(RekognitionDatasetError):
    """The manifest in S3 cannot be read."""

    code = "REKOGNITION_S3_OBJECT_UNREADABLE"
    next_step = (
        "Check that the object exists, that its bucket is in the Region of the dataset and in the same account, "
        "and that the AWS connection's identity may read it (s3:GetObject, and kms:Decrypt if it is encrypted)."
    )


class RekognitionManifestChangedError(RekognitionS3ObjectError):
    """The manifest was replaced while its entries were being sent."""

    code = "REKOGNITION_MANIFEST_CHANGED"
    next_step = "Run the task again: it sends the new manifest from its beginning. Write manifests to new keys."


class RekognitionDatasetChangedError(RekognitionDatasetError):
    """The dataset was changed after its entries had been exported, and is therefore not deleted."""

    code = "REKOGNITION_DATASET_CHANGED"
    next_step = "Export its entries again, then delete it. Nothing was deleted."


class RekognitionResourceNotFoundError(RekognitionDatasetError):
    """The project or dataset does not exist."""

    code = "REKOGNITION_RESOURCE_NOT_FOUND"
    next_step = "Check the ARN, the Region and the account; DescribeProjects lists what exists."


class RekognitionResourceExistsError(RekognitionDatasetError):
    """The project name, or the dataset type within the project, is taken."""

    code = "REKOGNITION_RESOURCE_EXISTS"
    next_step = (
        "Use what exists, or delete it first. A project has at most one dataset of each type, "
        "and one that failed to be created counts too."
    )


class RekognitionResourceInUseError(RekognitionDatasetError):
    """Another operation holds the project or dataset."""

    code = "REKOGNITION_RESOURCE_IN_USE"
    next_step = "Wait until the operation under way has ended (RekognitionDatasetSensor), then run the task again."


class RekognitionResourceNotReadyError(RekognitionDatasetError):
    """The dataset cannot be used yet."""

    code = "REKOGNITION_RESOURCE_NOT_READY"
    next_step = "Wait until the dataset is ready (RekognitionDatasetSensor), then run the task again."


class RekognitionEntryTooLargeError(RekognitionDatasetError):
    """One JSON line alone exceeds what a request may carry."""

    code = "REKOGNITION_ENTRY_TOO_LARGE"
    next_step = "Shorten or remove the line; Rekognition takes at most 100,000 characters a line."


class RekognitionUnexpectedStatusError(RekognitionDatasetError):
    """The resource has a status from which the awaited one is never reached."""

    code = "REKOGNITION_UNEXPECTED_STATUS"
    next_step = "Find out which other task or person works on the same project or dataset."


class RekognitionWaitTimeoutError(RekognitionDatasetError):
    """The awaited status did not come within the allowed checks."""

    code = "REKOGNITION_WAIT_TIMEOUT"
    next_step = "The operation may still end well: look at the resource, and raise waiter_delay or waiter_max_attempts."


class RekognitionDatasetFailedError(RekognitionDatasetError):
    """
    The dataset ended in ``CREATE_FAILED`` or ``UPDATE_FAILED``.

    :param status: The terminal dataset status.
    :param status_message: AWS's explanation, verbatim.
    :param status_message_code: ``SERVICE_ERROR`` (try again) or ``CLIENT_ERROR`` (mend the input).
    :param manifest_error_code: The documented code of the explanation, e.g.
        ``ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS``; None when the text is not a documented one.
    """

    code = "REKOGNITION_DATASET_FAILED"

    def __init__(
        self,
        *,
        status: str,
        status_message: str | None = None,
        status_message_code: str | None = None,
        manifest_error_code: str | None = None,
        **fields: Any,
    ) -> None:
        self.status = status
        self.status_message = status_message
        self.status_message_code = status_message_code
        self.manifest_error_code = manifest_error_code
        super().__init__(**fields)

    @property
    def remedy(self) -> str:
        known = next((known.next_step for known in MANIFEST_ERRORS if known.code == self.manifest_error_code), None)
        if known is not None:
            return known
        if self.status_message_code == "SERVICE_ERROR":
            return "Try again later: AWS reports a fault of its own."
        return "Correct the manifest as the explanation says."

    def _advice(self) -> str:
        if self.status == "CREATE_FAILED":
            return f"{self.remedy} Delete the failed dataset before you create it again: it still occupies its place."
        return f"{self.remedy} Entries that the dataset had before this update are still there."

    @property
    def fields(self) -> dict[str, Any]:
        return {
            **super().fields,
            "status": self.status,
            "status_message": self.status_message,
            "status_message_code": self.status_message_code,
            "manifest_error_code": self.manifest_error_code,
        }


class ManifestError(NamedTuple):
    """A documented explanation in ``StatusMessage``, its code, and what helps."""

    code: str
    text: str
    next_step: str


# Custom Labels Developer Guide, "Terminal manifest file errors" and "Terminal manifest content errors".
# AWS gives the text only. "{}" stands for a number that AWS fills in.
MANIFEST_ERRORS = (
    ManifestError(
        "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT",
        "The manifest file extension or contents are invalid.",
        "Give the manifest an extension (.manifest), one JSON object a line, and check that bucket and key exist.",
    ),
    ManifestError(
        "ERROR_MANIFEST_SIZE_TOO_LARGE",
        "The manifest file size exceeds the maximum supported size.",
        "Keep the manifest below 1 GB.",
    ),
    ManifestError(
        "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM",
        "The manifest file has too many rows.",
        "Keep the manifest within the image quota of the dataset type and Region (250,000 lines unless raised).",
    ),
    ManifestError(
        "ERROR_INVALID_PERMISSIONS_MANIFEST_S3_BUCKET",
        "The S3 bucket permissions are incorrect.",
        "Let the AWS connection's identity read the bucket that holds the manifest.",
    ),
    ManifestError(
        "ERROR_TOO_MANY_RECORDS_IN_ERROR",
        "The manifest file has too many terminal errors.",
        "Correct the lines with a missing, malformed or repeated source-ref, invalid JSON, or too many characters.",
    ),
    ManifestError(
        "ERROR_MANIFEST_TOO_MANY_LABELS",
        "The manifest file has too many labels.",
        "Use at most 250 different labels.",
    ),
    ManifestError(
        "ERROR_MANIFEST_TOO_FEW_LABELS",
        "The manifest file has too few labels.",
        "Use at least two different image-level labels, or one label for bounding boxes.",
    ),
    ManifestError(
        "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_DISTRIBUTE",
        "The manifest file doesn't have enough labeled images to distribute the dataset.",
        "Label more images of each label before the dataset is split.",
    ),
    ManifestError(
        "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_AUTOSPLIT",
        "The manifest file contains insufficient labeled images per label to perform auto-split.",
        "Label more images of each label, or provide a test dataset.",
    ),
    ManifestError("ERROR_EMPTY_MANIFEST", "The manifest file is empty.", "Write at least one line into the manifest."),
    ManifestError(
        "ERROR_CANNOT_WRITE_OUTPUT_S3_BUCKET",
        "Unable to write to output S3 bucket.",
        "Let the AWS connection's identity write to the output bucket.",
    ),
    ManifestError(
        "ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST",
        "The manifest file contains too many invalid rows.",
        "Correct the invalid lines; at most 20 % of all lines may be invalid.",
    ),
    ManifestError(
        "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS",
        "The manifest file contains images from multiple S3 buckets.",
        "Copy all images of the dataset into one bucket and rewrite the source-ref values.",
    ),
    ManifestError(
        "ERROR_INVALID_PERMISSIONS_IMAGES_S3_BUCKET",
        "The permissions for the images S3 bucket are invalid.",
        "Let the AWS connection's identity read the bucket that holds the images.",
    ),
    ManifestError(
        "ERROR_INVALID_IMAGES_S3_BUCKET_OWNER",
        "Invalid owner id for images S3 bucket.",
        "Use an image bucket that belongs to the account of the dataset.",
    ),
    ManifestError(
        "ERROR_INSUFFICIENT_LABEL_OVERLAP",
        "Less than {}% label overlap between the training and testing manifest files.",
        "Let the test dataset contain at least half of the training labels.",
    ),
    ManifestError(
        "ERROR_MANIFEST_TOO_FEW_USABLE_LABELS",
        "The manifest file has too few usable labels.",
        "Correct the lines with errors, so that at least two image-level labels (or one box label) remain.",
    ),
    ManifestError(
        "ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP",
        "Less than {}% usable label overlap between the training and testing manifest files.",
        "Correct the lines with errors, so that the test dataset covers at least half of the training labels.",
    ),
    ManifestError(
        "ERROR_FAILED_IMAGES_S3_COPY",
        "Failed to copy images from S3 bucket.",
        "Check that the images exist and that the AWS connection's identity may read and decrypt them.",
    ),
)

# Answers of Rekognition, of the common AWS front end, and of S3 where the manifest is read.
AWS_ERRORS: dict[str, type[RekognitionDatasetError]] = {
    "AccessDenied": RekognitionAccessDeniedError,
    "AccessDeniedException": RekognitionAccessDeniedError,
    "ExpiredToken": RekognitionCredentialsExpiredError,
    "ExpiredTokenException": RekognitionCredentialsExpiredError,
    "InvalidToken": RekognitionCredentialsExpiredError,
    "RequestExpired": RekognitionCredentialsExpiredError,
    "IncompleteSignatureException": RekognitionCredentialsError,
    "InvalidAccessKeyId": RekognitionCredentialsError,
    "InvalidClientTokenId": RekognitionCredentialsError,
    "InvalidSignatureException": RekognitionCredentialsError,
    "MissingAuthenticationTokenException": RekognitionCredentialsError,
    "SignatureDoesNotMatch": RekognitionCredentialsError,
    "UnrecognizedClientException": RekognitionCredentialsError,
    "InternalFailure": RekognitionServiceError,
    "InternalServerError": RekognitionServiceError,
    "ServiceUnavailable": RekognitionServiceError,
    "ServiceUnavailableException": RekognitionServiceError,
    "ProvisionedThroughputExceededException": RekognitionThrottledError,
    "SlowDown": RekognitionThrottledError,
    "ThrottlingException": RekognitionThrottledError,
    "LimitExceededException": RekognitionLimitExceededError,
    "ServiceQuotaExceededException": RekognitionLimitExceededError,
    "InvalidPaginationTokenException": RekognitionInvalidRequestError,
    "InvalidParameterException": RekognitionInvalidRequestError,
    "ValidationException": RekognitionInvalidRequestError,
    "403": RekognitionS3ObjectError,
    "404": RekognitionS3ObjectError,
    "InvalidS3ObjectException": RekognitionS3ObjectError,
    "NoSuchBucket": RekognitionS3ObjectError,
    "NoSuchKey": RekognitionS3ObjectError,
    "NoSuchVersion": RekognitionS3ObjectError,
    "412": RekognitionManifestChangedError,
    "PreconditionFailed": RekognitionManifestChangedError,
    "ResourceAlreadyExistsException": RekognitionResourceExistsError,
    "ResourceInUseException": RekognitionResourceInUseError,
    "ResourceNotFoundException": RekognitionResourceNotFoundError,
    "ResourceNotReadyException": RekognitionResourceNotReadyError,
}
# CreateProject has no error of its own for a name that is taken.
OPERATION_ERRORS: dict[tuple[str | None, str], type[RekognitionDatasetError]] = {
    ("CreateProject", "ResourceInUseException"): RekognitionResourceExistsError,
}
BOTOCORE_ERRORS: tuple[tuple[type[BotoCoreError], type[RekognitionDatasetError]], ...] = (
    (NoCredentialsError, RekognitionCredentialsError),
    (PartialCredentialsError, RekognitionCredentialsError),
    (CredentialRetrievalError, RekognitionCredentialsError),
    (TokenRetrievalError, RekognitionCredentialsExpiredError),
    (SSOError, RekognitionCredentialsExpiredError),
    (ParamValidationError, RekognitionInvalidRequestError),
    (NoRegionError, RekognitionInvalidRequestError),
    (BotocoreConnectionError, RekognitionUnreachableError),
    (HTTPClientError, RekognitionUnreachableError),
)


def manifest_error_code(status_message: str | None) -> str | None:
    """
    Return the documented code of a dataset's ``StatusMessage``, or None.

    Case, outer blanks, the final full stop and the shape of apostrophes do not matter.
    """

    def normalized(text: str) -> str:
        return text.strip().rstrip(".").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()

    message = normalized(status_message or "")
    for known in MANIFEST_ERRORS:
        pattern = re.escape(normalized(known.text)).replace(re.escape("{}"), r"\d+(\.\d+)?")
        if re.fullmatch(pattern, message):
            return known.code
    return None


def answer_error(
    response: Mapping[str, Any], *, operation: str | None, resource: str | None
) -> RekognitionDatasetError:
    """Translate an AWS error response (``{"Error": {...}, "ResponseMetadata": {...}}``)."""
    aws_error_code = str(response["Error"].get("Code", "Unknown"))
    error_class = OPERATION_ERRORS.get((operation, aws_error_code)) or AWS_ERRORS.get(
        aws_error_code, RekognitionDatasetError
    )
    message = str(response["Error"].get("Message", "")).rstrip(".") or "no message"
    return error_class(
        detail=f"AWS answered {operation} of {resource} with {aws_error_code}: {message}.",
        resource=resource,
        operation=operation,
        aws_error_code=aws_error_code,
        request_id=response.get("ResponseMetadata", {}).get("RequestId"),
    )


def client_side_error(error: BotoCoreError, *, resource: str | None) -> RekognitionDatasetError:
    """Translate an error that botocore found on this side of the network."""
    error_class = next((ours for theirs, ours in BOTOCORE_ERRORS if isinstance(error, theirs)), None)
    return (error_class or RekognitionDatasetError)(
        detail=f"The request about {resource} failed with {type(error).__name__}: {str(error).rstrip('.')}.",
        resource=resource,
    )


def status_error(
    description: Mapping[str, Any], *, resource: str, request_id: str | None = None
) -> RekognitionDatasetError:
    """
    Return the error for a dataset or project whose status ends the waiting.

    :param description: ``DatasetDescription`` or an item of ``ProjectDescriptions``.
    """
    status = str(description.get("Status"))
    if status not in ("CREATE_FAILED", "UPDATE_FAILED"):
        return RekognitionUnexpectedStatusError(
            detail=f"{resource} has the status {status}.", resource=resource, request_id=request_id
        )
    status_message = description.get("StatusMessage")
    status_message_code = description.get("StatusMessageCode")
    code = manifest_error_code(status_message)
    reason = ", ".join(part for part in (status_message_code, code) if part)
    explanation = (status_message or "AWS gave no explanation").rstrip(".")
    return RekognitionDatasetFailedError(
        detail=f"{resource} ended in {status}: {explanation}{f' ({reason})' if reason else ''}.",
        resource=resource,
        request_id=request_id,
        status=status,
        status_message=status_message,
        status_message_code=status_message_code,
        manifest_error_code=code,
    )


def waiting_error(
    error: AirflowException | BotoCoreError,
    *,
    waiter_name: str,
    resource: str,
    waiter_delay: float,
    waiter_max_attempts: int,
) -> RekognitionDatasetError:
    """
    Translate an error of the provider's ``wait`` or ``async_wait``.

    The two word their errors differently, therefore only AWS's last response is read.
    """
    if isinstance(error, BotoCoreError):
        return client_side_error(error, resource=resource)
    if isinstance(error, WaiterNoCredentialsError):
        return client_side_error(NoCredentialsError(), resource=resource)
    if isinstance(error, WaiterMaxAttemptsError):
        return RekognitionWaitTimeoutError(
            detail=f"{resource} did not become {waiter_name} in {waiter_max_attempts} checks, {waiter_delay} s apart.",
            resource=resource,
        )
    # Only a terminal failure carries the response itself; for other AWS errors it is in the waiter's error.
    waiter_error = error.__context__
    response: Mapping[str, Any] = getattr(error, "last_response", None) or (
        waiter_error.last_response if isinstance(waiter_error, WaiterError) else {}
    )
    if "Error" in response:
        operation = "DescribeProjects" if waiter_name.startswith("project") else "DescribeDataset"
        return answer_error(response, operation=operation, resource=resource)
    description = response.get("DatasetDescription") or next(iter(response.get("ProjectDescriptions", ())), None)
    if description is not None:
        request_id = response.get("ResponseMetadata", {}).get("RequestId")
        return status_error(description, resource=resource, request_id=request_id)
    return RekognitionDatasetError(
        detail=f"Waiting for {resource} to become {waiter_name} failed: {error}.", resource=resource
    )


@contextmanager
def translated_errors(resource: str | None) -> Iterator[None]:
    """
    Raise botocore's errors as errors of this package, with the original as their cause.

    :param resource: ARN, name or S3 URI that the requests inside are about.
    :raises RekognitionDatasetError: In place of any ``ClientError`` or ``BotoCoreError``.
    """
    try:
        yield
    except ClientError as error:
        raise answer_error(error.response, operation=error.operation_name, resource=resource) from error
    except BotoCoreError as error:
        raise client_side_error(error, resource=resource) from error
