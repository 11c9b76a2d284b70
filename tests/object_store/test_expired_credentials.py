"""Credentials that have expired are called that, by whichever way and with whichever request they are found out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from bench.stub import Stub, _error
from include.custom_labels.errors import RENEW_CREDENTIALS, AccessError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.copies import copy_images
from include.object_store.failures import error_of_boto3
from include.object_store.listing import list_objects
from include.object_store.object_facts import find_objects
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session
from include.object_store.streams import put_bytes, read_bytes
from tests.object_store.conftest import BUCKET, session_of

Serve = Callable[[Sequence[str]], Stub]
PLACE = S3Uri(BUCKET, "a/1.png")

REQUESTS: dict[str, Callable[[S3Session], object]] = {
    "signed listing": lambda session: list(list_objects(session, S3FolderLocation(BUCKET, "a/"))),
    "obstore": lambda session: read_range(session, PLACE, 0, 10),
    "boto3, read": lambda session: read_bytes(session, PLACE),
    "boto3, write": lambda session: put_bytes(session, PLACE, b"x"),
    "boto3, head of an object": lambda session: find_objects(session, BUCKET, [PLACE.key]),
    "boto3, copy": lambda session: list(copy_images(session, session, [(PLACE, S3Uri(BUCKET, "b/1.png"))])),
}


def answer_with(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let S3 answer everything with 400; what it answers to HEAD has no body, as with S3 itself."""

    def answer(self: Stub, method: str, target: str, sent: dict[str, str], body: bytes) -> bytes:
        whole = _error(400, code)
        return whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else whole

    monkeypatch.setattr(Stub, "answer", answer)


@pytest.mark.parametrize("aws_code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken"])
@pytest.mark.parametrize("request_name", REQUESTS)
def test_expired_credentials(serve: Serve, monkeypatch: pytest.MonkeyPatch, request_name: str, aws_code: str) -> None:
    session = session_of(serve(["a/1.png"]))
    answer_with(monkeypatch, aws_code)
    with pytest.raises(AccessError) as caught:
        REQUESTS[request_name](session)
    assert (caught.value.code, caught.value.next_step) == ("CREDENTIALS_EXPIRED", RENEW_CREDENTIALS)
    assert caught.value.details["aws_code"] == aws_code


def test_a_head_that_is_refused_for_another_reason_is_not_taken_for_that(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(serve(["a/1.png"]))
    answer_with(monkeypatch, "InvalidRequest")
    with pytest.raises(ClientError) as caught:
        session.client.head_object(Bucket=BUCKET, Key="a/1.png")
    failure = error_of_boto3(caught.value, PLACE)
    assert (failure.code, failure.details["aws_code"]) == ("S3_REQUEST_FAILED", "InvalidRequest")


def test_the_head_of_a_bucket_says_it_too(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(serve(["a/1.png"]))
    answer_with(monkeypatch, "ExpiredToken")
    with pytest.raises(ClientError) as caught:
        session.client.head_bucket(Bucket=BUCKET)
    assert error_of_boto3(caught.value, f"s3://{BUCKET}").code == "CREDENTIALS_EXPIRED"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnauthorizedSSOTokenError(), "CREDENTIALS_EXPIRED"),
        (SSOTokenLoadError(error_msg="no token"), "CREDENTIALS_EXPIRED"),
        (TokenRetrievalError(provider="sso", error_msg="Token has expired"), "CREDENTIALS_EXPIRED"),
        (CredentialRetrievalError(provider="web identity", error_msg="no answer"), "NO_CREDENTIALS"),
    ],
)
def test_a_sign_on_that_has_expired_is_found_out_before_a_request(error: BotoCoreError, code: str) -> None:
    failure: Any = error_of_boto3(error, PLACE)
    assert failure.code == code
    assert str(error) in (failure.details.get("aws_message"), failure.details.get("reason"))
