"""An S3 in this process for the tests of the data plane, and clients that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.config import Config

from bench.stub import Stub, running_stub
from include.object_store.session import S3Session
from include.object_store.streams import ObjectWriter

BUCKET = "example-images"

# Keys that some part of the way from S3 to a manifest could change; each of them is another object.
HOSTILE_NAMES = (
    "plain.png",
    "with space.png",
    "a+b.png",
    "a%20b.png",
    "a%2Fb.png",
    "<&>'\".png",
    "back\\slash.png",
    "#?;=@:.png",
    "tab\there.png",
    "line\nbreak.png",
    "carriage\rreturn.png",
    "&amp;.png",
    "emoji-😀.png",
    "café.png",
    "cafe\u0301.png",
    "\u202egnp.png",
    "\uffff.png",
    "\U0001f3f4.png",
    " ",
    ".",
    "..",
    "./dot.png",
    "../dots.png",
    "/empty.png",
    "//empty.png",
    "folder/",
    "folder/.",
)


@pytest.fixture
def serve() -> Iterator[Callable[[Sequence[str]], Stub]]:
    """Makes a stub that lists the keys given to it."""
    with ExitStack() as stubs:
        yield lambda keys: stubs.enter_context(running_stub(keys, BUCKET))


def client_of(stub: Stub, **overrides: Any) -> Any:
    """A boto3 client of the stub that repeats nothing by itself."""
    arguments: dict[str, Any] = {
        "endpoint_url": stub.url,
        "region_name": "us-east-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "localsecret",
        "config": Config(retries={"total_max_attempts": 1}, proxies={}),
    }
    return boto3.client("s3", **(arguments | overrides))


def session_of(stub: Stub) -> S3Session:
    return S3Session(client_of(stub))


def write_and_fail(writer: ObjectWriter, data: bytes) -> None:
    """Use a writer in a block that ends in a ZeroDivisionError."""
    with writer:
        writer.write(data)
        raise ZeroDivisionError


def write_whole(writer: ObjectWriter, data: bytes) -> None:
    """Use a writer in a block that ends well."""
    with writer:
        writer.write(data)
