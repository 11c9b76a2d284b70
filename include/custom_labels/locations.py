"""S3 locations as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from include.custom_labels.errors import RequestError

# The bucket pattern and length of Rekognition's own S3Object shape, which also admits buckets of before 2018.
_BUCKET = re.compile(r"[0-9A-Za-z.\-_]{3,255}")


@dataclass(frozen=True, slots=True)
class S3Uri:
    """``s3://bucket/key`` with the key taken raw: never percent-decoded, trimmed or normalized."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises RequestError: INVALID_S3_LOCATION when the text is not an S3 URI"""
        scheme, _, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not _BUCKET.fullmatch(bucket):
            raise RequestError(
                "INVALID_S3_LOCATION",
                f"{text!r} is not an S3 location.",
                "Write it as s3://example-bucket/folder/.",
                location=text,
            )
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class S3FolderLocation:
    """The console's *S3 folder location*.

    :ivar prefix: empty for the root of the bucket, else ends with the slash that keeps ``alexa-devices2/`` out of
        ``alexa-devices``; a location means the same with and without its trailing slash
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises RequestError: INVALID_S3_LOCATION when the text is not an S3 URI"""
        uri = S3Uri.parse(text)
        return cls(uri.bucket, uri.key if not uri.key or uri.key.endswith("/") else f"{uri.key}/")

    def contains(self, key: str) -> bool:
        """Whether the key lies below this folder; the folder's own marker object does."""
        return key.startswith(self.prefix)

    def uri(self, name: str) -> S3Uri:
        """The object of that name below this folder."""
        return S3Uri(self.bucket, self.prefix + name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"
