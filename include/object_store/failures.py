"""What S3 and the way to it answer when something is wrong, as `AccessError`.

One table, because the same codes come back from three clients: the signed listing, boto3 and obstore.
"""

from __future__ import annotations

from xml.etree import ElementTree

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from urllib3 import BaseHTTPResponse

from include.custom_labels.errors import RENEW_CREDENTIALS, AccessError

# AWS code -> our code, what is wrong, what to do. {place} is the location concerned.
_TABLE: dict[str, tuple[str, str, str]] = {
    "NoSuchBucket": (
        "BUCKET_NOT_FOUND",
        "There is no bucket for {place}.",
        "Check the bucket's name and the account of the AWS connection.",
    ),
    "NoSuchKey": (
        "OBJECT_NOT_FOUND",
        "{place} does not exist.",
        "Check the key, which is case-sensitive and taken raw.",
    ),
    "AccessDenied": (
        "ACCESS_DENIED",
        "S3 denies access to {place}.",
        "Allow the connection's role s3:ListBucket on the bucket, s3:GetObject and s3:PutObject on objects.",
    ),
    "PermanentRedirect": (
        "WRONG_REGION",
        "The bucket of {place} lies in another AWS Region.",
        "Set the AWS connection's region_name to the bucket's Region; Rekognition reads no other.",
    ),
    "InvalidAccessKeyId": (
        "CREDENTIALS_REFUSED",
        "S3 does not know the access key that was used for {place}.",
        "Check the AWS connection's credentials.",
    ),
    "ExpiredToken": (
        "CREDENTIALS_EXPIRED",
        "The credentials used for {place} have expired, or their session token is not valid any more.",
        RENEW_CREDENTIALS,
    ),
    "SlowDown": (
        "S3_UNAVAILABLE",
        "S3 kept refusing requests for {place} although they were repeated.",
        "Try again later; nothing was lost.",
    ),
    "InvalidObjectState": (
        "OBJECT_ARCHIVED",
        "{place} is archived and cannot be read.",
        "Restore the object from its archive storage class first.",
    ),
    "EntityTooLarge": (
        "OBJECT_TOO_LARGE",
        "{place} is larger than S3 accepts.",
        "Split the dataset.",
    ),
    "KMS.DisabledException": (
        "KEY_UNUSABLE",
        "The KMS key of {place} is disabled.",
        "Enable the key, or have the objects encrypted with another one.",
    ),
}
EXPIRED = (SSOError, TokenRetrievalError)
"""What botocore raises where a sign-on has expired, without a request."""

_SAME_AS = {
    "404": "NoSuchKey",
    "NotFound": "NoSuchKey",
    "NoSuchVersion": "NoSuchKey",
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "KMS.AccessDeniedException": "AccessDenied",
    "301": "PermanentRedirect",
    "Redirect": "PermanentRedirect",
    "TemporaryRedirect": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "SignatureDoesNotMatch": "InvalidAccessKeyId",
    "InvalidToken": "ExpiredToken",
    "ExpiredTokenException": "ExpiredToken",
    "RequestExpired": "ExpiredToken",
    "429": "SlowDown",
    "500": "SlowDown",
    "502": "SlowDown",
    "503": "SlowDown",
    "504": "SlowDown",
    "InternalError": "SlowDown",
    "ServiceUnavailable": "SlowDown",
    "RequestLimitExceeded": "SlowDown",
    "ThrottlingException": "SlowDown",
}


def access_error(
    aws_code: str, place: object, *, aws_message: str = "", request_id: str = "", status: int = 0
) -> AccessError:
    """The error for an AWS error code, or for an HTTP status where S3 sent no body.

    :param place: the ``s3://`` location concerned
    """
    row = _TABLE.get(_SAME_AS.get(aws_code, aws_code))
    code, message, next_step = row or (
        "S3_REQUEST_FAILED",
        "S3 answered {aws_code} for {place}.",
        "Look the AWS code up in S3's list of error responses.",
    )
    return AccessError(
        code,
        message.format(place=place, aws_code=aws_code),
        next_step,
        location=str(place),
        aws_code=aws_code,
        aws_message=aws_message,
        request_id=request_id,
        status=status,
    )


def error_of_response(response: BaseHTTPResponse, place: object) -> AccessError:
    """The error that S3's XML answer describes; its HTTP status where there is no readable body."""
    fields: dict[str, str] = {}
    try:
        # The body is S3's own, over an authenticated connection; expat refuses entity bombs since 2.4.1.
        root = ElementTree.fromstring(response.data)  # noqa: S314
        fields = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    except ElementTree.ParseError:
        pass
    return access_error(
        fields.get("Code") or str(response.status),
        place,
        aws_message=fields.get("Message", ""),
        request_id=fields.get("RequestId") or response.headers.get("x-amz-request-id", ""),
        status=response.status,
    )


def error_of_boto3(error: BotoCoreError | ClientError, place: object) -> AccessError:
    """The error that boto3 raised; the caller raises the result ``from`` it."""
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        about = error.response.get("ResponseMetadata", {})
        return access_error(
            answer.get("Code", "Unknown"),
            place,
            aws_message=answer.get("Message", ""),
            request_id=about.get("RequestId", ""),
            status=about.get("HTTPStatusCode", 0),
        )
    if isinstance(error, EXPIRED):
        # Of a single sign-on or a web identity: botocore finds out before it asks S3.
        return access_error("ExpiredToken", place, aws_message=str(error))
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return AccessError(
            "NO_CREDENTIALS",
            f"There are no complete AWS credentials to reach {place} with.",
            "Give the AWS connection credentials or a role to assume.",
            location=str(place),
            reason=str(error),
        )
    return unreachable(error, place)


def unreachable(error: Exception, place: object) -> AccessError:
    """The error for a connection that could not be made or kept, repeats included."""
    return AccessError(
        "S3_UNREACHABLE",
        f"{place} could not be reached: {type(error).__name__}.",
        "Check the endpoint of the AWS connection, the network and the proxy.",
        location=str(place),
        reason=str(error),
    )
