from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.config import Config

from include.rekognition.entry_batches import InlineEntries
from include.rekognition.errors import (
    RekognitionAccessDeniedError,
    RekognitionDatasetFailedError,
    RekognitionResourceNotFoundError,
    RekognitionThrottledError,
)
from include.rekognition.hook import RekognitionHook
from include.rekognition.pacing import RequestPacer
from tests.rekognition.arns import DATASET_ARN, PROJECT, PROJECT_ARN
from tests.rekognition.scripted_service import Refusal, ScriptedRekognition, dataset, project


@pytest.fixture
def hook(aws_connection: str) -> RekognitionHook:
    return RekognitionHook(aws_conn_id=aws_connection)


class TestConfiguration:
    def test_client(self, hook: RekognitionHook) -> None:
        assert hook.client_type == "rekognition"
        assert hook.conn_region_name == "eu-west-1"

    def test_retries_by_default(self, hook: RekognitionHook) -> None:
        assert hook.conn.meta.config.retries == {"mode": "standard", "total_max_attempts": 10}

    @pytest.mark.parametrize("form", [dict, lambda **options: Config(**options)], ids=["dict", "Config"])
    def test_the_callers_configuration_wins(self, aws_connection: str, form: Any) -> None:
        hook = RekognitionHook(
            aws_conn_id=aws_connection, config=form(retries={"mode": "adaptive", "total_max_attempts": 3})
        )
        assert hook.conn.meta.config.retries == {"mode": "adaptive", "total_max_attempts": 3}

    def test_the_callers_other_options_leave_the_retries(self, aws_connection: str) -> None:
        hook = RekognitionHook(aws_conn_id=aws_connection, config={"read_timeout": 7})
        assert hook.conn.meta.config.read_timeout == 7
        assert hook.conn.meta.config.retries["total_max_attempts"] == 10

    def test_the_connections_configuration_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        extra = {"region_name": "eu-west-1", "config_kwargs": {"retries": {"mode": "legacy"}, "read_timeout": 8}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_OTHER", json.dumps({"conn_type": "aws", "extra": extra}))
        config = RekognitionHook(aws_conn_id="aws_other").conn.meta.config
        assert (config.retries["mode"], config.read_timeout) == ("legacy", 8)

    def test_requests_are_paced(
        self, hook: RekognitionHook, rekognition: ScriptedRekognition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paced: list[str] = []
        monkeypatch.setattr(
            RequestPacer, "__call__", lambda self, event_name, **_: paced.append(event_name.split(".")[-1])
        )
        rekognition.script("DescribeDataset", Refusal("InternalServerError", http_status=500), dataset("X"))
        hook.describe_dataset(DATASET_ARN)
        assert paced == rekognition.operations() == ["DescribeDataset", "DescribeDataset"]


class TestLookups:
    def test_find_project(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        other = "arn:aws:rekognition:eu-west-1:111122223333:project/example-project-2/1"
        rekognition.script(
            "DescribeProjects", project(other) | {"NextToken": "page-2"}, project(PROJECT_ARN) | {"NextToken": ""}
        )
        assert hook.find_project(PROJECT) == {"ProjectArn": PROJECT_ARN, "Status": "CREATED"}
        assert [r.body for r in rekognition.requests] == [
            {"ProjectNames": [PROJECT]},
            {"ProjectNames": [PROJECT], "NextToken": "page-2"},
        ]

    def test_no_project(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script("DescribeProjects", {"ProjectDescriptions": []})
        assert hook.find_project(PROJECT) is None
        assert hook.find_dataset(PROJECT, "TRAIN") is None

    def test_find_dataset(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        train = {"DatasetArn": DATASET_ARN, "DatasetType": "TRAIN", "Status": "CREATE_COMPLETE"}
        rekognition.script("DescribeProjects", project(PROJECT_ARN, Datasets=[train]))
        assert hook.find_dataset(PROJECT, "TRAIN") == train
        assert hook.find_dataset(PROJECT, "TEST") is None

    def test_describe_dataset(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script("DescribeDataset", dataset("CREATE_COMPLETE", DatasetStats={"TotalEntries": 3}))
        assert hook.describe_dataset(DATASET_ARN)["DatasetStats"] == {"TotalEntries": 3}
        rekognition.script("DescribeDataset", Refusal("ResourceNotFoundException"))
        with pytest.raises(RekognitionResourceNotFoundError, match=DATASET_ARN):
            hook.describe_dataset(DATASET_ARN)

    def test_refused(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script("DescribeProjects", Refusal("AccessDeniedException"))
        with pytest.raises(RekognitionAccessDeniedError):
            hook.find_project(PROJECT)

    def test_throttling_outlasts_the_retries(self, aws_connection: str, rekognition: ScriptedRekognition) -> None:
        hook = RekognitionHook(
            aws_conn_id=aws_connection, config={"retries": {"mode": "standard", "total_max_attempts": 2}}
        )
        rekognition.script("DescribeDataset", Refusal("ThrottlingException", http_status=500))
        with pytest.raises(RekognitionThrottledError, match="Airflow pool"):
            hook.describe_dataset(DATASET_ARN)
        assert len(rekognition.requests) == 2


class TestListing:
    def test_entries(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script(
            "ListDatasetEntries",
            {"DatasetEntries": ["{1}", "{2}"], "NextToken": "page-2"},
            {"DatasetEntries": ["{3}"], "NextToken": ""},
        )
        entries = hook.iterate_dataset_entries(
            DATASET_ARN, contains_labels=["echo"], labeled=False, source_ref_contains="a", has_errors=True
        )
        assert list(entries) == ["{1}", "{2}", "{3}"]
        filters = {"ContainsLabels": ["echo"], "Labeled": False, "SourceRefContains": "a", "HasErrors": True}
        assert rekognition.requests[0].body == {"DatasetArn": DATASET_ARN, "MaxResults": 100, **filters}
        assert rekognition.requests[1].body["NextToken"] == "page-2"
        assert len(rekognition.requests) == 2

    def test_labels(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        label = {"LabelName": "echo", "LabelStats": {"EntryCount": 2}}
        rekognition.script("ListDatasetLabels", {"DatasetLabelDescriptions": [label]})
        assert list(hook.iterate_dataset_labels(DATASET_ARN)) == [label]

    def test_pages_are_read_when_needed(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script(
            "ListDatasetEntries",
            {"DatasetEntries": ["{1}"], "NextToken": "page-2"},
            Refusal("ResourceNotFoundException"),
        )
        entries = hook.iterate_dataset_entries(DATASET_ARN)
        assert rekognition.requests == []
        assert next(entries) == "{1}"
        with pytest.raises(RekognitionResourceNotFoundError):
            next(entries)


class TestSending:
    ENTRIES = InlineEntries(["aaaa", "bbbb", "cccc"])

    def sent(self, rekognition: ScriptedRekognition) -> list[bytes | str]:
        return [
            base64.b64decode(r.body["Changes"]["GroundTruth"]) if r.operation == "UpdateDatasetEntries" else r.operation
            for r in rekognition.requests
        ]

    def send(self, hook: RekognitionHook, **options: Any) -> list[Any]:
        return list(hook.send_entries(DATASET_ARN, self.ENTRIES, max_batch_size_bytes=6, waiter_delay=0, **options))

    def test_the_end_of_each_batch_is_awaited_before_the_next(
        self, hook: RekognitionHook, rekognition: ScriptedRekognition
    ) -> None:
        rekognition.script("UpdateDatasetEntries", {})
        rekognition.script("DescribeDataset", dataset("UPDATE_IN_PROGRESS"), dataset("UPDATE_COMPLETE"))
        assert [batch.end for batch in self.send(hook)] == [5, 10, 14]
        assert self.sent(rekognition) == [
            *(b"aaaa\n", "DescribeDataset", "DescribeDataset"),
            *(b"bbbb\n", "DescribeDataset"),
            b"cccc",
        ]

    def test_continue(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script("UpdateDatasetEntries", {})
        assert [batch.end for batch in self.send(hook, start=10)] == [14]
        assert self.sent(rekognition) == [b"cccc"]

    def test_a_failed_batch_is_the_last(self, hook: RekognitionHook, rekognition: ScriptedRekognition) -> None:
        rekognition.script("UpdateDatasetEntries", {})
        rekognition.script("DescribeDataset", dataset("UPDATE_FAILED"))
        with pytest.raises(RekognitionDatasetFailedError):
            self.send(hook)
        assert self.sent(rekognition) == [b"aaaa\n", "DescribeDataset"]
