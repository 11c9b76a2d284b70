from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

from bench.stub import Stub, _error
from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.listing import list_objects
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session
from include.object_store.streams import ObjectWriter
from tests.object_store.conftest import BUCKET, client_of

Serve = Callable[[Sequence[str]], Stub]


def client(**arguments: Any) -> Any:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "localsecret"}
    return boto3.client("s3", **({"region_name": "eu-west-1"} | keys | arguments))


ADDRESSES = {
    "virtual host": (client, "example-images", "https://example-images.s3.eu-west-1.amazonaws.com/", True),
    "dots": (client, "example.images", "https://s3.eu-west-1.amazonaws.com/example.images", False),
    "path": (
        lambda: client(config=Config(s3={"addressing_style": "path"})),
        "example-images",
        "https://s3.eu-west-1.amazonaws.com/example-images",
        False,
    ),
    "dual stack": (
        lambda: client(config=Config(s3={"use_dualstack_endpoint": True})),
        "example-images",
        "https://example-images.s3.dualstack.eu-west-1.amazonaws.com/",
        True,
    ),
    "China": (
        lambda: client(region_name="cn-north-1"),
        "example-images",
        "https://example-images.s3.cn-north-1.amazonaws.com.cn/",
        True,
    ),
    "an endpoint of one's own": (
        lambda: client(endpoint_url="http://127.0.0.1:8333"),
        "example-images",
        "http://127.0.0.1:8333/example-images",
        False,
    ),
}


@pytest.mark.parametrize(("make", "bucket", "url", "is_virtual"), ADDRESSES.values(), ids=ADDRESSES)
def test_botocore_decides_the_address(make: Callable[[], Any], bucket: str, url: str, is_virtual: bool) -> None:
    session = S3Session(make())
    assert session._bucket(bucket).url == url
    config: Any = session.store(bucket).config
    assert config["virtual_hosted_style_request"] == str(is_virtual).lower()
    assert config["endpoint_url_s3"] == url.removesuffix(f"/{bucket}").removesuffix("/")


