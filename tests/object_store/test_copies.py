"""Copies within one S3 and between two, continued after a kill, and each way in which one object can fail."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.object_store.copies import (
    ORIGINAL_NAME,
    SHA256,
    SOURCE_ETAG,
    CopyOutcome,
    CopyState,
    ObjectVersion,
    copy_images,
)
from include.object_store.session import S3Session
from tests.fixtures.local_aws import PROJECT, LocalAws

integration = pytest.mark.integration


def session_of(aws: LocalAws, **overrides: Any) -> S3Session:
    return S3Session(aws.client("s3", **overrides))


def new_bucket(session: S3Session, **objects: bytes) -> str:
    name = f"example-{uuid.uuid4().hex[:12]}"
    session.client.create_bucket(Bucket=name)
    for key, data in objects.items():
        session.client.put_object(Bucket=name, Key=key, Body=data, ContentType="image/png")
    return name


def states(outcomes: Iterable[CopyOutcome]) -> list[CopyState]:
    return [outcome.state for outcome in outcomes]


def body(session: S3Session, uri: S3Uri) -> bytes:
    return session.client.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()


@integration
def test_within_one_s3_the_bytes_stay_there(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(local_aws)
    bucket, target = new_bucket(session, a=b"one", b=b"two"), new_bucket(session)
    plan = [(S3Uri(bucket, key), S3Uri(target, f"copies/{key} ünd+%20")) for key in ("a", "b", "missing")]
    monkeypatch.setattr(session.client, "get_object", None)
    counts: list[int] = []
    first = list(copy_images(session, session, plan, on_progress=counts.append))
    assert states(first) == [CopyState.COPIED, CopyState.COPIED, CopyState.MISSING]
    assert counts == [1, 2, 3]
    assert first[0].etag == hashlib.md5(b"one").hexdigest()  # noqa: S324 (what an ETag is)
    assert (first[0].size_bytes, first[2].code) == (3, "OBJECT_NOT_FOUND")
    again = list(copy_images(session, session, plan))
    assert states(again) == [CopyState.PRESENT, CopyState.PRESENT, CopyState.MISSING]
    assert [each.last_modified for each in again] == [each.last_modified for each in first]


@integration
def test_versions_are_copied_and_not_what_took_their_place(local_aws: LocalAws) -> None:
    session = session_of(local_aws)
    bucket = new_bucket(session, a=b"before versioning")
    put, digest = session.client.put_object, lambda data: hashlib.md5(data).hexdigest()  # noqa: S324 (an ETag)
    session.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = put(Bucket=bucket, Key="a", Body=b"first")["VersionId"]
    put(Bucket=bucket, Key="a", Body=b"second")
    sources = [
        ObjectVersion(bucket, "a", "null", digest(b"before versioning")),
        ObjectVersion(bucket, "a", first, digest(b"first")),
        # Another null version than the one that was listed.
        ObjectVersion(bucket, "a", "null", digest(b"something else")),
        ObjectVersion(bucket, "a", "6714fb3dc80520eec132be2176666333", digest(b"first")),
    ]
    plan = [(source, S3Uri(bucket, f"h/{at}/a")) for at, source in enumerate(sources)]
    outcomes = list(copy_images(session, session, plan))
    assert states(outcomes) == [CopyState.COPIED, CopyState.COPIED, CopyState.FAILED, CopyState.MISSING]
    assert [body(session, target) for _, target in plan[:2]] == [b"before versioning", b"first"]
    assert outcomes[2].code == "OBJECT_CHANGED"
    assert str(outcomes[1].source) == f"s3://{bucket}/a (version {first})"
    assert states(copy_images(session, session, plan[:2])) == [CopyState.PRESENT] * 2


@integration
def test_between_two_s3_the_bytes_come_through_here(local_aws: LocalAws, other_aws: LocalAws) -> None:
    source, target = session_of(other_aws), session_of(local_aws)
    bucket, images = new_bucket(source, a=b"one", b=b"two"), new_bucket(target, b=b"not two")
    plan = [(S3Uri(bucket, "a"), S3Uri(images, "a")), (S3Uri(bucket, "b"), S3Uri(images, "b"))]
    outcomes = list(copy_images(source, target, plan))
    assert states(outcomes) == [CopyState.COPIED, CopyState.CONFLICT]
    assert body(target, S3Uri(images, "b")) == b"not two"
    head = target.client.head_object(Bucket=images, Key="a")
    assert head["ContentType"] == "image/png"
    assert head["Metadata"] == {SOURCE_ETAG: outcomes[0].etag, SHA256: hashlib.sha256(b"one").hexdigest()}
    assert states(copy_images(source, target, plan)) == [CopyState.PRESENT, CopyState.CONFLICT]


@integration
def test_the_name_that_a_persons_file_had_goes_with_every_copy(local_aws: LocalAws, other_aws: LocalAws) -> None:
    ours, others = session_of(local_aws), session_of(other_aws)
    for source, target in ((ours, ours), (others, ours)):
        uploads, images = new_bucket(source), new_bucket(target)
        metadata = {ORIGINAL_NAME: "caf%C3%A9 1.png", "image-sides": "64x64"}
        source.client.put_object(Bucket=uploads, Key="a", Body=b"one", Metadata=metadata)
        # A copy of a copy as well: the first one may have expired.
        for place, copied in ((S3Uri(uploads, "a"), "b"), (S3Uri(images, "b"), "c")):
            reader = source if copied == "b" else target
            assert states(copy_images(reader, target, [(place, S3Uri(images, copied))])) == [CopyState.COPIED]
            kept = target.client.head_object(Bucket=images, Key=copied)["Metadata"]
            assert kept[ORIGINAL_NAME] == metadata[ORIGINAL_NAME]
            assert "image-sides" not in kept


@integration
def test_a_bucket_of_the_same_name_elsewhere_is_not_taken_for_the_source(
    local_aws: LocalAws, other_aws: LocalAws
) -> None:
    source, target = session_of(other_aws), session_of(local_aws)
    bucket = new_bucket(source, a=b"right")
    target.client.create_bucket(Bucket=bucket)
    target.client.put_object(Bucket=bucket, Key="a", Body=b"wrong")
    copied = S3Uri(new_bucket(target), "a")
    assert states(copy_images(source, target, [(S3Uri(bucket, "a"), copied)])) == [CopyState.COPIED]
    assert body(target, copied) == b"right"


@integration
def test_a_multipart_source_is_compared_by_its_bytes(local_aws: LocalAws, other_aws: LocalAws) -> None:
    source, target = session_of(other_aws), session_of(local_aws)
    bucket, images = new_bucket(source), new_bucket(target)
    data = os.urandom(6 * 1024 * 1024)
    upload = source.client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    place: dict[str, Any] = {"Bucket": bucket, "Key": "big", "UploadId": upload}
    cuts = [data[: 5 * 1024 * 1024], data[5 * 1024 * 1024 :]]
    parts: list[Any] = [
        {"PartNumber": n, "ETag": source.client.upload_part(**place, PartNumber=n, Body=part)["ETag"]}
        for n, part in enumerate(cuts, 1)
    ]
    source.client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    plan = [(S3Uri(bucket, "big"), S3Uri(images, "big"))]
    assert "-" in source.client.head_object(Bucket=bucket, Key="big")["ETag"]
    assert states(copy_images(source, target, plan)) == [CopyState.COPIED]
    assert states(copy_images(source, target, plan)) == [CopyState.PRESENT]
    # The same bytes that somebody else put there are the same image; other bytes of that size are not.
    target.client.put_object(Bucket=images, Key="big", Body=data)
    assert states(copy_images(source, target, plan)) == [CopyState.PRESENT]
    target.client.put_object(Bucket=images, Key="big", Body=data[::-1])
    assert states(copy_images(source, target, plan)) == [CopyState.CONFLICT]


@integration
def test_denied_on_one_side(local_aws: LocalAws) -> None:
    session = session_of(local_aws)
    guest = session_of(local_aws, aws_access_key_id="guest", aws_secret_access_key="guestsecret")
    bucket, images = new_bucket(session, a=b"one"), new_bucket(session)
    plan = [(S3Uri(bucket, "a"), S3Uri(images, "a"))]
    (refused,) = copy_images(session, guest, plan)
    assert (refused.state, refused.code) == (CopyState.DENIED, "ACCESS_DENIED")
    assert states(copy_images(guest, guest, plan)) == [CopyState.DENIED]
    # The target's credentials suffice where they may read the source.
    assert states(copy_images(guest, session, plan)) == [CopyState.COPIED]


@integration
def test_what_is_no_image_of_rekognition_is_not_copied(local_aws: LocalAws) -> None:
    session = session_of(local_aws)
    bucket = new_bucket(session, big=bytes(MAX_IMAGE_FILE_BYTES.value + 1), empty=b"")
    plan = [(S3Uri(bucket, key), S3Uri(bucket, f"copy-of-{key}")) for key in ("big", "empty")]
    assert states(copy_images(session, session, plan)) == [CopyState.TOO_LARGE, CopyState.COPIED]


@integration
def test_a_missing_target_bucket_ends_the_whole_copy(local_aws: LocalAws) -> None:
    session = session_of(local_aws)
    plan = [(S3Uri(new_bucket(session, a=b"one"), "a"), S3Uri("example-nowhere", "a"))]
    with pytest.raises(AccessError) as caught:
        list(copy_images(session, session, plan))
    assert caught.value.code == "BUCKET_NOT_FOUND"


def test_an_s3_that_is_away_ends_the_whole_copy() -> None:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="localsecret",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    session = S3Session(client)
    with pytest.raises(AccessError) as caught:
        list(copy_images(session, session, [(S3Uri("example", "a"), S3Uri("example", "b"))]))
    assert caught.value.code == "S3_UNREACHABLE"


def copy_scripted(*answers: tuple[str, Any]) -> CopyOutcome:
    """Copy `a` to `b` with a client that gives scripted answers: the source's head, the target's, then others."""
    session = S3Session(
        boto3.client("s3", region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="localsecret")
    )
    with Stubber(session.client) as stub:
        for operation, answer in answers:
            if isinstance(answer, ClientError):
                error = answer.response["Error"]
                status = answer.response["ResponseMetadata"]["HTTPStatusCode"]
                stub.add_client_error(operation, error["Code"], error["Message"], status)
            else:
                stub.add_response(operation, answer)
        (outcome,) = copy_images(session, session, [(S3Uri("example-a", "a"), S3Uri("example-b", "b"))], concurrency=1)
        stub.assert_no_pending_responses()
    return outcome


def head(etag: str, **more: Any) -> dict[str, Any]:
    moment = datetime(2026, 11, 22, 20, tzinfo=UTC)
    return {"ContentLength": 3, "ETag": f'"{etag}"', "LastModified": moment, "Metadata": {}, **more}


def refusal(code: str, status: int) -> ClientError:
    about: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(about, "x")


KMS = {"ServerSideEncryption": "aws:kms"}
SAME = {"ChecksumCRC64NVME": "x", "ChecksumType": "FULL_OBJECT"}
OTHER = {"ChecksumCRC64NVME": "y", "ChecksumType": "FULL_OBJECT"}


@pytest.mark.parametrize(
    ("source", "target", "state"),
    [
        (head("0" * 32), head("0" * 32), CopyState.PRESENT),
        (head("0" * 32), head("1" * 32), CopyState.CONFLICT),
        (head("0" * 32), head("0" * 32, ContentLength=4), CopyState.CONFLICT),
        # Under KMS an ETag is no digest: the same content has two of them, and a checksum tells.
        (head("0" * 32, **KMS, **SAME), head("1" * 32, **KMS, **SAME), CopyState.PRESENT),
        (head("0" * 32, **KMS, **SAME), head("1" * 32, **KMS, **OTHER), CopyState.CONFLICT),
        (head("0" * 32, **KMS), head("1" * 32, **KMS, Metadata={SOURCE_ETAG: "0" * 32}), CopyState.PRESENT),
    ],
)
def test_what_tells_that_content_is_the_same(source: dict[str, Any], target: dict[str, Any], state: CopyState) -> None:
    outcome = copy_scripted(("head_object", source), ("head_object", target))
    assert outcome.state is state


def test_an_archived_source() -> None:
    outcome = copy_scripted(
        ("head_object", head("0" * 32)),
        ("head_object", refusal("404", 404)),
        ("copy_object", refusal("InvalidObjectState", 403)),
        ("get_object", refusal("InvalidObjectState", 403)),
    )
    assert (outcome.state, outcome.code) == (CopyState.FAILED, "OBJECT_ARCHIVED")


def test_a_source_that_changes_meanwhile() -> None:
    outcome = copy_scripted(
        ("head_object", head("0" * 32)),
        ("head_object", refusal("404", 404)),
        ("copy_object", refusal("PreconditionFailed", 412)),
        # The target is looked at: nothing is there, so it is the source that is another one.
        ("head_object", refusal("404", 404)),
        ("get_object", refusal("PreconditionFailed", 412)),
    )
    assert (outcome.state, outcome.code) == (CopyState.FAILED, "OBJECT_CHANGED")


def test_a_copy_that_is_not_its_source() -> None:
    outcome = copy_scripted(
        ("head_object", head("0" * 32)),
        ("head_object", refusal("404", 404)),
        ("copy_object", {}),
        ("head_object", head("1" * 32)),
    )
    assert (outcome.state, outcome.code) == (CopyState.FAILED, "OBJECT_CHANGED")


SCRIPT = """
import sys
from include.custom_labels.locations import S3Uri
from include.object_store.copies import copy_images
from include.object_store.session import S3Session
import boto3
here, there, source, target, count = sys.argv[1:]
client = lambda url: S3Session(boto3.client("s3", endpoint_url=url, region_name="us-east-1",
    aws_access_key_id="local", aws_secret_access_key="localsecret"))
