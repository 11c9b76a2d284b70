"""Signature version 4, checked the way it was made.

Checked: the form of the Authorization header, the access key, the service in the credential scope and the
signature itself. Not checked: the age of the signature and session tokens.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from include.local_aws.configuration import Identity
from include.local_aws.errors import ServiceError

_HEADER: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and where: projects are separate for every account and Region."""

    account: str
    region: str


def authenticate(
    *, method: str, url: str, headers: Mapping[str, str], body: bytes, identities: Iterable[Identity]
) -> Caller:
    """The caller a signed request proves.

    Raises:
        ServiceError: MissingAuthenticationTokenException without an Authorization header,
            UnrecognizedClientException for an unknown key, InvalidSignatureException for all else.
    """
    authorization = headers.get("authorization")
    if authorization is None:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
    matched = _HEADER.fullmatch(authorization)
    timestamp = headers.get("x-amz-date", "")
    if matched is None or not re.fullmatch(r"\d{8}T\d{6}Z", timestamp) or matched["date"] != timestamp[:8]:
        raise ServiceError("InvalidSignatureException", "The request is not signed with Signature Version 4.")
    if matched["service"] != "rekognition":
        raise ServiceError("InvalidSignatureException", "Credential should be scoped to service 'rekognition'.")
    identity = next((identity for identity in identities if identity.access_key == matched["key"]), None)
    if identity is None:
        raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if not hmac.compare_digest(
        _signature(matched, method, url, headers, body, identity, timestamp), matched["signature"]
    ):
        raise ServiceError(
            "InvalidSignatureException",
            "The request signature does not match the signature the service computed. Check the secret access key.",
        )
    return Caller(account=identity.account, region=matched["region"])


def _signature(
    matched: re.Match[str],
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    identity: Identity,
    timestamp: str,
) -> str:
    signed = {name: headers.get(name, "") for name in matched["headers"].split(";")}
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = timestamp
    auth = SigV4Auth(Credentials(identity.access_key, identity.secret_key), "rekognition", matched["region"])
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
