"""The access check: what a run needs, tried with the smallest harmless calls, before anything is read or written.

One table of everything, each failure with the policy statement to paste, because a person who can only ask someone
else for rights wants to ask once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.failures import access_error, error_of_boto3
from include.object_store.session import S3Session
from include.object_store.version_listing import versioning_of
from include.pipelines import policies
from include.pipelines.policies import Statement
from include.pipelines.requests import AccessNeeds, PastNeeds
from include.rekognition.errors import RekognitionAccessDeniedError, RekognitionDatasetError
from include.rekognition.hook import RekognitionHook

_SAMPLE_SIZE = 20


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRow:
    """One line of the table.

    :ivar statements: policy statements, one of which would mend a failure
    """

    check: str
    subject: str
    outcome: Outcome
    detail: str
    code: str = ""
    next_step: str = ""
    statements: tuple[Statement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def raise_on_failure(rows: list[AccessRow]) -> None:
    """:raises AccessError: the first failure, with the others named"""
    failures = [row for row in rows if row.outcome is Outcome.FAIL]
    if failures:
        first = failures[0]
        others = f" ({len(failures) - 1} more: see the table)" if len(failures) > 1 else ""
        raise AccessError(
            first.code,
            f"{first.check}: {first.detail}{others}",
            first.next_step,
            failed=[row.check for row in failures],
        )


class AccessCheck:
    """The checks of one import.

    :param needs: what the source reads and writes
    :param workspace: where manifests and ledgers are written
    :param project: the project whose dataset is concerned
    """

    def __init__(
        self,
        s3: S3Session,
        rekognition: RekognitionHook,
        *,
        needs: AccessNeeds,
        workspace: S3FolderLocation,
        project: str,
    ) -> None:
        self._s3 = s3
        self._client = s3.client
        self._rekognition = rekognition
        self._region: str = rekognition.conn.meta.region_name
        self._partition: str = rekognition.conn.meta.partition
        self._needs = needs
        self._workspace = workspace
        self._project = project

    def rows(self) -> Iterator[AccessRow]:
        """Each check as it is made; what rests on a failed one is left out."""
        reached = yield from self._bucket("workspace", self._workspace.bucket)
        if reached:
            yield self._write("write workspace", self._workspace)
        if folder := self._needs.folder:
            yield from self._images(folder, reached)
        for uri in self._needs.objects:
            yield self._read(f"read {uri.key.rpartition('/')[2]}", uri, prefix=uri.key)
        for destination in self._needs.destinations:
            if (yield from self._bucket("destination", destination.bucket)):
                if reached:
                    yield self._owners(destination.bucket)
                yield self._write("write destination", destination)
        yield self._projects()

    def _images(self, folder: S3FolderLocation, workspace_reached: bool) -> Iterator[AccessRow]:
        if (yield from self._bucket("images", folder.bucket)):
            if workspace_reached:
                yield self._owners(folder.bucket)
            if self._needs.past is None:
                yield from self._folder(folder)
                yield self._versioning(folder.bucket)
            else:
                yield from self._past_folder(folder, self._needs.past)

    def _past_folder(self, folder: S3FolderLocation, past: PastNeeds) -> Iterator[AccessRow]:
        """A folder that is to be rebuilt as it was at a time."""
        subject = f"s3://{folder.bucket}"
        try:
            versioning = versioning_of(self._s3, folder.bucket)
        except AccessError as error:
            yield self._failure("versioning", subject, error, self._on_versions(folder.bucket))
            return
        if versioning == "Enabled":
            detail = "enabled: the folder is rebuilt as it was, from the versions that are left"
            yield AccessRow(check="versioning", subject=subject, outcome=Outcome.PASS, detail=detail)
            yield from self._versions(folder)
            yield from self._history(past)
            return
        choice = "what is left is imported" if past.accepts_unversioned else "the run fails and says what it misses"
        detail = (
            f"{versioning.lower()}: what the folder held then and was overwritten or deleted since is lost; {choice}"
        )
        yield AccessRow(check="versioning", subject=subject, outcome=Outcome.NOTE, detail=detail)
        yield from self._folder(folder)

    def _versions(self, folder: S3FolderLocation) -> Iterator[AccessRow]:
        place, bucket, prefix = str(folder), folder.bucket, folder.prefix
        try:
            listed = self._client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=_SAMPLE_SIZE)
        except (BotoCoreError, ClientError) as error:
            yield self._failure("versions", place, error_of_boto3(error, place), self._on_versions(bucket))
            return
        versions = listed.get("Versions", [])
        if not versions and not listed.get("DeleteMarkers"):
            yield self._empty_folder(folder)
            return
        yield AccessRow(check="versions", subject=place, outcome=Outcome.PASS, detail="holds versions of objects")
        sample = next((entry for entry in versions if entry["Size"]), None)
        if sample is not None:
            uri = S3Uri(bucket, sample["Key"])
            yield self._read("read images", uri, prefix=prefix, VersionId=sample["VersionId"])

    def _history(self, past: PastNeeds) -> Iterator[AccessRow]:
        if past.history is None:
            detail = "none in the images' bucket: the run fails where an old version has to be copied"
            subject = str(self._workspace)
            yield AccessRow(check="history folder", subject=subject, outcome=Outcome.NOTE, detail=detail)
        elif past.history != self._workspace:
            yield self._write("history folder", past.history)

    def _on_versions(self, bucket: str) -> Statement:
        return policies.on_bucket(policies.READ_VERSIONS, bucket, self._partition)

    def _bucket(self, role: str, bucket: str) -> Generator[AccessRow, None, bool]:
        allow_list = policies.on_bucket(policies.READ_BUCKET, bucket, self._partition)
        try:
            answer = self._client.head_bucket(Bucket=bucket)
            # Without the field, a bucket tells its Region by GetBucketLocation, where none means us-east-1.
            region = answer.get("BucketRegion") or self._bucket_location(bucket)
        except (BotoCoreError, ClientError) as error:
            failure = error_of_boto3(error, f"s3://{bucket}")
            if failure.code == "OBJECT_NOT_FOUND":
                # An answer to HEAD has no body, so that its 404 does not say of what.
                failure = access_error("NoSuchBucket", f"s3://{bucket}", status=404)
            yield self._failure(f"{role} bucket", f"s3://{bucket}", failure, allow_list)
            return False
        yield AccessRow(check=f"{role} bucket", subject=f"s3://{bucket}", outcome=Outcome.PASS, detail="reachable")
        same = region == self._region
        yield AccessRow(
            check=f"{role} Region",
            subject=f"s3://{bucket}",
            outcome=Outcome.PASS if same else Outcome.FAIL,
            detail=region if same else f"the bucket is in {region} and Rekognition is called in {self._region}",
            code="" if same else "WRONG_REGION",
            next_step=""
            if same
            else "Set the AWS connection's region_name to the bucket's Region, or copy the folder into this one.",
        )
        return same

    def _bucket_location(self, bucket: str) -> str:
        location = self._client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
        return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(location, str(location))

    def _owners(self, images_bucket: str) -> AccessRow:
        subject = f"s3://{images_bucket}"
        owners = []
        for bucket in (images_bucket, self._workspace.bucket):
            try:
                owners.append(self._client.get_bucket_acl(Bucket=bucket)["Owner"].get("ID"))
            except (BotoCoreError, ClientError) as error:
                statement = policies.on_bucket(policies.READ_BUCKET, bucket, self._partition)
                return self._failure("same owner", f"s3://{bucket}", error_of_boto3(error, f"s3://{bucket}"), statement)
        if owners[0] == owners[1]:
            return AccessRow(check="same owner", subject=subject, outcome=Outcome.PASS, detail="as the workspace")
        return AccessRow(
            check="same owner",
            subject=subject,
            outcome=Outcome.FAIL,
            detail="the images belong to another account than the workspace, where the manifest is written",
            code="ERROR_INVALID_IMAGES_S3_BUCKET_OWNER",
            next_step="Copy the images into a bucket of the workspace's account.",
        )

    def _folder(self, folder: S3FolderLocation) -> Iterator[AccessRow]:
        check, place, bucket, prefix = "folder", str(folder), folder.bucket, folder.prefix
        try:
            listed = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_SAMPLE_SIZE).get("Contents")
        except (BotoCoreError, ClientError) as error:
            statement = policies.on_bucket(policies.READ_BUCKET, bucket, self._partition)
            yield self._failure(check, place, error_of_boto3(error, place), statement)
            return
        if not listed:
            yield self._empty_folder(folder)
            return
        yield AccessRow(check=check, subject=place, outcome=Outcome.PASS, detail="holds objects")
        sample = next((entry["Key"] for entry in listed if entry["Size"]), None)
        if sample is not None:
            yield self._read("read images", S3Uri(bucket, sample), prefix=prefix)

    def _empty_folder(self, folder: S3FolderLocation) -> AccessRow:
        bucket, prefix, place = folder.bucket, folder.prefix, str(folder)
        if prefix and self._answers(lambda: self._client.head_object(Bucket=bucket, Key=prefix.removesuffix("/"))):
            return AccessRow(
                check="folder",
                subject=place,
                outcome=Outcome.FAIL,
                detail=f"{place.removesuffix('/')} is an object, not a folder",
                code="LOCATION_IS_OBJECT",
                next_step="Give the folder that the object lies in.",
            )
        return AccessRow(
            check="folder",
            subject=place,
            outcome=Outcome.FAIL,
            detail=f"there is nothing below {place}",
            code="FOLDER_EMPTY",
            next_step="Check the spelling, which is case-sensitive, or upload the images first.",
        )

    def _answers(self, call: Callable[[], object]) -> bool:
        """Whether a call that only tells two failures apart succeeds."""
        try:
            call()
        except ClientError:
            return False
        return True

    def _read(self, check: str, uri: S3Uri, *, prefix: str, **version: str) -> AccessRow:
        try:
            answer: Any = self._client.get_object(Bucket=uri.bucket, Key=uri.key, Range="bytes=0-0", **version)  # type: ignore[arg-type]
            body = answer["Body"]
            body.close()
        except (BotoCoreError, ClientError) as error:
            # An object without bytes has no first one; whoever may not read it gets another answer.
            if error_of_boto3(error, uri).details.get("status") != 416:
                return self._object_failure(check, uri, error, policies.READ_OBJECTS, policies.READ_KEY, prefix)
        return AccessRow(
            check=check,
            subject=str(uri),
            outcome=Outcome.PASS,
            detail=f"readable, {self._encryption(uri.bucket)}",
        )

    def _write(self, check: str, location: S3FolderLocation) -> AccessRow:
        """Open an upload and abandon it: that takes every right a write takes, and leaves no object."""
        uri = location.uri("access-check")
        try:
            upload = self._client.create_multipart_upload(Bucket=uri.bucket, Key=uri.key)["UploadId"]
            self._client.abort_multipart_upload(Bucket=uri.bucket, Key=uri.key, UploadId=upload)
        except (BotoCoreError, ClientError) as error:
            return self._object_failure(check, uri, error, policies.WRITE_OBJECTS, policies.WRITE_KEY, location.prefix)
        return AccessRow(
            check=check,
            subject=str(location),
            outcome=Outcome.PASS,
            detail=f"writable, {self._encryption(uri.bucket)}",
        )

    def _object_failure(
        self,
        check: str,
        uri: S3Uri,
        error: BotoCoreError | ClientError,
        actions: tuple[str, ...],
        key_actions: tuple[str, ...],
        prefix: str,
    ) -> AccessRow:
        if "kms" in str(error).lower():
            return AccessRow(
                check=check,
                subject=str(uri),
                outcome=Outcome.FAIL,
                detail=f"the encryption key of {uri} cannot be used",
                code="KEY_UNUSABLE",
                next_step="Allow the connection's role to use the key; the key's own policy has to admit IAM.",
                statements=(policies.on_key(key_actions, self._key_arn(uri.bucket)),),
            )
        statement = policies.on_objects(actions, uri.bucket, prefix, self._partition)
        return self._failure(check, str(uri), error_of_boto3(error, uri), statement)

    def _key_arn(self, bucket: str) -> str:
        # Where the bucket's setting does not name the key, a person has to.
        unnamed = f"arn:{self._partition}:kms:{self._region}:<account>:key/<the bucket's key>"
        return str(self._encryption_rule(bucket).get("KMSMasterKeyID", unnamed))

    def _encryption(self, bucket: str) -> str:
        algorithm = self._encryption_rule(bucket).get("SSEAlgorithm")
        return f"encrypted with {algorithm}" if algorithm else "bucket encryption not known"

    def _encryption_rule(self, bucket: str) -> dict[str, Any]:
        """The bucket's default encryption; empty where it is not set or the caller may not know."""
        try:
            answer = self._client.get_bucket_encryption(Bucket=bucket)
        except ClientError:
            return {}
        rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
        return dict(rule.get("ApplyServerSideEncryptionByDefault", {}))

    def _versioning(self, bucket: str) -> AccessRow:
        subject = f"s3://{bucket}"
        try:
            versioning = versioning_of(self._s3, bucket)
        except AccessError as error:
            return AccessRow(
                check="versioning",
                subject=subject,
                outcome=Outcome.NOTE,
                detail=f"not known: {error.code}",
                statements=(policies.on_bucket(policies.READ_VERSIONING, bucket, self._partition),),
            )
        history = (
            "" if versioning == "Enabled" else "; overwritten and deleted images cannot be told for a time in the past"
        )
        detail = f"{versioning.lower()}{history}"
        return AccessRow(check="versioning", subject=subject, outcome=Outcome.NOTE, detail=detail)

    def _projects(self) -> AccessRow:
        subject = f"project {self._project} in {self._region}"
        try:
            project = self._rekognition.find_project(self._project)
        except RekognitionDatasetError as error:
            denied = isinstance(error, RekognitionAccessDeniedError)
            return AccessRow(
                check="Rekognition",
                subject=subject,
                outcome=Outcome.FAIL,
                detail=error.detail,
                code=error.code,
                next_step="Allow the connection's role these actions." if denied else error.next_step,
                statements=(policies.on_projects(),) if denied else (),
            )
        datasets = ", ".join(dataset["DatasetType"].lower() for dataset in (project or {}).get("Datasets", ()))
        detail = f"exists, datasets: {datasets or 'none'}" if project else "does not exist yet"
        return AccessRow(check="Rekognition", subject=subject, outcome=Outcome.PASS, detail=detail)

    def _failure(self, check: str, subject: str, error: AccessError, statement: Statement) -> AccessRow:
        denied = error.code == "ACCESS_DENIED"
        statements = (
            (statement, policies.for_principal(statement, caller_principal(self._rekognition, self._partition)))
            if denied
            else ()
        )
        return AccessRow(
            check=check,
            subject=subject,
            outcome=Outcome.FAIL,
            detail=error.message,
            code=error.code,
            next_step=(
                "Add the first statement to the role's policy, and where the bucket is another account's, "
                "have its owner add the second to the bucket policy."
                if denied
                else error.next_step
            ),
            statements=statements,
        )


def caller_principal(rekognition: RekognitionHook, partition: str) -> str:
    """Who asks, for a bucket policy; the one call of the check that needs no right at all."""
    try:
        client: Any = AwsBaseHook(aws_conn_id=rekognition.aws_conn_id, client_type="sts").conn
        identity = client.get_caller_identity()
    except (BotoCoreError, ClientError):
        return f"arn:{partition}:iam::<account>:role/<the connection's role>"
    return role_of(identity["Arn"])


def role_of(arn: str) -> str:
    """A role's own ARN, where the caller is a session of it: a policy names roles and not their sessions."""
    partition, _, rest = arn.partition(":sts::")
    account, _, session = rest.partition(":assumed-role/")
    return f"{partition}:iam::{account}:role/{session.split('/')[0]}" if session else arn
