from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred
from botocore.exceptions import EndpointConnectionError

from include.rekognition import operators
from include.rekognition.errors import RekognitionDatasetError, RekognitionManifestChangedError
from include.rekognition.operators import (
    RekognitionBaseOperator,
    RekognitionCreateDatasetOperator,
    RekognitionCreateProjectOperator,
    RekognitionDeleteDatasetOperator,
    RekognitionUpdateDatasetEntriesOperator,
)
from tests.rekognition.arns import DATASET_ARN, OTHER_DATASET_ARN, PROJECT, PROJECT_ARN
from tests.rekognition.scripted_service import Refusal, ScriptedRekognition, dataset, project
from tests.rekognition.stored_objects import StoredObjects
from tests.rekognition.task_run import run_task, task_context

AWS_PARAMETERS: dict[str, Any] = {
    "aws_conn_id": "aws_test",
    "region_name": "eu-central-1",
    "verify": False,
    "botocore_config": {"retries": {"mode": "standard", "total_max_attempts": 1}},
}
URI = "s3://example-bucket/manifests/a.manifest"
ENTRIES = ["aaaa", "bbbb", "cccc"]
GONE = Refusal("ResourceNotFoundException")
IN_USE = Refusal("ResourceInUseException")
DENIED = Refusal("AccessDeniedException", "no")

REQUIRED: dict[type[RekognitionBaseOperator], dict[str, Any]] = {
    RekognitionCreateProjectOperator: {"project_name": PROJECT},
    RekognitionCreateDatasetOperator: {"project_arn": PROJECT_ARN, "dataset_type": "TRAIN"},
    RekognitionUpdateDatasetEntriesOperator: {
        "dataset_arn": DATASET_ARN,
        "entries": ENTRIES,
        "max_batch_size_bytes": 6,
    },
    RekognitionDeleteDatasetOperator: {"dataset_arn": DATASET_ARN},
}
# Operator, the operation it starts, the one with which it waits, how the waiting goes well, the result.
WELL: list[tuple[type[RekognitionBaseOperator], str, str, list[Any], Any]] = [
    (
        RekognitionCreateProjectOperator,
        "CreateProject",
        "DescribeProjects",
        [{"ProjectDescriptions": []}, project(PROJECT_ARN, "CREATING"), project(PROJECT_ARN)],
        PROJECT_ARN,
    ),
    (
        RekognitionCreateDatasetOperator,
        "CreateDataset",
        "DescribeDataset",
        [dataset("CREATE_IN_PROGRESS"), dataset("CREATE_COMPLETE")],
        DATASET_ARN,
    ),
    (
        RekognitionUpdateDatasetEntriesOperator,
        "UpdateDatasetEntries",
        "DescribeDataset",
        [dataset("UPDATE_IN_PROGRESS"), dataset("UPDATE_COMPLETE")],
        {"dataset_arn": DATASET_ARN, "batches": 3, "lines": 3},
    ),
    (
        RekognitionDeleteDatasetOperator,
        "DeleteDataset",
        "DescribeDataset",
        [dataset("DELETE_IN_PROGRESS"), GONE],
        DATASET_ARN,
    ),
]
STARTED = {
    "CreateProject": {"ProjectArn": PROJECT_ARN},
    "CreateDataset": {"DatasetArn": DATASET_ARN},
    "UpdateDatasetEntries": {},
    "DeleteDataset": {},
}


def make(operator_class: type[RekognitionBaseOperator], **options: Any) -> Any:
    defaults = {"task_id": "example", "waiter_delay": 0, "waiter_max_attempts": 5, **AWS_PARAMETERS}
    return operator_class(**{**defaults, **REQUIRED[operator_class], **options})


def sent(rekognition: ScriptedRekognition) -> list[bytes]:
    return [
        base64.b64decode(request.body["Changes"]["GroundTruth"])
        for request in rekognition.requests
        if request.operation == "UpdateDatasetEntries"
    ]


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> StoredObjects:
    stored = StoredObjects()

    class S3Hook:
        def __init__(self, **parameters: Any) -> None:
            assert parameters == {
                "aws_conn_id": "aws_test",
                "region_name": "eu-central-1",
                "verify": False,
                "config": AWS_PARAMETERS["botocore_config"],
            }
            self.conn = stored

    monkeypatch.setattr(operators, "S3Hook", S3Hook)
    return stored


