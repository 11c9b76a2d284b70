"""What a request may say, and the time that a run is as of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import SimpleNamespace
from typing import Any, get_args

import jsonschema
import msgspec
import pytest

from include.custom_labels.errors import RequestError
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.risks import Risk
from include.pipelines.requests import PastNeeds, S3FolderRequest, form, is_past_run, run_as_of, run_slug
from include.pipelines.requests.base import RiskName
from include.pipelines.runs import ImportRun


@pytest.mark.parametrize(
    ("params", "code", "named"),
    [
        ({"s3_foldr": "s3://example-images"}, "UNKNOWN_PARAMETER", "'s3_foldr'"),
        ({"project": "not allowed"}, "INVALID_PARAMETER", "$.project"),
        ({"project": ""}, "INVALID_PARAMETER", "$.project"),
        ({"project": "line\n"}, "INVALID_PARAMETER", "$.project"),
        ({"project": "p" * 256}, "INVALID_PARAMETER", "$.project"),
        ({"dataset_type": "TRAIN"}, "INVALID_PARAMETER", "$.dataset_type"),
        ({"register": "yes"}, "INVALID_PARAMETER", "$.register"),
        ({"s3_folder": "example-images/alexa-devices"}, "INVALID_PARAMETER", "$.s3_folder"),
        ({"s3_folder": "s3://a b/c"}, "INVALID_PARAMETER", "$.s3_folder"),
        ({"as_of": "yesterday"}, "INVALID_PARAMETER", "$.as_of"),
        ({"as_of": "2026-11-22T20:00:00"}, "INVALID_PARAMETER", "$.as_of"),
        ({"label_aliases": {"echo": ""}}, "INVALID_PARAMETER", "$.label_aliases"),
        ({"label_aliases": {"echo": "l" * 256}}, "INVALID_PARAMETER", "$.label_aliases"),
        ({"exclude": "*.tmp"}, "INVALID_PARAMETER", "$.exclude"),
        ({"aws_conn_id": ""}, "INVALID_PARAMETER", "$.aws_conn_id"),
        ({"max_wait_minutes": -1}, "INVALID_PARAMETER", "$.max_wait_minutes"),
        ({"max_wait_minutes": 1441}, "INVALID_PARAMETER", "$.max_wait_minutes"),
        ({"max_wait_minutes": 0.5}, "INVALID_PARAMETER", "$.max_wait_minutes"),
        ({"unversioned": "ignore"}, "INVALID_PARAMETER", "$.unversioned"),
        ({"history_folder": "history/"}, "INVALID_PARAMETER", "$.history_folder"),
        ({"history_folder": "s3://example-other/h"}, "HISTORY_FOLDER_ELSEWHERE", "s3://example-images/"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], code: str, named: str) -> None:
    with pytest.raises(RequestError) as caught:
        S3FolderRequest.parse(params)
    assert caught.value.code == code
    assert named in str(caught.value)


def test_the_form_holds_every_parameter_with_a_default_that_is_valid() -> None:
    params = form(S3FolderRequest)
    assert S3FolderRequest.parse({name: param.value for name, param in params.items()}) == S3FolderRequest()
    for name, param in params.items():
        jsonschema.validate(param.value, param.schema)
        assert param.schema["title"], name
        assert param.schema["description_md"], name
        assert param.schema["section"], name


def test_the_form_refuses_what_the_request_refuses() -> None:
    params = form(S3FolderRequest)
    for name, value in [("project", "not allowed"), ("project", "line\n"), ("s3_folder", "x"), ("dataset_type", "x")]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, params[name].schema)


def test_a_request_survives_its_way_through_xcom() -> None:
    request = S3FolderRequest.parse({"as_of": "2026-11-22T21:00:00+01:00", "exclude": ["*/thumbs/*"]})
    assert msgspec.convert(request.to_json(), S3FolderRequest) == request


PARAMETER = datetime(2026, 11, 1, 1, tzinfo=UTC)
INTERVAL_END = datetime(2026, 11, 2, tzinfo=UTC)
LOGICAL_DATE = datetime(2026, 11, 3, tzinfo=UTC)
RUN_AFTER = datetime(2026, 11, 4, 5, 6, 7, 890, tzinfo=timezone(timedelta(hours=1)))
DAG_RUN = {"dag_run": SimpleNamespace(run_after=RUN_AFTER)}


@pytest.mark.parametrize(
    ("as_of", "context", "expected"),
    [
        (PARAMETER, {"data_interval_end": INTERVAL_END, "logical_date": LOGICAL_DATE}, PARAMETER),
        (None, {"data_interval_end": INTERVAL_END, "logical_date": LOGICAL_DATE}, INTERVAL_END),
        (None, {"data_interval_end": None, "logical_date": LOGICAL_DATE}, LOGICAL_DATE),
        (None, {"logical_date": LOGICAL_DATE}, LOGICAL_DATE),
        (None, {}, datetime(2026, 11, 4, 4, 6, 7, tzinfo=UTC)),
    ],
)
def test_as_of(as_of: datetime | None, context: dict[str, Any], expected: datetime) -> None:
    found = run_as_of(S3FolderRequest(as_of=as_of), context | DAG_RUN, NOW)
    assert found == expected
    assert (found.tzinfo, found.microsecond) == (UTC, 0)


NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("ahead", [timedelta(minutes=1, seconds=1), 2 * DAY])
def test_a_time_that_is_not_over_is_refused(ahead: timedelta) -> None:
    with pytest.raises(RequestError) as caught:
        run_as_of(S3FolderRequest(as_of=NOW + ahead), DAG_RUN, NOW)
    assert caught.value.code == "AS_OF_IN_FUTURE"
    assert (NOW + ahead).isoformat() in caught.value.message


@pytest.mark.parametrize("ahead", [SECOND, timedelta(minutes=1)])
def test_a_clock_that_is_a_little_ahead_is_not(ahead: timedelta) -> None:
    assert run_as_of(S3FolderRequest(as_of=NOW + ahead), DAG_RUN, NOW) == NOW


@pytest.mark.parametrize(
    "context",
    [
        {"data_interval_end": NOW + 2 * DAY, "logical_date": NOW + 2 * DAY},
        {"data_interval_end": None, "logical_date": NOW + SECOND},
        {"dag_run": SimpleNamespace(run_after=NOW + DAY)},
    ],
)
def test_a_run_of_a_date_to_come_registers_as_of_now(context: dict[str, Any]) -> None:
    assert run_as_of(S3FolderRequest(), DAG_RUN | context, NOW + timedelta(milliseconds=5)) == NOW


def test_the_request_of_a_run_is_refused_by_its_clock() -> None:
    now = datetime.now(UTC)
    context = {"dag_run": SimpleNamespace(dag_id="d", run_id="r", run_type="manual", run_after=now)}
    with pytest.raises(RequestError) as caught:
        ImportRun.of(S3FolderRequest, {"as_of": (now + 2 * DAY).isoformat()}, context)
    assert caught.value.code == "AS_OF_IN_FUTURE"
    ahead = ImportRun.of(S3FolderRequest, {}, context | {"logical_date": now + 2 * DAY})
    assert now - SECOND <= ahead.as_of <= datetime.now(UTC)
    assert not ahead.is_past


@pytest.mark.parametrize(
    ("is_given", "run_type", "as_of", "is_past"),
    [
        # Nobody asked for a time: the bucket as it is, unless the run is more than a day late.
        (False, "manual", NOW - SECOND, False),
        (False, "scheduled", NOW - SECOND, False),
        (False, "scheduled", NOW - DAY, False),
        (False, "scheduled", NOW - DAY - SECOND, True),
        (False, "manual", NOW - DAY - SECOND, True),
        (False, "scheduled", NOW, False),
        # Somebody did.
        (False, "backfill", NOW - SECOND, True),
        (True, "manual", NOW - SECOND, True),
        (True, "scheduled", NOW - 2 * DAY, True),
        # A time that is not over cannot be asked of versions.
        (True, "manual", NOW, False),
        (True, "manual", NOW + SECOND, False),
        (False, "backfill", NOW + SECOND, False),
    ],
)
def test_a_run_is_about_the_past_or_about_the_bucket_as_it_is(
    is_given: bool, run_type: str, as_of: datetime, is_past: bool
) -> None:
    request = S3FolderRequest(as_of=as_of if is_given else None)
    assert is_past_run(request, run_type, as_of, NOW) is is_past


class RunType(str, Enum):  # noqa: UP042 (a StrEnum has the text that is wanted)
    """As Airflow's own in a task."""

    BACKFILL = "backfill"


