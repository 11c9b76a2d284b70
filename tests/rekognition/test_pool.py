from __future__ import annotations

import pytest
from airflow.sdk import BaseOperator, get_current_context
from airflow.sdk.execution_time.context import set_current_context

from include.rekognition.hook import RekognitionHook
from include.rekognition.pacing import RequestPacer
from include.rekognition.pool import POOL, POOL_SLOTS, REQUESTS_PER_S, in_pool, requests_per_s


def test_the_pools_slots_are_the_quota() -> None:
    assert (POOL_SLOTS, REQUESTS_PER_S) == (50, 5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (in_pool(2), 0.2),
        (in_pool(20), 2.0),
        (in_pool(POOL_SLOTS), REQUESTS_PER_S),
        # Slots of another pool mean something else.
        ({"pool": "default_pool", "pool_slots": 2}, REQUESTS_PER_S),
        ({}, REQUESTS_PER_S),
    ],
)
def test_the_pace_of_a_task_is_its_share(arguments: dict[str, object], expected: float) -> None:
    task = BaseOperator(task_id="example", **arguments)
    with set_current_context({"task": task}):  # type: ignore[typeddict-item]
        assert requests_per_s() == expected


def test_the_pace_outside_of_a_task_is_the_quota() -> None:
    with pytest.raises(RuntimeError):
        get_current_context()
    assert requests_per_s() == REQUESTS_PER_S


def test_the_hooks_client_takes_the_pace_of_the_task(aws_connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paces: list[float] = []
    made = RequestPacer.__init__

    def seen(self: RequestPacer, pace: float) -> None:
        paces.append(pace)
        made(self, pace)

    monkeypatch.setattr(RequestPacer, "__init__", seen)
    with set_current_context({"task": BaseOperator(task_id="example", **in_pool(10))}):  # type: ignore[typeddict-item]
        assert RekognitionHook(aws_conn_id=aws_connection).conn
    assert paces == [1.0]
    assert POOL == "custom_labels_rekognition"