def test_every_operator_is_tested() -> None:
    concrete = {
        value
        for value in vars(operators).values()
        if isinstance(value, type)
        and issubclass(value, RekognitionBaseOperator)
        and value is not RekognitionBaseOperator
    }
    assert concrete == set(REQUIRED) == {case[0] for case in WELL}


@pytest.mark.parametrize("operator_class", REQUIRED)
def test_template_fields(operator_class: type[RekognitionBaseOperator]) -> None:
    operator = make(operator_class)
    assert operator.template_fields == aws_template_fields(*operator.template_fields)
    assert all(hasattr(operator, field) for field in operator.template_fields)
    assert set(operator.template_fields_renderers) <= set(operator.template_fields)
    own = {"project_name", "tags"} | {"project_arn", "dataset_type", "dataset_arn", "source_dataset_arn"}
    own |= {"manifest_s3_uri", "manifest_version_id"}
    constructor_fields = own & set(vars(operator))
    assert constructor_fields <= set(operator.template_fields)


def test_entries_are_not_rendered() -> None:
    operator = make(RekognitionUpdateDatasetEntriesOperator, entries=['{"source-ref":"s3://b/{{ ds }}.png"}'])
    operator.render_template_fields({"ds": "2026-11-22"})
    assert operator.entries == ['{"source-ref":"s3://b/{{ ds }}.png"}']


@pytest.mark.parametrize("operator_class", REQUIRED)
def test_fields_are_rendered(operator_class: type[RekognitionBaseOperator]) -> None:
    field = next(iter(REQUIRED[operator_class]))
    operator = make(operator_class, **{field: "{{ word }}", "region_name": "{{ word }}"})
    operator.render_template_fields({"word": "example"})
    assert (getattr(operator, field), operator.region_name) == ("example", "example")


@pytest.mark.parametrize(("operator_class", "started", "polled", "statuses", "result"), WELL)
class TestEveryOperator:
    def script(self, rekognition: ScriptedRekognition, started: str, polled: str, *answers: Any) -> None:
        rekognition.script(started, STARTED[started])
        rekognition.script(polled, *answers)

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_waits(
        self,
        operator_class: Any,
        started: str,
        polled: str,
        statuses: list[Any],
        result: Any,
        deferrable: bool,
        rekognition: ScriptedRekognition,
    ) -> None:
        self.script(rekognition, started, polled, *statuses)
        operator = make(operator_class, deferrable=deferrable)
        before = dict(vars(operator))
        assert run_task(operator) == result
        assert len([name for name in rekognition.operations() if name == polled]) >= len(statuses)
        assert {name: vars(operator)[name] for name in before} == before
        # What Airflow's own base classes keep: the hook that was made, and the logger.
        assert set(vars(operator)) - set(before) <= {"hook", "_cached_logger"}

    def test_does_not_wait(
        self,
        operator_class: Any,
        started: str,
        polled: str,
        statuses: list[Any],
        result: Any,
        rekognition: ScriptedRekognition,
    ) -> None:
        self.script(rekognition, started, polled, *statuses)
        assert make(operator_class, wait_for_completion=False, deferrable=False).execute(task_context()) == result
        # Batches in between are awaited all the same.
        assert rekognition.operations()[-1] == started

    def test_defers_with_all_four_aws_parameters(
        self,
        operator_class: Any,
        started: str,
        polled: str,
        statuses: list[Any],
        result: Any,
        rekognition: ScriptedRekognition,
    ) -> None:
        self.script(rekognition, started, polled, *statuses)
        operator = make(operator_class, deferrable=True, waiter_delay=7, waiter_max_attempts=8)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(task_context())
        _, kwargs = deferred.value.trigger.serialize()
        assert {**AWS_PARAMETERS, "waiter_delay": 7, "waiter_max_attempts": 8}.items() <= kwargs.items()
        assert deferred.value.method_name == "execute_complete"
        assert rekognition.operations() == [started]

    def test_not_deferrable_by_default(
        self, operator_class: Any, started: str, polled: str, statuses: list[Any], result: Any
    ) -> None:
        assert make(operator_class).deferrable is False

    @pytest.mark.parametrize(
        ("refused", "answer"),
        [
            pytest.param("started", DENIED, id="start refused"),
            pytest.param("started", Refusal("ThrottlingException", http_status=500), id="start throttled"),
            pytest.param("started", Refusal("NewException"), id="start refused with something new"),
            pytest.param("started", EndpointConnectionError(endpoint_url="https://x.invalid"), id="no answer"),
            pytest.param("polled", DENIED, id="status refused"),
            pytest.param("polled", Refusal("ValidationException"), id="status invalid"),
            pytest.param("polled", Refusal("ThrottlingException", http_status=500), id="status throttled"),
            pytest.param("polled", EndpointConnectionError(endpoint_url="https://x.invalid"), id="no status"),
            pytest.param("polled", "slow", id="never ends"),
        ],
    )
    def test_errors_are_the_same_in_both_modes(
        self,
        operator_class: Any,
        started: str,
        polled: str,
        statuses: list[Any],
        result: Any,
        rekognition: ScriptedRekognition,
        refused: str,
        answer: Any,
    ) -> None:
        def error(deferrable: bool) -> RekognitionDatasetError:
            self.script(rekognition, started, polled, statuses[0] if answer == "slow" else answer)
            if refused == "started":
                rekognition.script(started, answer)
            with pytest.raises(RekognitionDatasetError) as caught:
                run_task(make(operator_class, deferrable=deferrable))
            return caught.value

        assert_same(error(False), error(True))

    def test_no_event(self, operator_class: Any, started: str, polled: str, statuses: list[Any], result: Any) -> None:
        resume_kwargs = {
            RekognitionCreateProjectOperator: {"project_arn": PROJECT_ARN},
            RekognitionUpdateDatasetEntriesOperator: {"progress": {}},
        }.get(operator_class, {})
        with pytest.raises(AirflowException, match="event is None"):
            make(operator_class).execute_complete(task_context(), event=None, **resume_kwargs)