def test_the_environment_does_not_move_obstore(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, headers: list[dict[str, str]]
) -> None:
    stub = serve(["a.png"])
    client = client_of(stub)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert len(read_range(S3Session(client), S3Uri(BUCKET, "a.png"), 0, 10)) == 10
    assert "Credential=local/" in headers[0]["authorization"]
    assert "/us-east-1/s3/" in headers[0]["authorization"]


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Headers of every request that stubs answer."""
    kept: list[dict[str, str]] = []
    answer = Stub.answer

    def keep(self: Stub, method: str, target: str, sent: dict[str, str], body: bytes) -> bytes | None:
        kept.append(sent)
        return answer(self, method, target, sent, body)

    monkeypatch.setattr(Stub, "answer", keep)
    return kept


def test_secrets_are_in_headers_and_never_in_addresses(serve: Serve, headers: list[dict[str, str]]) -> None:
    stub = serve(["a/1", "b/2"])
    session = S3Session(client_of(stub, aws_session_token="example-token"))
    assert sum(map(len, list_objects(session, S3FolderLocation(BUCKET, "")))) == 2
    assert len(stub.requests) == 2
    for request, sent in zip(stub.requests, headers, strict=True):
        assert not any(word in request for word in ("localsecret", "example-token", "Signature", "Credential"))
        assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=local/")
        assert sent["x-amz-security-token"] == "example-token"


def test_credentials_that_are_renewed_are_used_at_once(serve: Serve, headers: list[dict[str, str]]) -> None:
    """As of an assumed role: botocore renews them, and every request asks botocore."""
    made = 0

    def renew() -> dict[str, str]:
        nonlocal made
        made += 1
        # Expired at the next look: each request has to ask again.
        expiry = datetime.now(UTC) + timedelta(seconds=1)
        return {
            "access_key": f"key-{made}",
            "secret_key": "localsecret",
            "token": f"token-{made}",
            "expiry_time": expiry.isoformat(),
        }

    botocore_session = botocore.session.Session()
    botocore_session._credentials = RefreshableCredentials.create_from_metadata(renew(), renew, "test")
    stub = serve([f"{at}/a" for at in range(3)])
    session = S3Session(
        boto3.Session(botocore_session=botocore_session).client(
            "s3", endpoint_url=stub.url, region_name="us-east-1", config=Config(proxies={})
        )
    )
    assert sum(map(len, list_objects(session, S3FolderLocation(BUCKET, "")))) == 3
    assert len({sent["x-amz-security-token"] for sent in headers}) == 2
    credentials = session._bucket(BUCKET).credentials()
    assert credentials["token"] == f"token-{made}"
    assert credentials["expires_at"] is not None
    assert timedelta() < credentials["expires_at"] - datetime.now(UTC) <= timedelta(minutes=10)


def test_credentials_that_expire_while_a_listing_runs_are_renewed_in_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute goes by with each request; credentials live for twenty, and S3 refuses those that are over."""
    now, issued, refused = datetime(2026, 11, 24, tzinfo=UTC), dict[str, datetime](), list[str]()
    lock = threading.Lock()

    def renew() -> dict[str, str]:
        token = f"token-{len(issued)}"
        issued[token] = now + timedelta(minutes=20)
        keys = {"access_key": "local", "secret_key": "localsecret", "token": token}
        return keys | {"expiry_time": issued[token].isoformat()}

    answer = Stub.answer

    def check(self: Stub, method: str, target: str, sent: dict[str, str], body: bytes) -> bytes | None:
        nonlocal now
        with lock:
            now += timedelta(minutes=1)
            if issued[sent["x-amz-security-token"]] <= now:
                refused.append(target)
                return _error(400, "ExpiredToken")
        return answer(self, method, target, sent, body)

    monkeypatch.setattr(Stub, "answer", check)
    first = renew()
    keys = RefreshableCredentials(
        first["access_key"],
        first["secret_key"],
        first["token"],
        issued[first["token"]],
        renew,
        "test",
        time_fetcher=lambda: now,
    )
    botocore_session = botocore.session.Session()
    botocore_session._credentials = keys
    stub = serve([f"{at:06}.png" for at in range(60_000)])
    client = boto3.Session(botocore_session=botocore_session).client(
        "s3", endpoint_url=stub.url, region_name="us-east-1", config=Config(proxies={})
    )
    session = S3Session(client)
    pages = list_objects(session, S3FolderLocation(BUCKET, ""), concurrency=4)
    assert [key for page in pages for key in page.keys] == stub.keys
    with ObjectWriter(session, S3Uri(BUCKET, "out/m")) as writer:
        writer.write(b"x")
    assert not refused
    assert len(issued) > 3


def test_an_unsigned_client_signs_nothing(serve: Serve, headers: list[dict[str, str]]) -> None:
    stub = serve(["a/1"])
    session = S3Session(client_of(stub, config=Config(signature_version=UNSIGNED, proxies={})))
    assert len(list(list_objects(session, S3FolderLocation(BUCKET, "")))) == 1
    assert not any("authorization" in sent for sent in headers)


def test_no_credentials_is_an_error_of_access(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    session = S3Session(boto3.Session().client("s3", region_name="us-east-1"))
    with pytest.raises(AccessError) as caught:
        next(list_objects(session, S3FolderLocation(BUCKET, "")))
    assert caught.value.code == "NO_CREDENTIALS"


def test_asking_botocore_leaves_the_client_as_it_was(serve: Serve) -> None:
    """The client is shared: its own listings go to S3 before, while and after a session looks at it."""
    stub = serve(["a/1"])
    shared = client_of(stub)
    S3Session(shared).store(BUCKET)
    assert not stub.requests
    assert [entry["Key"] for entry in shared.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["a/1"]
