"""One way to S3 for everything in this package: a boto3 client, and fast requests signed by it.

boto3 decides what it decides everywhere else: endpoint, addressing style, signature, credentials and their
renewal (assumed roles, container and instance roles). It is asked through its events: a call that never leaves
the process shows the address of a bucket and the signer, and that signer signs each later request in its
headers. No credential is kept here, and none is ever part of an address.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse, HTTPHeaders
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from obstore.store import S3Store
from urllib3.exceptions import HTTPError

from include.object_store.failures import error_of_boto3, error_of_response, unreachable

if TYPE_CHECKING:
    from botocore.signers import RequestSigner
    from mypy_boto3_s3 import S3Client
    from obstore.store import ClientConfig, S3Config, S3Credential

# botocore renews credentials that would expire within ten minutes: what it hands out lives at least as long.
_CREDENTIAL_LIFETIME = timedelta(minutes=10)
_RETRIES = 10
_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_BODIES = 5
"""So often is an object asked for whose body breaks off."""


_PLACE = "custom-labels-place"


def _note_place(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_PLACE] = {name: params[name] for name in ("Bucket", "Key", "VersionId") if name in params}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bucket:
    """A bucket's address and how requests to it are signed, as botocore worked them out."""

    url: str
    pool: urllib3.PoolManager
    signer: RequestSigner
    signing_name: str
    region: str
    is_signed: bool

    def headers(self, url: str) -> dict[str, str]:
        """The signed headers of a GET; credentials are asked for anew, so that botocore can renew them."""
        if not self.is_signed:
            return {}
        request = AWSRequest(method="GET", url=url)
        self._auth().add_auth(request)
        return dict(request.headers.items())

    def credentials(self) -> S3Credential:
        keys = self._auth().credentials
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + _CREDENTIAL_LIFETIME,
        }

    def _auth(self) -> Any:
        return self.signer.get_auth_instance(self.signing_name, self.region, "s3v4")


