"""The operators, the sensor and the triggers through an Airflow connection, against the local Rekognition service."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from include.rekognition.errors import RekognitionDatasetError, RekognitionResourceNotFoundError
from include.rekognition.hook import RekognitionHook
from include.rekognition.operators import (
    RekognitionCreateDatasetOperator,
    RekognitionCreateProjectOperator,
    RekognitionDeleteDatasetOperator,
    RekognitionUpdateDatasetEntriesOperator,
)
from include.rekognition.sensors import RekognitionDatasetSensor
from include.rekognition.triggers import RekognitionDatasetReadyTrigger
from tests.fixtures.local_aws import LocalAws, running_local_aws
from tests.rekognition.task_run import first_event, revived, run_task

pytestmark = pytest.mark.integration

CONN_ID = "aws_local"
BUCKET = "example-rekognition-control-plane"
LABELS = ("echo", "echo-dot")
IMAGES = 6


def entry(number: int, label: str) -> str:
    metadata = {
        "class-name": label,
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "creation-date": "2026-11-22T20:00:00",
    }
    source_ref = f"s3://{BUCKET}/images/{number}.png"
    return json.dumps({"source-ref": source_ref, "label-0": 1, "label-0-metadata": metadata})


ENTRIES = [entry(number, LABELS[number % 2]) for number in range(IMAGES)]
MANIFEST_KEY = "manifests/six images #1?.manifest"
MANIFEST_URI = f"s3://{BUCKET}/{MANIFEST_KEY}"


def connect(monkeypatch: pytest.MonkeyPatch, services: LocalAws) -> None:
    connection = {
        "conn_type": "aws",
        "login": services.access_key,
        "password": services.secret_key,
        "extra": {
            "region_name": services.region,
            "service_config": {
                "rekognition": {"endpoint_url": services.rekognition_endpoint},
                "s3": {"endpoint_url": services.s3_endpoint},
            },
        },
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))


@pytest.fixture(scope="module")
def stored_images(local_aws: LocalAws) -> LocalAws:
    local_aws.create_buckets(BUCKET)
    s3 = local_aws.client("s3")
    image = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(image, "PNG")
    for number in range(IMAGES):
        s3.put_object(Bucket=BUCKET, Key=f"images/{number}.png", Body=image.getvalue())
    s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body="\n".join(ENTRIES).encode())
    s3.close()
    return local_aws


@pytest.fixture
def service(stored_images: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    connect(monkeypatch, stored_images)
    yield stored_images
    stored_images.clear_faults()


@pytest.fixture(params=[False, True], ids=["synchronous", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def hook(service: LocalAws) -> RekognitionHook:
    return RekognitionHook(aws_conn_id=CONN_ID)


@pytest.fixture
def project_arn(service: LocalAws, hook: RekognitionHook, request: pytest.FixtureRequest) -> str:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return str(hook.conn.create_project(ProjectName=name)["ProjectArn"])


def run(operator_class: type, deferrable: bool, **arguments: Any) -> Any:
    waiting = {} if operator_class is RekognitionDatasetSensor else {"waiter_delay": 0.05, "waiter_max_attempts": 200}
    operator = operator_class(task_id="example", aws_conn_id=CONN_ID, deferrable=deferrable, **waiting, **arguments)
    return run_task(operator)


def create(project_arn: str, deferrable: bool = False, **arguments: Any) -> str:
    arguments = {"project_arn": project_arn, "dataset_type": "TRAIN", **arguments}
    return str(run(RekognitionCreateDatasetOperator, deferrable, **arguments))


def statistics(hook: RekognitionHook, dataset_arn: str) -> dict[str, int]:
    stats: dict[str, int] = hook.describe_dataset(dataset_arn)["DatasetStats"]
    return stats


def test_create_project(hook: RekognitionHook, deferrable: bool) -> None:
    name = f"example-create-{'deferrable' if deferrable else 'synchronous'}"
    arn = run(RekognitionCreateProjectOperator, deferrable, project_name=name, tags={"team": "example"})
    project = hook.find_project(name)
    assert project is not None
    assert (project["ProjectArn"], project["Status"]) == (arn, "CREATED")
    assert hook.conn.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"team": "example"}
    assert run(RekognitionCreateProjectOperator, deferrable, project_name=name, if_exists="skip") == arn
    with pytest.raises(RekognitionDatasetError) as caught:
        run(RekognitionCreateProjectOperator, deferrable, project_name=name)
    assert caught.value.code == "REKOGNITION_RESOURCE_EXISTS"
    assert caught.value.request_id


def test_a_dataset_from_its_creation_to_its_end(hook: RekognitionHook, project_arn: str, deferrable: bool) -> None:
    train = create(project_arn, deferrable, manifest_s3_uri=MANIFEST_URI, tags={"a": "b"})
    assert statistics(hook, train) == {"LabeledEntries": 6, "TotalEntries": 6, "TotalLabels": 2, "ErrorEntries": 0}
    assert {label["LabelName"] for label in hook.iterate_dataset_labels(train)} == set(LABELS)
    entries = list(hook.iterate_dataset_entries(train, contains_labels=["echo"]))
    assert {json.loads(line)["source-ref"] for line in entries} == {f"s3://{BUCKET}/images/{n}.png" for n in (0, 2, 4)}
    project_name = project_arn.split("/")[1]
    found = hook.find_dataset(project_name, "TRAIN")
    assert found is not None
    assert (found["DatasetArn"], found["Status"]) == (train, "CREATE_COMPLETE")
    assert hook.find_dataset(project_name, "TEST") is None

    copy = create(project_arn, deferrable, dataset_type="TEST", source_dataset_arn=train)
    assert statistics(hook, copy)["TotalEntries"] == 6

    assert run(RekognitionDeleteDatasetOperator, deferrable, dataset_arn=train) == train
    with pytest.raises(RekognitionResourceNotFoundError):
        hook.describe_dataset(train)
    again = create(project_arn, deferrable)
    assert statistics(hook, again)["TotalEntries"] == 0


@pytest.mark.parametrize("source", [{"entries": ENTRIES}, {"manifest_s3_uri": MANIFEST_URI}], ids=["inline", "S3"])
def test_update_in_several_batches(
    hook: RekognitionHook, project_arn: str, deferrable: bool, source: dict[str, Any]
) -> None:
    dataset_arn = create(project_arn)
    result = run(
        RekognitionUpdateDatasetEntriesOperator,
        deferrable,
        dataset_arn=dataset_arn,
        max_batch_size_bytes=2 * len(ENTRIES[0]) + 10,
        **source,
    )
    assert result == {"dataset_arn": dataset_arn, "batches": 3, "lines": 6}
    description = hook.describe_dataset(dataset_arn)
    assert description["Status"] == "UPDATE_COMPLETE"
    assert description["DatasetStats"]["TotalEntries"] == 6
    renamed = [entry(number, "echo-plus") for number in range(IMAGES)]
    run(RekognitionUpdateDatasetEntriesOperator, deferrable, dataset_arn=dataset_arn, entries=renamed)
    assert [label["LabelName"] for label in hook.iterate_dataset_labels(dataset_arn)] == ["echo-plus"]
    assert statistics(hook, dataset_arn)["TotalEntries"] == 6


def test_a_task_that_is_run_again_finds_its_own_work(project_arn: str, deferrable: bool) -> None:
    dataset_arn = create(project_arn, deferrable, manifest_s3_uri=MANIFEST_URI, if_exists="skip")
    assert create(project_arn, deferrable, manifest_s3_uri=MANIFEST_URI, if_exists="skip") == dataset_arn
    with pytest.raises(RekognitionDatasetError) as caught:
        create(project_arn, deferrable, manifest_s3_uri=MANIFEST_URI)
    assert caught.value.code == "REKOGNITION_RESOURCE_EXISTS"
    for _ in range(2):
        deleted = run(RekognitionDeleteDatasetOperator, deferrable, dataset_arn=dataset_arn, if_missing="skip")
        assert deleted == dataset_arn
    with pytest.raises(RekognitionResourceNotFoundError):
        run(RekognitionDeleteDatasetOperator, deferrable, dataset_arn=dataset_arn)


def test_what_ends_soon_is_not_deferred(project_arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("deferred")

    monkeypatch.setattr(RekognitionCreateDatasetOperator, "defer", refuse)
    monkeypatch.setattr(RekognitionUpdateDatasetEntriesOperator, "defer", refuse)
    dataset_arn = create(project_arn, deferrable=True, wait_before_deferring=20)
    result = run(
        RekognitionUpdateDatasetEntriesOperator,
        True,
        dataset_arn=dataset_arn,
        manifest_s3_uri=MANIFEST_URI,
        max_batch_size_bytes=4 * len(ENTRIES[0]),
        wait_before_deferring=20,
    )
    assert result == {"dataset_arn": dataset_arn, "batches": 2, "lines": 6}


def test_sensor(hook: RekognitionHook, project_arn: str, deferrable: bool) -> None:
    dataset_arn = hook.conn.create_dataset(ProjectArn=project_arn, DatasetType="TRAIN")["DatasetArn"]
    run(RekognitionDatasetSensor, deferrable, dataset_arn=dataset_arn, poke_interval=0.05)
    assert hook.describe_dataset(dataset_arn)["Status"] == "CREATE_COMPLETE"


def errors_of(*runs: Any) -> list[RekognitionDatasetError]:
    caught = []
    for one in runs:
        with pytest.raises(RekognitionDatasetError) as error:
            one()
        caught.append(error.value)
    return caught


def assert_same_error(one: RekognitionDatasetError, other: RekognitionDatasetError) -> None:
    assert (type(one), str(one)) == (type(other), str(other))
    # AWS gives every request an id of its own.
    assert one.fields | {"request_id": None} == other.fields | {"request_id": None}


def test_failed_creation_is_the_same_error_in_both_modes(
    service: LocalAws, hook: RekognitionHook, project_arn: str
) -> None:
    # Both modes must speak of the same dataset, so the creation is waited for twice, and made once.
    with pytest.raises(RekognitionDatasetError) as synchronous:
        create(project_arn, manifest_s3_uri=f"s3://{BUCKET}/manifests/nothing-here.manifest")
    error = synchronous.value
    assert error.code == "REKOGNITION_DATASET_FAILED"
    assert error.fields["manifest_error_code"] == "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT"
    project_name = project_arn.split("/")[1]
    failed = hook.find_dataset(project_name, "TRAIN")
    assert failed is not None
    event = asyncio.run(
        first_event(revived(RekognitionDatasetReadyTrigger(dataset_arn=failed["DatasetArn"], aws_conn_id=CONN_ID)))
    )
    assert_same_error(error, RekognitionDatasetError.from_event(event["error"]))


def test_failed_update_is_the_same_error_in_both_modes(
    service: LocalAws, hook: RekognitionHook, project_arn: str
) -> None:
    dataset_arn = create(project_arn)

    def update(deferrable: bool) -> None:
        service.faults(
            "UpdateDatasetEntries",
            "fail",
            message="The manifest file contains images from multiple S3 buckets.",
            code="CLIENT_ERROR",
        )
        run(RekognitionUpdateDatasetEntriesOperator, deferrable, dataset_arn=dataset_arn, entries=ENTRIES)

    synchronous, deferred = errors_of(lambda: update(False), lambda: update(True))
    assert_same_error(synchronous, deferred)
    assert synchronous.fields["manifest_error_code"] == "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS"
    sensed = errors_of(
        lambda: run(RekognitionDatasetSensor, False, dataset_arn=dataset_arn),
        lambda: run(RekognitionDatasetSensor, True, dataset_arn=dataset_arn),
    )
    assert_same_error(*sensed)
    assert str(sensed[0]) == str(synchronous)


def test_refusals_are_the_same_error_in_both_modes(service: LocalAws, hook: RekognitionHook, project_arn: str) -> None:
    missing = f"{project_arn.rpartition('/')[0]}/dataset/train/1690476084535"
    for operator_class, arguments in (
        (RekognitionDatasetSensor, {}),
        (RekognitionDeleteDatasetOperator, {}),
        (RekognitionUpdateDatasetEntriesOperator, {"entries": ENTRIES}),
    ):
        synchronous, deferred = errors_of(
            *(
                lambda mode=mode: run(operator_class, mode, dataset_arn=missing, **arguments)  # noqa: B023
                for mode in (False, True)
            )
        )
        assert_same_error(synchronous, deferred)
        assert isinstance(synchronous, RekognitionResourceNotFoundError)


def test_throttled_status_checks_are_survived(
    service: LocalAws, hook: RekognitionHook, project_arn: str, deferrable: bool
) -> None:
    service.faults("DescribeDataset", "throttle", calls=2)
    dataset_arn = create(project_arn, deferrable)
    assert hook.describe_dataset(dataset_arn)["Status"] == "CREATE_COMPLETE"


def test_five_requests_a_second_are_kept(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_local_aws(tmp_path_factory.mktemp("throttled"), "--throttle") as services:
        connect(monkeypatch, services)
        once = {"retries": {"mode": "standard", "total_max_attempts": 1}}
        hook = RekognitionHook(aws_conn_id=CONN_ID, config=once)
        for _ in range(15):
            assert hook.find_project("example-absent") is None
        unpaced = services.client("rekognition", config=Config(**once))
        refused = set()
        for _ in range(15):
            try:
                unpaced.describe_projects(ProjectNames=["example-absent"])
            except ClientError as error:
                refused.add(error.response["Error"]["Code"])
        unpaced.close()
        # The quota is real here, so that the paced requests above have shown something.
        assert refused & {"ThrottlingException", "ProvisionedThroughputExceededException"}
        # With the hook's own retries, a competitor's requests delay ours and do not stop them.
        assert RekognitionHook(aws_conn_id=CONN_ID).find_project("example-absent") is None
