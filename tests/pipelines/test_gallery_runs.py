"""What the gallery knows of the runs that hold a dataset's lease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from include.gallery.save_lease import HOLDER
from include.object_store.holders import Holder
from include.pipelines.gallery_runs import AirflowRuns

STARTED = datetime(2026, 11, 24, 20, tzinfo=UTC)
OURS, ANOTHER = "a" * 32, "b" * 32


@pytest.fixture
def runs(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowRuns]:
    """An Airflow with a run in each of these states, whose id is its state."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID", OURS)
    made = [
        DagRun(
            dag_id="example_leases",
            run_id=state,
            run_type=DagRunType.MANUAL,
            state=state,
            start_date=None if state == "queued" else STARTED,
        )
        for state in ("queued", "running", "success", "failed")
    ]
    with create_session() as session:
        session.add_all(made)
    yield AirflowRuns(lambda _: pytest.fail("nothing is read from S3"))
    with create_session() as session:
        session.query(DagRun).filter(DagRun.dag_id == "example_leases").delete()


@pytest.mark.parametrize(
    ("holder", "has_ended"),
    [
        (Holder("example_leases", "queued", OURS), False),
        (Holder("example_leases", "running", OURS), False),
        (Holder("example_leases", "success", OURS), True),
        (Holder("example_leases", "failed", OURS), True),
        (Holder("example_leases", "failed"), True),
        pytest.param(Holder("example_leases", "deleted", OURS), True, id="deleted in this Airflow"),
        pytest.param(Holder("example_leases", "unknown", ANOTHER), False, id="of another Airflow"),
        pytest.param(Holder("example_leases", "unknown"), False, id="of an earlier release"),
        pytest.param(Holder(HOLDER, "20261124T180000Z-0000000000000000"), False, id="a save"),
    ],
)
def test_a_run_that_this_airflow_does_not_know_any_more_has_ended(
    runs: AirflowRuns, holder: Holder, has_ended: bool
) -> None:
    assert runs.has_ended(holder) == has_ended


def test_an_airflow_without_an_id_has_never_held_a_lease(runs: AirflowRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID", "")
    assert not runs.has_ended(Holder("example_leases", "unknown", ""))
    assert not runs.has_ended(Holder("example_leases", "unknown", ANOTHER))


def test_when_a_run_started_is_told(runs: AirflowRuns) -> None:
    assert runs.started_at(Holder("example_leases", "running")) == STARTED
    assert runs.started_at(Holder("example_leases", "queued")) is None
    assert runs.started_at(Holder("example_leases", "deleted", OURS)) is None