class S3Session:
    """S3 as one AWS connection sees it; safe to share between threads.

    :param client: an S3 client of boto3, such as an Airflow hook makes
    :param verify: what the client was given: a path of certificates, or False to check none
    :param max_connections: connections that are kept open to one host
    :ivar client: the same client, for what is not asked a thousand times
    """

    def __init__(self, client: S3Client, *, verify: bool | str | None = None, max_connections: int = 64) -> None:
        self.client = client
        self._verify = True if verify is None else verify
        self._max_connections = max_connections
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._stores: dict[str, S3Store] = {}
        for operation in ("HeadBucket", "HeadObject"):
            events = client.meta.events
            events.register(f"before-parameter-build.s3.{operation}", _note_place, unique_id=f"{operation}-place")
            events.register(f"after-call.s3.{operation}", self._say_why, unique_id=f"{operation}-why")

    def _say_why(
        self, http_response: AWSResponse, parsed: dict[str, Any], context: dict[str, Any], **_: object
    ) -> None:
        """Ask again with a body: an answer to HEAD has none, and a 400 alone may be of credentials as of a key."""
        place = context.get(_PLACE)
        if http_response.status_code != 400 or place is None:
            return
        try:
            if "Key" in place:
                self.client.get_object(**place, Range="bytes=0-0")["Body"].close()
            else:
                self.client.list_objects_v2(**place, MaxKeys=1)
        except ClientError as error:
            parsed["Error"] = error.response["Error"]

    def get(self, bucket: str, query: Mapping[str, str], place: object) -> urllib3.BaseHTTPResponse:
        """A signed GET on the bucket itself, repeated with backoff and jitter while S3 is busy or away.

        :param place: the location that an error names
        :raises AccessError: S3 refused, or could not be reached
        """
        endpoint = self._bucket(bucket)
        url = f"{endpoint.url}?{urlencode(query, quote_via=quote, safe='-_.~')}"
        try:
            headers = endpoint.headers(url)
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, place) from error
        try:
            response = endpoint.pool.request("GET", url, headers=headers)
        except HTTPError as error:
            raise unreachable(error, place) from error
        if response.status != 200:
            raise error_of_response(response, place)
        return response

    def read(self, bucket: str, key: str, **conditions: str) -> tuple[bytes, str]:
        """An object or a range of it with boto3, and its ETag without quotes.

        boto3 repeats requests with backoff, but not one whose answer breaks off after its headers.

        :param conditions: such as ``Range``, of `get_object`
        :raises botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: as boto3 does
        """
        for _ in range(_BODIES - 1):
            try:
                return self._read_once(bucket, key, conditions)
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                continue
        return self._read_once(bucket, key, conditions)

    def _read_once(self, bucket: str, key: str, conditions: dict[str, str]) -> tuple[bytes, str]:
        answer = self.client.get_object(Bucket=bucket, Key=key, **conditions)  # type: ignore[arg-type]
        return answer["Body"].read(), answer["ETag"].strip('"')

    def store(self, bucket: str) -> S3Store:
        """obstore's store of the bucket, with the same address and the same credentials."""
        endpoint = self._bucket(bucket)
        with self._lock:
            if bucket not in self._stores:
                self._stores[bucket] = self._make_store(bucket, endpoint)
            return self._stores[bucket]

    def _make_store(self, bucket: str, endpoint: _Bucket) -> S3Store:
        address = urlsplit(endpoint.url)
        config: S3Config = {
            # Environment variables reach obstore too; this one is the strongest of them.
            "aws_endpoint_url_s3": f"{address.scheme}://{address.netloc}",
            "virtual_hosted_style_request": not address.path.strip("/"),
            "region": endpoint.region,
            "skip_signature": not endpoint.is_signed,
        }
        client_options: ClientConfig = {
            "allow_http": address.scheme == "http",
            "allow_invalid_certificates": self._verify is False,
        }
        return S3Store(bucket, config=config, client_options=client_options, credential_provider=endpoint.credentials)

    def _make_pool(self, url: str) -> urllib3.PoolManager:
        settings: dict[str, Any] = {
            "maxsize": self._max_connections,
            "timeout": urllib3.Timeout(connect=10, read=60),
            "cert_reqs": ssl.CERT_REQUIRED if self._verify else ssl.CERT_NONE,
            "ca_certs": self._verify if isinstance(self._verify, str) else get_cert_path(True),
            "retries": urllib3.Retry(
                total=_RETRIES,
                redirect=0,
                backoff_factor=0.1,
                backoff_jitter=0.2,
                backoff_max=15,
                status_forcelist=_RETRIED_STATUSES,
                allowed_methods={"GET"},
                raise_on_status=False,
                raise_on_redirect=False,
            ),
        }
        proxies = self.client.meta.config.proxies  # type: ignore[attr-defined]
        proxy = (get_environ_proxies(url) if proxies is None else proxies).get(urlsplit(url).scheme)
        return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)

    def _bucket(self, name: str) -> _Bucket:
        with self._lock:
            if name not in self._buckets:
                self._buckets[name] = self._ask_botocore(name)
            return self._buckets[name]

    def _ask_botocore(self, name: str) -> _Bucket:
        """Let botocore prepare and sign a listing of the bucket, and stop it before it is sent."""
        thread = threading.get_ident()
        signing: dict[str, Any] = {}

        def on_sign(**about: Any) -> None:
            if threading.get_ident() == thread:
                signing.update(about)

        def on_send(request: AWSPreparedRequest, **_: Any) -> Any:
            if threading.get_ident() != thread:
                return None
            signing["url"] = request.url
            body = urllib3.HTTPResponse(BytesIO(b"<ListBucketResult/>"), preload_content=False)
            return AWSResponse(request.url, 200, HTTPHeaders(), body)

        events = self.client.meta.events
        # Unregistered again below: the client may be shared with threads that make calls of their own.
        events.register_last("before-sign.s3.ListObjectsV2", on_sign)
        events.register_first("before-send.s3.ListObjectsV2", on_send)
        try:
            self.client.list_objects_v2(Bucket=name)
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, f"s3://{name}/") from error
        finally:
            events.unregister("before-sign.s3.ListObjectsV2", on_sign)
            events.unregister("before-send.s3.ListObjectsV2", on_send)
        url = signing["url"].partition("?")[0]
        return _Bucket(
            url=url,
            pool=self._make_pool(url),
            signer=signing["request_signer"],
            signing_name=signing["signing_name"],
            region=signing["region_name"],
            is_signed=signing["signature_version"] != UNSIGNED,
        )
