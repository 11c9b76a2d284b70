"""The endpoint itself: protocol, signatures, throttling and injected faults."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from include.local_aws.configuration import Identity
from include.local_aws.operations import OPERATIONS
from include.local_aws.service_model import MODEL
from tests.local_aws.conftest import Service, Start, created, settled
from tests.local_aws.samples import json_lines, labelled


def refusal(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Error code, HTTP status and message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_the_thirteen_operations() -> None:
    assert set(MODEL.operation_names) >= OPERATIONS
    assert len(OPERATIONS) == 13


def test_an_operation_that_is_not_imitated(rekognition: Any) -> None:
    code, status, message = refusal(rekognition.detect_labels, Image={"Bytes": b"x"})
    assert (code, status) == ("UnknownOperationException", 400)
    assert "DetectLabels" in message


def test_an_unknown_member_is_refused(service: Service, rekognition: Any) -> None:
    def add_member(params: dict[str, Any], **_: Any) -> None:
        params["body"] = b'{"ProjectName": "a", "Colour": "red"}'

    rekognition.meta.events.register("before-call.rekognition.CreateProject", add_member)
    assert refusal(rekognition.create_project, ProjectName="a")[:2] == ("ValidationException", 400)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_json_object(rekognition: Any, body: bytes) -> None:
    rekognition.meta.events.register(
        "before-call.rekognition.DescribeProjects", lambda params, **_: params.update(body=body)
    )
    assert refusal(rekognition.describe_projects)[:2] == ("SerializationException", 400)


def test_a_body_that_is_too_large(rekognition: Any) -> None:
    rekognition.meta.events.register(
        "before-call.rekognition.DescribeProjects", lambda params, **_: params.update(body=b" " * 9_000_000)
    )
    assert refusal(rekognition.describe_projects)[0] == "RequestEntityTooLargeException"


@pytest.mark.parametrize(
    ("access_key", "secret_key", "code"),
    [
        ("local", "wrong", "InvalidSignatureException"),
        ("unknown", "localsecret", "UnrecognizedClientException"),
    ],
)
def test_keys_that_do_not_open(service: Service, access_key: str, secret_key: str, code: str) -> None:
    stranger = Identity(access_key=access_key, secret_key=secret_key, account="111122223333")
    assert refusal(service.client(stranger).describe_projects)[:2] == (code, 400)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Bearer local", "InvalidSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=local/20261122/us-east-1/s3/aws4_request,"
            f" SignedHeaders=host, Signature={'0' * 64}",
            "InvalidSignatureException",
        ),
    ],
)
def test_requests_that_are_not_signed(service: Service, authorization: str | None, code: str) -> None:
    headers = {"X-Amz-Target": "RekognitionService.DescribeProjects", "X-Amz-Date": "20261122T200000Z"}
    if authorization is not None:
        headers["Authorization"] = authorization
    answer = service.request("POST", "/", content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["__type"] == code


def test_a_body_changed_under_way_no_longer_fits_its_signature(service: Service, rekognition: Any) -> None:
    def change(request: Any, **_: Any) -> None:
        request.body = b'{"MaxResults": 2}'

    rekognition.meta.events.register_first("before-send.rekognition", change)
    assert refusal(rekognition.describe_projects, MaxResults=1)[0] == "InvalidSignatureException"


def test_requests_a_second_are_refused_only_when_told_to(start: Start) -> None:
    rekognition = start().client()
    for _ in range(12):
        rekognition.describe_projects()
    rekognition = start(throttle=True).client()
    codes = []
    for _ in range(12):
        try:
            rekognition.describe_projects()
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert len(codes) >= 5
    assert set(codes) == {"ProvisionedThroughputExceededException"}
    # What botocore knows as a throttle is waited for by its own retries.
    patient = start(throttle=True).client(config=Config(retries={"total_max_attempts": 10, "mode": "standard"}))
    for _ in range(7):
        patient.describe_projects()


def inject(service: Service, **fault: Any) -> None:
    answer = service.request("POST", "/_local/faults", json=fault)
    assert answer.status_code == 200, answer.text


def test_the_next_calls_throttle(service: Service, rekognition: Any) -> None:
    inject(service, operation="DescribeProjects", kind="throttle", calls=2)
    assert [fault["calls"] for fault in service.request("GET", "/_local/faults").json()] == [2]
    rekognition.create_project(ProjectName="example-project")
    for _ in range(2):
        assert refusal(rekognition.describe_projects)[:2] == ("ThrottlingException", 500)
    assert len(rekognition.describe_projects()["ProjectDescriptions"]) == 1


def test_the_next_call_fails(service: Service, rekognition: Any) -> None:
    inject(service, operation="DescribeProjects", kind="error")
    inject(service, operation="DescribeProjects", kind="error", code="AccessDeniedException", message="Not today.")
    assert refusal(rekognition.describe_projects)[:2] == ("InternalServerError", 500)
    assert refusal(rekognition.describe_projects) == ("AccessDeniedException", 400, "Not today.")
    rekognition.describe_projects()


def test_the_next_call_hangs(service: Service, rekognition: Any) -> None:
    inject(service, operation="DescribeProjects", kind="hang", seconds=0.5)
    began = time.monotonic()
    rekognition.describe_projects()
    assert time.monotonic() - began >= 0.5


def test_faults_can_be_forgotten(service: Service, rekognition: Any) -> None:
    inject(service, operation="DescribeProjects", kind="throttle", calls=100)
    assert service.request("DELETE", "/_local/faults").json() == []
    rekognition.describe_projects()


def test_operations_end_in_failure(service: Service, rekognition: Any, project_arn: str) -> None:
    lines = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(10)])
    train = created(rekognition, project_arn, lines)
    inject(service, operation="CreateDataset", kind="fail", message="It broke.", code="CLIENT_ERROR")
    test = rekognition.create_dataset(ProjectArn=project_arn, DatasetType="TEST", DatasetSource={"DatasetArn": train})
    description = settled(rekognition, test["DatasetArn"])
    assert (description["Status"], description["StatusMessageCode"]) == ("CREATE_FAILED", "CLIENT_ERROR")
    assert description["StatusMessage"] == "It broke."
    assert description["DatasetStats"]["TotalEntries"] == 0

    # A call that is refused starts nothing that could fail.
    inject(service, operation="CreateDataset", kind="fail")
    assert refusal(rekognition.create_dataset, ProjectArn=project_arn, DatasetType="TRAIN")[0] == (
        "ResourceAlreadyExistsException"
    )
    assert len(service.request("GET", "/_local/faults").json()) == 1

    inject(service, operation="UpdateDatasetEntries", kind="fail")
    rekognition.update_dataset_entries(DatasetArn=train, Changes={"GroundTruth": json_lines(labelled("x.png"))})
    description = settled(rekognition, train)
    assert (description["Status"], description["StatusMessageCode"]) == ("UPDATE_FAILED", "SERVICE_ERROR")
    assert description["DatasetStats"]["TotalEntries"] == 10


def test_a_distribution_ends_in_failure(service: Service, rekognition: Any, project_arn: str) -> None:
    lines = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(10)])
    train, test = created(rekognition, project_arn, lines), created(rekognition, project_arn, None, "TEST")
    inject(service, operation="DistributeDatasetEntries", kind="fail", message="It broke.")
    rekognition.distribute_dataset_entries(Datasets=[{"Arn": train}, {"Arn": test}])
    for arn, total in ((train, 10), (test, 0)):
        description = settled(rekognition, arn)
        assert (description["Status"], description["StatusMessage"]) == ("UPDATE_FAILED", "It broke.")
        assert description["DatasetStats"]["TotalEntries"] == total


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "MakeCoffee", "kind": "error"},
        {"operation": "DescribeProjects", "kind": "explode"},
        {"operation": "DescribeProjects", "kind": "fail"},
        {"operation": "DescribeProjects", "kind": "throttle", "calls": 0},
        {"operation": "DescribeProjects", "kind": "error", "code": "ResourceNotReadyException"},
        {"operation": "CreateDataset", "kind": "fail", "code": "SUCCESS"},
        {"operation": "CreateDataset", "kind": "error", "colour": "red"},
    ],
)
def test_faults_that_cannot_be(service: Service, fault: dict[str, Any]) -> None:
    assert service.request("POST", "/_local/faults", json=fault).status_code == 400
    assert service.request("GET", "/_local/faults").json() == []


def test_faults_are_taken_as_json_only(service: Service) -> None:
    answer = service.request("POST", "/_local/faults", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_an_answer_against_the_model_is_not_sent(service: Service, rekognition: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("include.local_aws.operations.DatasetService.call", lambda *_: {"ProjectDescriptions": "none"})
    assert refusal(rekognition.describe_projects)[:2] == ("InternalServerError", 500)


def test_health(service: Service) -> None:
    assert service.request("GET", "/_local/health").text == "ok\n"
