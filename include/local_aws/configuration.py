"""What the two local services need to know about themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One access key; the same keys open S3 and Rekognition."""

    access_key: str
    secret_key: str
    account: str
    s3_actions: tuple[str, ...] = ()


LOCAL = Identity(
    access_key="local",
    secret_key="localsecret",  # noqa: S106  documented, and worth nothing outside this machine
    account="111122223333",
    s3_actions=("Admin", "Read", "Write", "List", "Tagging"),
)
# May do nothing in S3, and owns another Rekognition account: for trying out refusals.
GUEST = Identity(
    access_key="guest",
    secret_key="guestsecret",  # noqa: S106
    account="444455556666",
)


class ImageChecks(StrEnum):
    """How far an image named by an entry is looked at."""

    NONE = "none"
    EXISTS = "exists"
    HEADER = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the Rekognition dataset service.

    ``status_delay_s`` is how long an asynchronous operation takes at the least; ``throttle`` turns the request
    quotas on; ``database`` is the SQLite file, whose folder exists.
    """

    database: Path
    s3_endpoint: str
    status_delay_s: float = 1.0
    throttle: bool = False
    image_checks: ImageChecks = ImageChecks.HEADER
    identities: tuple[Identity, ...] = field(default=(LOCAL, GUEST))
