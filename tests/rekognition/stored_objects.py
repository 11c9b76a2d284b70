"""The part of a boto3 S3 client that reads manifests, over a dictionary."""

from __future__ import annotations

import hashlib
import io
import re
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


class StoredObjects:
    def __init__(self) -> None:
        self.contents: dict[tuple[str, str, str | None], bytes] = {}
        self.ranges: list[str] = []

    def put(self, bucket: str, key: str, content: bytes, version_id: str | None = None) -> None:
        self.contents[bucket, key, version_id] = content

    def head_object(self, **request: Any) -> dict[str, Any]:
        content = self._content(request, "HeadObject", "404")
        return {"ContentLength": len(content), "ETag": self._etag(content)}

    def get_object(self, **request: Any) -> dict[str, Any]:
        content = self._content(request, "GetObject", "NoSuchKey")
        if request["IfMatch"] != self._etag(content):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": "changed"}}, "GetObject")
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", request["Range"]).groups())
        assert first <= last < len(content)
        self.ranges.append(request["Range"])
        body = content[first : last + 1]
        return {"Body": StreamingBody(io.BytesIO(body), len(body))}

    def _content(self, request: dict[str, Any], operation: str, missing: str) -> bytes:
        try:
            return self.contents[request["Bucket"], request["Key"], request.get("VersionId")]
        except KeyError:
            raise ClientError({"Error": {"Code": missing, "Message": "Not Found"}}, operation) from None

    @staticmethod
    def _etag(content: bytes) -> str:
        return f'"{hashlib.sha256(content).hexdigest()}"'