def assert_same(one: RekognitionDatasetError, other: RekognitionDatasetError) -> None:
    assert type(one) is type(other)
    assert str(one) == str(other)
    assert one.fields == other.fields


@pytest.mark.parametrize(
    ("operator_class", "started", "description", "code"),
    [
        (
            RekognitionCreateDatasetOperator,
            "CreateDataset",
            {
                "Status": "CREATE_FAILED",
                "StatusMessage": "The manifest file contains images from multiple S3 buckets.",
                "StatusMessageCode": "CLIENT_ERROR",
            },
            "REKOGNITION_DATASET_FAILED",
        ),
        (RekognitionCreateDatasetOperator, "CreateDataset", {"Status": "DELETE_IN_PROGRESS"}, None),
        (
            RekognitionUpdateDatasetEntriesOperator,
            "UpdateDatasetEntries",
            {"Status": "UPDATE_FAILED", "StatusMessage": "An internal fault.", "StatusMessageCode": "SERVICE_ERROR"},
            "REKOGNITION_DATASET_FAILED",
        ),
        (RekognitionUpdateDatasetEntriesOperator, "UpdateDatasetEntries", {"Status": "CREATE_FAILED"}, None),
        (RekognitionDeleteDatasetOperator, "DeleteDataset", {"Status": "UPDATE_IN_PROGRESS"}, None),
    ],
)
def test_terminal_statuses_are_the_same_error_in_both_modes(
    rekognition: ScriptedRekognition, operator_class: Any, started: str, description: dict[str, str], code: str | None
) -> None:
    caught: list[RekognitionDatasetError] = []
    for deferrable in (False, True):
        rekognition.script(started, STARTED[started])
        rekognition.script("DescribeDataset", dataset(description["Status"], **description))
        with pytest.raises(RekognitionDatasetError) as error:
            run_task(make(operator_class, deferrable=deferrable))
        caught.append(error.value)
    assert_same(*caught)
    assert code in (None, caught[0].code)
    assert description["Status"] in str(caught[0])
    assert description.get("StatusMessage", "").rstrip(".") in str(caught[0])
    assert caught[0].request_id is not None