@pytest.mark.parametrize(("run_type", "is_past"), [(RunType.BACKFILL, True), ("backfill", True), ("scheduled", False)])
def test_the_run_decides_it_from_its_context(run_type: str, is_past: bool) -> None:
    now = datetime.now(UTC)
    dag_run = SimpleNamespace(dag_id="d", run_id="r", run_type=run_type, run_after=now - timedelta(minutes=1))
    run = ImportRun.of(S3FolderRequest, {}, {"dag_run": dag_run})
    assert (run.is_past, run.run_type == "backfill") == (is_past, is_past)
    assert ImportRun.from_json(run.to_json()).is_past is is_past


@pytest.mark.parametrize(
    ("history_folder", "workspace", "expected"),
    [
        ("s3://example-images/h", "s3://example-workspace/w", "s3://example-images/h/"),
        ("s3://example-images", "s3://example-images/w", "s3://example-images/"),
        (None, "s3://example-images/w", "s3://example-images/w/"),
        (None, "s3://example-workspace/w", None),
    ],
)
def test_where_old_versions_go(history_folder: str | None, workspace: str, expected: str | None) -> None:
    request = S3FolderRequest.parse({"history_folder": history_folder})
    folder = request.history(S3FolderLocation.parse(workspace))
    assert (folder and str(folder)) == expected
    assert request.past_needs(S3FolderLocation.parse(workspace)).past == PastNeeds(
        history=folder, accepts_unversioned=False
    )


def test_a_run_id_becomes_one_folder_name() -> None:
    assert run_slug("manual__2026-11-22T22:26:24+00:00_x/y ü") == "manual__2026-11-22T22-26-24-00-00_x-y-"


def test_every_risk_can_be_accepted() -> None:
    assert get_args(RiskName) == tuple(map(str, Risk))
