"""The service's view of S3: manifests, buckets and the first bytes of images."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import boto3
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from include.local_aws.configuration import Identity
from include.local_aws.images import HEADER_READS_BYTES, ImageFacts, image_size, is_image_start

_CONNECTIONS: Final = 32
_CHUNK_BYTES: Final = 1024**2
_TIMEOUT: Final = urllib3.Timeout(connect=5, read=60)


class ObjectMissingError(Exception):
    """No such bucket, key or version."""


class ObjectForbiddenError(Exception):
    """S3 refuses to let the service read."""


class ObjectStoreUnavailableError(Exception):
    """S3 does not answer, or answers with an error of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFacts:
    """What S3 tells of a bucket; None where it does not tell."""

    owner: str | None
    region: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBody:
    """An object being read."""

    size_bytes: int
    chunks: Iterator[bytes]


class ObjectReader(Protocol):
    """What the dataset service reads. Every method may raise `ObjectStoreUnavailableError`."""

    def bucket_facts(self, bucket: str) -> BucketFacts | None:
        """Facts of a bucket; None when there is none or it may not be looked at."""
        ...

    def open_object(self, bucket: str, key: str, version: str | None) -> AbstractContextManager[ObjectBody]:
        """An object's size and content.

        Raises:
            ObjectMissingError: there is none.
            ObjectForbiddenError: it may not be read.
        """
        ...

    def image_facts(self, images: list[tuple[str, str]], *, header: bool) -> list[ImageFacts | None]:
        """For every (bucket, key) what its header tells, in order; None for a missing or unusable image.

        Without ``header`` only existence is looked at, and the sizes are 0.
        """
        ...


class S3ObjectReader:
    """`ObjectReader` over an S3 endpoint."""

    def __init__(self, endpoint: str, identity: Identity) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=identity.access_key,
            aws_secret_access_key=identity.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )
        # Images are read by the ten thousand: signing the request by hand costs a fifth of a client's call.
        self._signer = S3SigV4Auth(Credentials(identity.access_key, identity.secret_key), "s3", "us-east-1")
        self._pool = urllib3.connection_from_url(
            endpoint, maxsize=_CONNECTIONS, block=True, timeout=_TIMEOUT, retries=urllib3.Retry(2, redirect=False)
        )
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="image")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._pool.close()
        self._client.close()

    def bucket_facts(self, bucket: str) -> BucketFacts | None:
        try:
            owner = self._client.get_bucket_acl(Bucket=bucket)["Owner"].get("ID")
            region = self._client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
        except ClientError as error:
            _raise_if_unavailable(error)
            return None
        return BucketFacts(owner=owner, region=region)

    @contextmanager
    def open_object(self, bucket: str, key: str, version: str | None) -> Iterator[ObjectBody]:
        try:
            response = self._client.get_object(
                Bucket=bucket, Key=key, **({"VersionId": version} if version is not None else {})
            )
        except ClientError as error:
            _raise_if_unavailable(error)
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                raise ObjectForbiddenError(key) from error
            raise ObjectMissingError(key) from error
        with closing(response["Body"]) as body:
            yield ObjectBody(size_bytes=response["ContentLength"], chunks=body.iter_chunks(_CHUNK_BYTES))

    def image_facts(self, images: list[tuple[str, str]], *, header: bool) -> list[ImageFacts | None]:
        read = self._header_facts if header else self._existence
        return list(self._threads.map(lambda image: read(*image), images))

    def _existence(self, bucket: str, key: str) -> ImageFacts | None:
        response = self._request("HEAD", bucket, key, {})
        return ImageFacts(size_bytes=0, width_px=0, height_px=0) if response.status == 200 else None

    def _header_facts(self, bucket: str, key: str) -> ImageFacts | None:
        for length_bytes in HEADER_READS_BYTES:
            response = self._request("GET", bucket, key, {"Range": f"bytes=0-{length_bytes - 1}"})
            if response.status not in {200, 206}:
                return None  # missing, forbidden, or empty: a range of nothing cannot be satisfied
            size_bytes = int(response.headers.get("Content-Range", f"/{len(response.data)}").rpartition("/")[2])
            size = image_size(response.data)
            if size is not None:
                return ImageFacts(size_bytes=size_bytes, width_px=size[0], height_px=size[1])
            if len(response.data) >= size_bytes or not is_image_start(response.data):
                return None
        return None

    def _request(self, method: str, bucket: str, key: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        path = f"/{bucket}/{quote(key, safe='/-._~')}"
        request = AWSRequest(method=method, url=self._endpoint + path, headers=headers)
        self._signer.add_auth(request)
        try:
            response = self._pool.urlopen(method, path, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise ObjectStoreUnavailableError(str(error)) from error
        if response.status >= 500:
            raise ObjectStoreUnavailableError(f"S3 answered {response.status}.")
        return response


def _raise_if_unavailable(error: ClientError) -> None:
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        raise ObjectStoreUnavailableError(str(error)) from error
