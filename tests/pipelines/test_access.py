"""The access check: every way in which a bucket can be out of reach, and the statement that mends it."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from unittest.mock import create_autospec

import boto3
import pytest
from botocore.stub import Stubber

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.object_store.session import S3Session
from include.pipelines import access
from include.pipelines.access import AccessCheck, AccessRow, Outcome, raise_on_failure
from include.pipelines.requests import AccessNeeds, PastNeeds
from include.pipelines.summaries import render_access
from include.rekognition.errors import answer_error
from include.rekognition.hook import RekognitionHook

IMAGES, WORKSPACE = "example-images", "example-workspace"
PRINCIPAL = "arn:aws:iam::111122223333:role/example-role"

Script = Callable[[Stubber], None]


def head(stub: Stubber, bucket: str, region: str = "us-east-1") -> None:
    stub.add_response("head_bucket", {"BucketRegion": region}, {"Bucket": bucket})


def no_encryption(stub: Stubber, bucket: str) -> None:
    stub.add_client_error("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError", "", 404)


def workspace_passes(stub: Stubber) -> None:
    head(stub, WORKSPACE)
    stub.add_response("create_multipart_upload", {"UploadId": "u"}, {"Bucket": WORKSPACE, "Key": "w/access-check"})
    stub.add_response("abort_multipart_upload", {}, {"Bucket": WORKSPACE, "Key": "w/access-check", "UploadId": "u"})
    no_encryption(stub, WORKSPACE)


def owners(stub: Stubber, images: str = "me", workspace: str = "me") -> None:
    stub.add_response("get_bucket_acl", {"Owner": {"ID": images}}, {"Bucket": IMAGES})
    stub.add_response("get_bucket_acl", {"Owner": {"ID": workspace}}, {"Bucket": WORKSPACE})


def listed(stub: Stubber, *keys: str) -> None:
    contents = [{"Key": key, "Size": 0 if key.endswith("/") else 1} for key in keys]
    asked = {"Bucket": IMAGES, "Prefix": "x/", "MaxKeys": 20}
    stub.add_response("list_objects_v2", {"Contents": contents} if keys else {}, asked)


def readable(stub: Stubber, key: str = "x/a.png") -> None:
    stub.add_response("get_object", {"Body": io.BytesIO(b"x")}, {"Bucket": IMAGES, "Key": key, "Range": "bytes=0-0"})
    no_encryption(stub, IMAGES)


def versioned(stub: Stubber, status: str | None = "Enabled") -> None:
    stub.add_response("get_bucket_versioning", {"Status": status} if status else {}, {"Bucket": IMAGES})


def all_passes(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    listed(stub, "x/", "x/a.png")
    readable(stub)
    versioned(stub)


FOLDER, WORKSPACE_FOLDER = S3FolderLocation(IMAGES, "x/"), S3FolderLocation(WORKSPACE, "w/")
NEEDS = AccessNeeds(folder=FOLDER)


def check(
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    needs: AccessNeeds = NEEDS,
    *,
    rekognition: Exception | None = None,
) -> dict[str, AccessRow]:
    monkeypatch.setattr(access, "caller_principal", lambda *_: PRINCIPAL)
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    hook = create_autospec(RekognitionHook, instance=True)
    hook.conn = SimpleNamespace(meta=SimpleNamespace(region_name="us-east-1", partition="aws"))
    hook.find_project.side_effect = rekognition
    hook.find_project.return_value = None
    with Stubber(client) as stub:
        script(stub)
        rows = list(
            AccessCheck(
                S3Session(client),
                hook,
                needs=needs,
                workspace=WORKSPACE_FOLDER,
                project="example-project",
            ).rows()
        )
        stub.assert_no_pending_responses()
    return {row.check: row for row in rows}


def test_everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = check(all_passes, monkeypatch)
    assert [row.outcome for row in rows.values()].count(Outcome.FAIL) == 0
    assert list(rows) == [
        "workspace bucket",
        "workspace Region",
        "write workspace",
        "images bucket",
        "images Region",
        "same owner",
        "folder",
        "read images",
        "versioning",
        "Rekognition",
    ]
    raise_on_failure(list(rows.values()))
    table = render_access(rows.values())
    assert all(name in table for name in rows)


def images_denied(stub: Stubber) -> None:
    workspace_passes(stub)
    stub.add_client_error("head_bucket", "403", "Forbidden", 403)


def images_missing(stub: Stubber) -> None:
    workspace_passes(stub)
    stub.add_client_error("head_bucket", "404", "Not Found", 404)


def images_elsewhere(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES, "eu-west-2")


def other_owner(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub, images="another account")
    listed(stub, "x/a.png")
    readable(stub)
    versioned(stub)


def folder_empty(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    listed(stub)
    stub.add_client_error("head_object", "404", "Not Found", 404)
    versioned(stub)


def location_is_object(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    listed(stub)
    stub.add_response("head_object", {}, {"Bucket": IMAGES, "Key": "x"})
    versioned(stub)


def read_denied(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    listed(stub, "x/a.png")
    stub.add_client_error("get_object", "AccessDenied", "Access Denied", 403)
    versioned(stub)


KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/example"


def key_denied(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    listed(stub, "x/a.png")
    stub.add_client_error("get_object", "AccessDenied", "not authorized to perform: kms:Decrypt", 403)
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]}
    stub.add_response("get_bucket_encryption", {"ServerSideEncryptionConfiguration": rules}, {"Bucket": IMAGES})
    versioned(stub)


def workspace_read_only(stub: Stubber) -> None:
    head(stub, WORKSPACE)
    stub.add_client_error("create_multipart_upload", "AccessDenied", "Access Denied", 403)
    head(stub, IMAGES)
    owners(stub)
    listed(stub, "x/a.png")
    readable(stub)
    versioned(stub)


@pytest.mark.parametrize(
    ("script", "failed", "code", "action", "resource"),
    [
        (images_missing, "images bucket", "BUCKET_NOT_FOUND", None, None),
        (images_denied, "images bucket", "ACCESS_DENIED", "s3:ListBucket", f"arn:aws:s3:::{IMAGES}"),
        (images_elsewhere, "images Region", "WRONG_REGION", None, None),
        (other_owner, "same owner", "ERROR_INVALID_IMAGES_S3_BUCKET_OWNER", None, None),
        (folder_empty, "folder", "FOLDER_EMPTY", None, None),
        (location_is_object, "folder", "LOCATION_IS_OBJECT", None, None),
        (read_denied, "read images", "ACCESS_DENIED", "s3:GetObject", f"arn:aws:s3:::{IMAGES}/x/*"),
        (key_denied, "read images", "KEY_UNUSABLE", "kms:Decrypt", KEY_ARN),
        (workspace_read_only, "write workspace", "ACCESS_DENIED", "s3:PutObject", f"arn:aws:s3:::{WORKSPACE}/w/*"),
    ],
)
def test_a_failure_comes_with_its_code_and_statement(
    script: Script,
    failed: str,
    code: str,
    action: str | None,
    resource: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = check(script, monkeypatch)
    failures = [row for row in rows.values() if row.outcome is Outcome.FAIL]
    assert [(row.check, row.code) for row in failures] == [(failed, code)]
    row = failures[0]
    assert row.next_step
    if action is None:
        assert row.statements == ()
    else:
        assert row.statements[0]["Effect"] == "Allow"
        assert action in row.statements[0]["Action"]
        assert row.statements[0]["Resource"] == resource
    if code == "ACCESS_DENIED":
        assert row.statements[1] == row.statements[0] | {
            "Sid": "CustomLabelsDatasets",
            "Principal": {"AWS": PRINCIPAL},
        }
    with pytest.raises(AccessError) as caught:
        raise_on_failure(list(rows.values()))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("aws_code", "code", "has_statements"),
    [
        ("ExpiredTokenException", "CREDENTIALS_EXPIRED", False),
        ("AccessDeniedException", "REKOGNITION_ACCESS_DENIED", True),
        ("ThrottlingException", "REKOGNITION_THROTTLED", False),
    ],
)
def test_what_rekognition_answers_is_said_by_its_own_code(
    aws_code: str, code: str, has_statements: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = answer_error({"Error": {"Code": aws_code}}, operation="DescribeProjects", resource="example-project")
    row = check(all_passes, monkeypatch, rekognition=refusal)["Rekognition"]
    assert (row.outcome, row.code, bool(row.statements)) == (Outcome.FAIL, code, has_statements)
    assert row.next_step
    assert "Next step" not in row.detail


def past(history: S3FolderLocation | None = None, *, accepts_unversioned: bool = False) -> AccessNeeds:
    return AccessNeeds(folder=FOLDER, past=PastNeeds(history=history, accepts_unversioned=accepts_unversioned))


def reached(stub: Stubber, status: str | None = "Enabled") -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    versioned(stub, status)


def versions_listed(stub: Stubber, *sizes: int, markers: int = 0) -> None:
    found = {
        "Versions": [{"Key": "x/a.png", "VersionId": f"v{size}", "Size": size} for size in sizes],
        "DeleteMarkers": [{"Key": "x/b.png", "VersionId": "m"}] * markers,
    }
    asked = {"Bucket": IMAGES, "Prefix": "x/", "MaxKeys": 20}
    stub.add_response("list_object_versions", {name: some for name, some in found.items() if some}, asked)


def version_read(stub: Stubber) -> None:
    asked = {"Bucket": IMAGES, "Key": "x/a.png", "Range": "bytes=0-0", "VersionId": "v7"}
    stub.add_response("get_object", {"Body": io.BytesIO(b"x")}, asked)
    no_encryption(stub, IMAGES)


def past_passes(stub: Stubber) -> None:
    reached(stub)
    versions_listed(stub, 0, 7, markers=1)
    version_read(stub)


def past_with_history(stub: Stubber) -> None:
    past_passes(stub)
    stub.add_response("create_multipart_upload", {"UploadId": "u"}, {"Bucket": IMAGES, "Key": "h/access-check"})
    stub.add_response("abort_multipart_upload", {}, {"Bucket": IMAGES, "Key": "h/access-check", "UploadId": "u"})
    no_encryption(stub, IMAGES)


def past_without_versions(stub: Stubber) -> None:
    reached(stub, None)
    listed(stub, "x/a.png")
    readable(stub)


def only_markers(stub: Stubber) -> None:
    reached(stub)
    versions_listed(stub, markers=1)


@pytest.mark.parametrize(
    ("script", "needs", "outcomes", "said"),
    [
        (past_passes, past(WORKSPACE_FOLDER), {"versioning": "pass", "versions": "pass", "read images": "pass"}, ""),
        (past_passes, past(), {"versions": "pass", "history folder": "note"}, "has to be copied"),
        (past_with_history, past(S3FolderLocation(IMAGES, "h/")), {"history folder": "pass"}, "writable"),
        (only_markers, past(WORKSPACE_FOLDER), {"versions": "pass"}, "holds versions"),
        (past_without_versions, past(), {"versioning": "note", "folder": "pass"}, "the run fails"),
        (past_without_versions, past(accepts_unversioned=True), {"versioning": "note"}, "what is left is imported"),
    ],
)
def test_a_run_as_of_the_past_looks_at_versions(
    script: Script, needs: AccessNeeds, outcomes: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = check(script, monkeypatch, needs)
    assert {name: str(rows[name].outcome) for name in outcomes} == outcomes
    assert any(said in row.detail for row in rows.values())
    raise_on_failure(list(rows.values()))


def versioning_denied(stub: Stubber) -> None:
    workspace_passes(stub)
    head(stub, IMAGES)
    owners(stub)
    stub.add_client_error("get_bucket_versioning", "AccessDenied", "", 403)


def versions_denied(stub: Stubber) -> None:
    reached(stub)
    stub.add_client_error("list_object_versions", "AccessDenied", "", 403)


def version_denied(stub: Stubber) -> None:
    reached(stub)
    versions_listed(stub, 7)
    stub.add_client_error("get_object", "AccessDenied", "Access Denied", 403)


def history_denied(stub: Stubber) -> None:
    past_passes(stub)
    stub.add_client_error("create_multipart_upload", "AccessDenied", "Access Denied", 403)


def never_anything(stub: Stubber) -> None:
    reached(stub)
    versions_listed(stub)
    stub.add_client_error("head_object", "404", "Not Found", 404)


@pytest.mark.parametrize(
    ("script", "failed", "code", "action", "resource"),
    [
        (versioning_denied, "versioning", "ACCESS_DENIED", "s3:GetBucketVersioning", f"arn:aws:s3:::{IMAGES}"),
        (versions_denied, "versions", "ACCESS_DENIED", "s3:ListBucketVersions", f"arn:aws:s3:::{IMAGES}"),
        (version_denied, "read images", "ACCESS_DENIED", "s3:GetObjectVersion", f"arn:aws:s3:::{IMAGES}/x/*"),
        (history_denied, "history folder", "ACCESS_DENIED", "s3:PutObject", f"arn:aws:s3:::{IMAGES}/h/*"),
        (never_anything, "folder", "FOLDER_EMPTY", None, None),
    ],
)
def test_a_past_run_fails_before_it_reads(
    script: Script,
    failed: str,
    code: str,
    action: str | None,
    resource: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = check(script, monkeypatch, past(S3FolderLocation(IMAGES, "h/") if failed == "history folder" else None))
    (row,) = [row for row in rows.values() if row.outcome is Outcome.FAIL]
    assert (row.check, row.code) == (failed, code)
    if action is not None:
        assert action in row.statements[0]["Action"]
        assert row.statements[0]["Resource"] == resource


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        ("arn:aws:sts::111122223333:assumed-role/example-role/session", PRINCIPAL),
        ("arn:aws:iam::111122223333:user/example-user", "arn:aws:iam::111122223333:user/example-user"),
    ],
)
def test_a_policy_names_the_role_and_not_its_session(arn: str, principal: str) -> None:
    assert access.role_of(arn) == principal
