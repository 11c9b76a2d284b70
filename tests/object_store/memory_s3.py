"""An S3 that a listing asks without a network: the stub's answers, handed over as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from urllib3 import HTTPResponse

from bench.stub import Stub
from include.object_store.session import S3Session
from tests.object_store.conftest import BUCKET


class MemorySession(S3Session):
    """A session whose listings are answered in this process.

    :ivar asked: the queries, in the order in which they came
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.stub = Stub(sorted(keys, key=str.encode), BUCKET)
        self.asked: list[Mapping[str, str]] = []

    def get(self, bucket: str, query: Mapping[str, str], place: object) -> Any:
        self.asked.append(query)
        answer = self.stub.answer("GET", f"/{bucket}?{urlencode(query, quote_via=quote, safe='-_.~')}", {}, b"")
        head, _, body = (answer or b"").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        return HTTPResponse(body, headers=fields, status=200)
