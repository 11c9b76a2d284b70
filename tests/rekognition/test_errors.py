from __future__ import annotations

import copy
import json
import pickle

import botocore.exceptions
import botocore.session
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from include.rekognition import errors
from include.rekognition.errors import (
    AWS_ERRORS,
    MANIFEST_ERRORS,
    RekognitionAccessDeniedError,
    RekognitionCredentialsError,
    RekognitionCredentialsExpiredError,
    RekognitionDatasetError,
    RekognitionDatasetFailedError,
    RekognitionInvalidRequestError,
    RekognitionResourceExistsError,
    RekognitionResourceInUseError,
    RekognitionUnexpectedStatusError,
    RekognitionUnreachableError,
    answer_error,
    manifest_error_code,
    status_error,
    translated_errors,
)
from tests.rekognition.arns import DATASET_ARN, PROJECT

OPERATIONS = (
    "CreateProject",
    "DescribeProjects",
    "DeleteProject",
    "CreateDataset",
    "DescribeDataset",
    "ListDatasetEntries",
    "ListDatasetLabels",
    "UpdateDatasetEntries",
    "DistributeDatasetEntries",
    "DeleteDataset",
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
)
CLASSES = sorted(
    (
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, RekognitionDatasetError)
    ),
    key=lambda error_class: error_class.__name__,
)


def example(error_class: type[RekognitionDatasetError]) -> RekognitionDatasetError:
    fields = {
        "detail": "Something happened.",
        "resource": DATASET_ARN,
        "operation": "CreateDataset",
        "aws_error_code": "SomeException",
        "request_id": "r-1",
    }
    if error_class is RekognitionDatasetFailedError:
        fields |= {
            "status": "CREATE_FAILED",
            "status_message": "The manifest file is empty.",
            "status_message_code": "CLIENT_ERROR",
            "manifest_error_code": "ERROR_EMPTY_MANIFEST",
        }
    return error_class(**fields)


@pytest.mark.parametrize("error_class", CLASSES)
class TestEveryClass:
    def test_message_has_code_and_next_step(self, error_class: type[RekognitionDatasetError]) -> None:
        error = example(error_class)
        assert str(error).startswith(f"{error.code}: Something happened. Next step: ")
        assert str(error).endswith(".")
        assert isinstance(error, AirflowException)
        assert error.__notes__ == ["AWS request id: r-1"]
        assert "r-1" not in str(error)

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_survives_pickling(self, error_class: type[RekognitionDatasetError], protocol: int) -> None:
        error = example(error_class)
        for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):  # noqa: S301
            assert type(twin) is error_class
            assert (str(twin), twin.fields, twin.args) == (str(error), error.fields, error.args)

    def test_survives_a_trigger_event(self, error_class: type[RekognitionDatasetError]) -> None:
        error = example(error_class)
        twin = RekognitionDatasetError.from_event(json.loads(json.dumps(error.to_event())))
        assert type(twin) is error_class
        assert (str(twin), twin.fields) == (str(error), error.fields)

    def test_is_in_the_drawn_tree(self, error_class: type[RekognitionDatasetError]) -> None:
        assert f" {error_class.__name__} " in f" {errors.__doc__} ".replace("\n", " ")


def test_codes_are_unique() -> None:
    assert len({error_class.code for error_class in CLASSES}) == len(CLASSES) > 15
    with pytest.raises(TypeError, match="REKOGNITION_THROTTLED is taken"):
        type("Another", (RekognitionDatasetError,), {"code": "REKOGNITION_THROTTLED"})


def test_unknown_event_code() -> None:
    with pytest.raises(KeyError, match="REKOGNITION_NEVER_HEARD_OF"):
        RekognitionDatasetError.from_event({"code": "REKOGNITION_NEVER_HEARD_OF", "fields": {}})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_declared_error_is_translated(operation: str) -> None:
    model = botocore.session.get_session().get_service_model("rekognition").operation_model(operation)
    assert {shape.name for shape in model.error_shapes} <= set(AWS_ERRORS)


