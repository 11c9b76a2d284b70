from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.rekognition.pacing import RequestPacer


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacer(clock: Clock) -> RequestPacer:
    return RequestPacer(5, clock=clock, sleep=clock.sleep)


def test_requests_of_one_operation_are_spaced(pacer: RequestPacer, clock: Clock) -> None:
    for _ in range(11):
        pacer(event_name="before-send.rekognition.ListDatasetEntries")
    assert clock.now_s - 100 == pytest.approx(2.0)


def test_the_first_and_a_late_request_do_not_wait(pacer: RequestPacer, clock: Clock) -> None:
    pacer(event_name="before-send.rekognition.DescribeDataset")
    clock.now_s += 1
    pacer(event_name="before-send.rekognition.DescribeDataset")
    assert clock.slept_s == []


def test_operations_have_a_quota_each(pacer: RequestPacer, clock: Clock) -> None:
    pacer(event_name="before-send.rekognition.DescribeDataset")
    pacer(event_name="before-send.rekognition.DescribeProjects")
    assert clock.slept_s == []


def test_threads_share_the_pace() -> None:
    slept_s: list[float] = []
    pacer = RequestPacer(5, clock=lambda: 100.0, sleep=slept_s.append)
    with ThreadPoolExecutor(4) as threads:
        for answer in [threads.submit(pacer, event_name="before-send.rekognition.DescribeDataset") for _ in range(20)]:
            assert answer.result() is None
    assert sorted(slept_s) == pytest.approx([0.2 * n for n in range(1, 20)])
