from __future__ import annotations

import re
import time
from typing import Any

import pytest

from include.local_aws.configuration import GUEST
from tests.local_aws.conftest import DEADLINE_S, Service, Start, created, gone


def projects(rekognition: Any, **filters: Any) -> list[dict[str, Any]]:
    pages = rekognition.get_paginator("describe_projects").paginate(**filters)
    return [project for page in pages for project in page["ProjectDescriptions"]]


def names(rekognition: Any, **filters: Any) -> list[str]:
    return [project["ProjectArn"].split("/")[1] for project in projects(rekognition, **filters)]


def test_the_arn_ends_in_the_millisecond_of_creation(rekognition: Any) -> None:
    before_ms = time.time_ns() // 1_000_000
    arn = rekognition.create_project(ProjectName="example_1.a-b")["ProjectArn"]
    matched = re.fullmatch(r"arn:aws:rekognition:us-east-1:111122223333:project/example_1\.a-b/(\d{13})", arn)
    assert matched
    assert before_ms <= int(matched[1]) <= before_ms + 10_000
    created_at = projects(rekognition)[0]["CreationTimestamp"]
    assert round(created_at.timestamp() * 1000) == int(matched[1])


def test_a_name_is_taken_once(rekognition: Any, project_arn: str) -> None:
    with pytest.raises(rekognition.exceptions.ResourceInUseException):
        rekognition.create_project(ProjectName="example-project")
    assert names(rekognition) == ["example-project"]


def test_a_project_is_creating_for_a_while(start: Start) -> None:
    rekognition = start(status_delay_s=0.3).client()
    rekognition.create_project(ProjectName="example-project")
    assert projects(rekognition)[0]["Status"] == "CREATING"
    deadline = time.monotonic() + DEADLINE_S
    while projects(rekognition)[0]["Status"] != "CREATED" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert projects(rekognition)[0]["Status"] == "CREATED"


def test_a_hundred_projects_and_no_more(rekognition: Any) -> None:
    for number in range(100):
        rekognition.create_project(ProjectName=f"example-{number:03}")
    with pytest.raises(rekognition.exceptions.LimitExceededException):
        rekognition.create_project(ProjectName="example-100")
    assert names(rekognition, PaginationConfig={"PageSize": 7}) == [f"example-{number:03}" for number in range(100)]
    assert "NextToken" not in rekognition.describe_projects()
    assert rekognition.describe_projects(MaxResults=99)["NextToken"]


def test_filters(rekognition: Any) -> None:
    rekognition.create_project(ProjectName="labels", Feature="CUSTOM_LABELS")
    rekognition.create_project(ProjectName="adapter", Feature="CONTENT_MODERATION", AutoUpdate="ENABLED")
    assert names(rekognition) == ["labels"]
    assert names(rekognition, Features=["CONTENT_MODERATION"]) == ["adapter"]
    assert names(rekognition, Features=["CONTENT_MODERATION", "CUSTOM_LABELS"]) == ["labels", "adapter"]
    assert names(rekognition, ProjectNames=["labels", "absent"]) == ["labels"]
    assert projects(rekognition, Features=["CONTENT_MODERATION"])[0]["AutoUpdate"] == "ENABLED"
    with pytest.raises(rekognition.exceptions.InvalidParameterException):
        rekognition.create_project(ProjectName="other", AutoUpdate="ENABLED")


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2U=", "é"])
def test_a_made_up_page_token(rekognition: Any, token: str) -> None:
    with pytest.raises(rekognition.exceptions.InvalidPaginationTokenException):
        rekognition.describe_projects(NextToken=token)


def test_datasets_keep_a_project_alive(rekognition: Any, project_arn: str) -> None:
    train, test = created(rekognition, project_arn), created(rekognition, project_arn, dataset_type="TEST")
    shown = projects(rekognition)[0]["Datasets"]
    assert [(dataset["DatasetType"], dataset["DatasetArn"]) for dataset in shown] == [("TRAIN", train), ("TEST", test)]
    assert shown[0]["Status"] == "CREATE_COMPLETE"
    assert shown[0]["StatusMessageCode"] == "SUCCESS"
    for arn in (train, test):
        with pytest.raises(rekognition.exceptions.ResourceInUseException):
            rekognition.delete_project(ProjectArn=project_arn)
        rekognition.delete_dataset(DatasetArn=arn)
        gone(rekognition, arn)
    assert rekognition.delete_project(ProjectArn=project_arn)["Status"] == "DELETING"
    deadline = time.monotonic() + DEADLINE_S
    while projects(rekognition) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert projects(rekognition) == []
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.delete_project(ProjectArn=project_arn)


def test_a_project_being_deleted(start: Start) -> None:
    rekognition = start(status_delay_s=60).client()
    arn = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    rekognition.delete_project(ProjectArn=arn)
    assert projects(rekognition)[0]["Status"] == "DELETING"
    with pytest.raises(rekognition.exceptions.ResourceInUseException):
        rekognition.delete_project(ProjectArn=arn)
    with pytest.raises(rekognition.exceptions.ResourceInUseException):
        rekognition.create_project(ProjectName="example-project")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.create_dataset(ProjectArn=arn, DatasetType="TRAIN")


def test_accounts_and_regions_do_not_see_each_other(service: Service, rekognition: Any, project_arn: str) -> None:
    guest, elsewhere = service.client(GUEST), service.client(region="eu-west-1")
    assert names(guest) == names(elsewhere) == []
    with pytest.raises(guest.exceptions.AccessDeniedException):
        guest.delete_project(ProjectArn=project_arn)
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        elsewhere.delete_project(ProjectArn=project_arn)
    assert ":444455556666:" in guest.create_project(ProjectName="example-project")["ProjectArn"]
    assert ":eu-west-1:" in elsewhere.create_project(ProjectName="example-project")["ProjectArn"]


def test_tags_of_projects_and_datasets(rekognition: Any) -> None:
    project = rekognition.create_project(ProjectName="example-project", Tags={"team": "a", "size": ""})["ProjectArn"]
    dataset = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", Tags={"kind": "b"})["DatasetArn"]
    rekognition.tag_resource(ResourceArn=project, Tags={"team": "c", "new": "d"})
    rekognition.untag_resource(ResourceArn=project, TagKeys=["size", "absent"])
    assert rekognition.list_tags_for_resource(ResourceArn=project)["Tags"] == {"team": "c", "new": "d"}
    assert rekognition.list_tags_for_resource(ResourceArn=dataset)["Tags"] == {"kind": "b"}
    with pytest.raises(rekognition.exceptions.ServiceQuotaExceededException):
        rekognition.tag_resource(ResourceArn=project, Tags={f"tag-{number}": "" for number in range(199)})
    assert len(rekognition.list_tags_for_resource(ResourceArn=project)["Tags"]) == 2
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.list_tags_for_resource(ResourceArn=project + "1")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.tag_resource(ResourceArn="arn:aws:rekognition:nonsense", Tags={})