plan = ((S3Uri(source, f"k{n}"), S3Uri(target, f"k{n}")) for n in range(int(count)))
for outcome in copy_images(client(here), client(there), plan, concurrency=2):
    print(outcome.state, flush=True)
"""


@integration
def test_a_killed_copy_continues(local_aws: LocalAws, other_aws: LocalAws, tmp_path: Path) -> None:
    source, target = session_of(other_aws), session_of(local_aws)
    count = 60
    bucket = new_bucket(source, **{f"k{n}": os.urandom(2000) for n in range(count)})
    images = new_bucket(target)
    script = tmp_path / "copy_all.py"
    script.write_text(SCRIPT)
    arguments = [other_aws.s3_endpoint, local_aws.s3_endpoint, bucket, images, str(count)]
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(10)]
        process.send_signal(signal.SIGKILL)
    assert seen == ["copied\n"] * 10
    before = {each["Key"]: each["LastModified"] for each in target.client.list_objects_v2(Bucket=images)["Contents"]}
    assert 10 <= len(before) < count
    plan = [(S3Uri(bucket, f"k{n}"), S3Uri(images, f"k{n}")) for n in range(count)]
    outcomes = list(copy_images(source, target, plan))
    assert states(outcomes).count(CopyState.PRESENT) == len(before)
    assert states(outcomes).count(CopyState.COPIED) == count - len(before)
    after = {each["Key"]: each["LastModified"] for each in target.client.list_objects_v2(Bucket=images)["Contents"]}
    assert {key: after[key] for key in before} == before