@pytest.mark.parametrize("known", MANIFEST_ERRORS, ids=lambda known: known.code)
def test_status_messages(known: errors.ManifestError) -> None:
    text = known.text.replace("{}", "50")
    assert manifest_error_code(text) == known.code
    assert manifest_error_code(f"  {text.rstrip('.').upper()} ") == known.code
    assert manifest_error_code(text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")) == known.code
    assert manifest_error_code(f"{text} And more.") is None


@pytest.mark.parametrize("text", [None, "", ".", "The manifest file is a poem."])
def test_unknown_status_message(text: str | None) -> None:
    assert manifest_error_code(text) is None


def test_failed_creation() -> None:
    error = status_error(
        {
            "Status": "CREATE_FAILED",
            "StatusMessage": "The manifest file contains images from multiple S3 buckets.",
            "StatusMessageCode": "CLIENT_ERROR",
        },
        resource=DATASET_ARN,
    )
    assert isinstance(error, RekognitionDatasetFailedError)
    assert error.manifest_error_code == "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS"
    assert str(error) == (
        f"REKOGNITION_DATASET_FAILED: {DATASET_ARN} ended in CREATE_FAILED: The manifest file contains images from "
        "multiple S3 buckets (CLIENT_ERROR, ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS). Next step: Copy all images of the "
        "dataset into one bucket and rewrite the source-ref values. Delete the failed dataset before you create it "
        "again: it still occupies its place."
    )


@pytest.mark.parametrize(
    ("status_message_code", "advice"),
    [("SERVICE_ERROR", "Try again later"), ("CLIENT_ERROR", "Correct the manifest"), (None, "Correct the manifest")],
)
def test_failed_update_with_an_unknown_explanation(status_message_code: str | None, advice: str) -> None:
    error = status_error({"Status": "UPDATE_FAILED", "StatusMessageCode": status_message_code}, resource=DATASET_ARN)
    assert isinstance(error, RekognitionDatasetFailedError)
    assert f"Next step: {advice}" in str(error)
    assert "are still there" in str(error)
    assert "None" not in str(error)


def test_status_that_is_no_failure_of_the_dataset() -> None:
    error = status_error({"Status": "DELETE_IN_PROGRESS"}, resource=DATASET_ARN)
    assert isinstance(error, RekognitionUnexpectedStatusError)
    assert "DELETE_IN_PROGRESS" in str(error)


def client_error(code: str, operation: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": "the reason"}, "ResponseMetadata": {"RequestId": "r-2"}}, operation
    )


@pytest.mark.parametrize(
    ("code", "operation", "error_class"),
    [
        ("AccessDeniedException", "CreateDataset", RekognitionAccessDeniedError),
        ("ResourceInUseException", "CreateProject", RekognitionResourceExistsError),
        ("ResourceInUseException", "DeleteDataset", RekognitionResourceInUseError),
        ("ResourceAlreadyExistsException", "CreateDataset", RekognitionResourceExistsError),
        ("ValidationException", "ListDatasetEntries", RekognitionInvalidRequestError),
        ("NeverHeardOfException", "CreateDataset", RekognitionDatasetError),
    ],
)
def test_client_errors_keep_code_request_id_and_cause(
    code: str, operation: str, error_class: type[RekognitionDatasetError]
) -> None:
    cause = client_error(code, operation)
    with pytest.raises(RekognitionDatasetError) as caught, translated_errors(PROJECT):
        raise cause
    error = caught.value
    assert type(error) is error_class
    assert error.__cause__ is cause
    assert (error.aws_error_code, error.request_id, error.operation) == (code, "r-2", operation)
    assert f"AWS answered {operation} of {PROJECT} with {code}: the reason." in str(error)


@pytest.mark.parametrize(
    ("cause", "error_class"),
    [
        (botocore.exceptions.NoCredentialsError(), RekognitionCredentialsError),
        (botocore.exceptions.UnauthorizedSSOTokenError(), RekognitionCredentialsExpiredError),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://x.invalid"), RekognitionUnreachableError),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="https://x.invalid"), RekognitionUnreachableError),
        (botocore.exceptions.ParamValidationError(report="too short"), RekognitionInvalidRequestError),
        (botocore.exceptions.NoRegionError(), RekognitionInvalidRequestError),
        (botocore.exceptions.UnknownServiceError(service_name="x", known_service_names="y"), RekognitionDatasetError),
    ],
)
def test_errors_of_this_side(
    cause: botocore.exceptions.BotoCoreError, error_class: type[RekognitionDatasetError]
) -> None:
    with pytest.raises(RekognitionDatasetError) as caught, translated_errors(PROJECT):
        raise cause
    assert type(caught.value) is error_class
    assert caught.value.__cause__ is cause
    assert str(cause).rstrip(".") in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), translated_errors(PROJECT):
        _ = 1 / 0


def test_answer_without_a_message() -> None:
    error = answer_error({"Error": {"Code": "404"}}, operation="HeadObject", resource="s3://b/k")
    assert "with 404: no message." in str(error)
    assert not hasattr(error, "__notes__")