class TestCreateProject:
    def test_request(self, rekognition: ScriptedRekognition) -> None:
        rekognition.script("CreateProject", {"ProjectArn": PROJECT_ARN})
        rekognition.script("DescribeProjects", project(PROJECT_ARN))
        context = task_context()
        run_task(make(RekognitionCreateProjectOperator, tags={"team": "example"}), context)
        assert rekognition.requests[0].body == {"ProjectName": PROJECT, "Tags": {"team": "example"}}
        assert context["ti"].pushed["rekognition_project"]["project_name"] == PROJECT

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_exists(self, rekognition: ScriptedRekognition, deferrable: bool) -> None:
        rekognition.script("CreateProject", IN_USE)
        rekognition.script("DescribeProjects", project(PROJECT_ARN))
        with pytest.raises(RekognitionDatasetError) as caught:
            run_task(make(RekognitionCreateProjectOperator, deferrable=deferrable))
        assert caught.value.code == "REKOGNITION_RESOURCE_EXISTS"
        skipping = make(RekognitionCreateProjectOperator, deferrable=deferrable, if_exists="skip")
        assert run_task(skipping) == PROJECT_ARN

    def test_name_is_taken_by_something_else(self, rekognition: ScriptedRekognition) -> None:
        rekognition.script("CreateProject", IN_USE)
        rekognition.script("DescribeProjects", {"ProjectDescriptions": []})
        with pytest.raises(RekognitionDatasetError) as caught:
            run_task(make(RekognitionCreateProjectOperator, if_exists="skip"))
        assert caught.value.code == "REKOGNITION_RESOURCE_EXISTS"

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_project_on_its_way_out_is_not_used(self, rekognition: ScriptedRekognition, deferrable: bool) -> None:
        rekognition.script("CreateProject", IN_USE)
        rekognition.script("DescribeProjects", project(PROJECT_ARN, "DELETING"))
        with pytest.raises(RekognitionDatasetError, match="has the status DELETING"):
            run_task(make(RekognitionCreateProjectOperator, if_exists="skip", deferrable=deferrable))

    def test_unknown_behaviour(self) -> None:
        with pytest.raises(ValueError, match="if_exists must be 'fail' or 'skip', not 'ignore'"):
            make(RekognitionCreateProjectOperator, if_exists="ignore")


