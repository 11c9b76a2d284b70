"""A Rekognition whose answers are written down beforehand, for real boto3 and aiobotocore clients, without a socket."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from aiobotocore.awsrequest import AioAWSResponse
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

REQUEST_ID = "00000000-1111-2222-3333-444444444444"


class Refusal(NamedTuple):
    """An AWS error."""

    code: str
    message: str = "the reason"
    http_status: int = 400

    def response(self) -> AWSResponse:
        """As botocore's ``before-send`` handlers answer."""
        return _response(AWSResponse, "", self.http_status, {"__type": self.code, "message": self.message})


Answer = dict[str, Any] | Refusal | Exception


class Request(NamedTuple):
    operation: str
    body: dict[str, Any]


class ScriptedRekognition:
    """The answers of each operation are given in their order; the last one is given again and again."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []

    def script(self, operation: str, *answers: Answer) -> None:
        self._answers[operation] = list(answers)

    def operations(self) -> list[str]:
        return [request.operation for request in self.requests]

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """botocore ``before-send`` handler."""
        return self._respond(request, AWSResponse)

    def answer_async(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """aiobotocore ``before-send`` handler."""
        return self._respond(request, AioAWSResponse)

    def _respond(self, request: AWSPreparedRequest, response_class: type[AWSResponse]) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).split(".")[-1]
        self.requests.append(Request(operation, json.loads(request.body or b"{}")))
        answers = self._answers[operation]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Refusal):
            status, body = answer.http_status, {"__type": answer.code, "message": answer.message}
        else:
            status, body = 200, answer
        return _response(response_class, request.url, status, body)


def _response(response_class: type[AWSResponse], url: str, status: int, body: dict[str, Any]) -> AWSResponse:
    response = response_class(url, status, {"x-amzn-RequestId": REQUEST_ID}, None)
    response._content = json.dumps(body).encode()
    return response


def dataset(status: str, **description: Any) -> dict[str, Any]:
    """Return an answer of DescribeDataset."""
    return {"DatasetDescription": {"Status": status, **description}}


def project(arn: str, status: str = "CREATED", **description: Any) -> dict[str, Any]:
    """Return an answer of DescribeProjects."""
    return {"ProjectDescriptions": [{"ProjectArn": arn, "Status": status, **description}]}