class TestCreateDataset:
    @pytest.mark.parametrize(
        ("options", "source"),
        [
            ({}, None),
            (
                {"manifest_s3_uri": "s3://example-bucket/a b?#%20.manifest"},
                {"GroundTruthManifest": {"S3Object": {"Bucket": "example-bucket", "Name": "a b?#%20.manifest"}}},
            ),
            (
                {"manifest_s3_uri": URI, "manifest_version_id": "v1"},
                {
                    "GroundTruthManifest": {
                        "S3Object": {"Bucket": "example-bucket", "Name": "manifests/a.manifest", "Version": "v1"}
                    }
                },
            ),
            ({"source_dataset_arn": OTHER_DATASET_ARN}, {"DatasetArn": OTHER_DATASET_ARN}),
        ],
        ids=["empty", "manifest", "manifest version", "copy"],
    )
    def test_sources(self, rekognition: ScriptedRekognition, options: dict[str, str], source: Any) -> None:
        rekognition.script("CreateDataset", {"DatasetArn": DATASET_ARN})
        operator = make(RekognitionCreateDatasetOperator, wait_for_completion=False, tags={"a": "b"}, **options)
        context = task_context()
        operator.execute(context)
        expected = {"ProjectArn": PROJECT_ARN, "DatasetType": "TRAIN", "Tags": {"a": "b"}}
        assert rekognition.requests[0].body == expected | ({"DatasetSource": source} if source else {})
        assert set(context["ti"].pushed) == {"rekognition_project", "rekognition_dataset"}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"manifest_s3_uri": URI, "source_dataset_arn": OTHER_DATASET_ARN}, "not both"),
            ({"manifest_version_id": "v1"}, "needs manifest_s3_uri"),
            ({"manifest_s3_uri": "https://e.com/a"}, "is not of the form"),
        ],
    )
    def test_contradictions(self, rekognition: ScriptedRekognition, options: dict[str, str], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make(RekognitionCreateDatasetOperator, **options).execute(task_context())
        assert rekognition.requests == []


@pytest.mark.parametrize("deferrable", [False, True])
class TestUpdateDatasetEntries:
    BATCHES = (b"aaaa\n", b"bbbb\n", b"cccc")

    @pytest.fixture(autouse=True)
    def service(self, rekognition: ScriptedRekognition) -> None:
        rekognition.script("UpdateDatasetEntries", {})
        rekognition.script("DescribeDataset", dataset("UPDATE_COMPLETE"))

    def from_s3(self, deferrable: bool, **options: Any) -> Any:
        return make(
            RekognitionUpdateDatasetEntriesOperator,
            entries=None,
            manifest_s3_uri=URI,
            deferrable=deferrable,
            **options,
        )

    @pytest.mark.parametrize("entries", [ENTRIES, "\n".join(ENTRIES), "\n".join(ENTRIES).encode()], ids=repr)
    def test_inline(self, rekognition: ScriptedRekognition, deferrable: bool, entries: Any) -> None:
        run_task(make(RekognitionUpdateDatasetEntriesOperator, entries=entries, deferrable=deferrable))
        assert sent(rekognition) == list(self.BATCHES)
        assert rekognition.operations() == ["UpdateDatasetEntries", "DescribeDataset"] * 3

    def test_manifest(self, rekognition: ScriptedRekognition, objects: StoredObjects, deferrable: bool) -> None:
        objects.put("example-bucket", "manifests/a.manifest", b"\n".join(e.encode() for e in ENTRIES))
        result = run_task(self.from_s3(deferrable))
        assert result == {"dataset_arn": DATASET_ARN, "batches": 3, "lines": 3}
        assert sent(rekognition) == list(self.BATCHES)

    def test_nothing_to_send(self, rekognition: ScriptedRekognition, deferrable: bool) -> None:
        operator = make(RekognitionUpdateDatasetEntriesOperator, entries="\n \n", deferrable=deferrable)
        assert run_task(operator) == {"dataset_arn": DATASET_ARN, "batches": 0, "lines": 0}
        assert rekognition.requests == []

    def test_manifest_is_replaced_between_batches(
        self,
        rekognition: ScriptedRekognition,
        objects: StoredObjects,
        deferrable: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        objects.put("example-bucket", "manifests/a.manifest", b"aaaa\nbbbb\n")
        respond = rekognition._respond

        def replace_then_respond(request: Any, response_class: Any) -> Any:
            response = respond(request, response_class)
            if rekognition.operations()[-1] == "DescribeDataset":
                objects.put("example-bucket", "manifests/a.manifest", b"xxxx\nyyyy\n")
            return response

        monkeypatch.setattr(rekognition, "_respond", replace_then_respond)
        with pytest.raises(RekognitionManifestChangedError, match="Next step: Run the task again"):
            run_task(self.from_s3(deferrable))
        assert sent(rekognition) == [b"aaaa\n"]

    def test_line_that_is_too_long(self, rekognition: ScriptedRekognition, deferrable: bool) -> None:
        operator = make(RekognitionUpdateDatasetEntriesOperator, entries=["aaaa", "b" * 9], deferrable=deferrable)
        with pytest.raises(RekognitionDatasetError, match="starts at byte 5") as caught:
            run_task(operator)
        # The last line may be as long as a batch, so this one is refused by its length and not by its place.
        assert caught.value.code == "REKOGNITION_ENTRY_TOO_LARGE"
        assert rekognition.operations() == ["UpdateDatasetEntries", "DescribeDataset"]

    @pytest.mark.parametrize("options", [{"entries": None}, {"manifest_s3_uri": URI}])
    def test_needs_one_source(self, deferrable: bool, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="Give either manifest_s3_uri or entries"):
            run_task(make(RekognitionUpdateDatasetEntriesOperator, deferrable=deferrable, **options))


def test_what_a_deferral_remembers_is_small_json(objects: StoredObjects, rekognition: ScriptedRekognition) -> None:
    objects.put("example-bucket", "manifests/a.manifest", b"aaaa\nbbbb\n")
    rekognition.script("UpdateDatasetEntries", {})
    operator = make(RekognitionUpdateDatasetEntriesOperator, entries=None, manifest_s3_uri=URI, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task_context())
    progress = deferred.value.kwargs["progress"]
    assert {name: progress[name] for name in ("offset", "size_bytes", "batches", "lines")} == {
        "offset": 5,
        "size_bytes": 10,
        "batches": 1,
        "lines": 1,
    }
    assert len(json.dumps(progress)) < 500
