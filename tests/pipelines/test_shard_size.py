"""How much work a mapped task gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.errors import RequestError
from include.pipelines import shard_size
from include.pipelines.shard_size import MAX_SHARDS, SECONDS_PER_SHARD, cut, seconds_per_shard

VARIABLE = "AIRFLOW_VAR_CUSTOM_LABELS_SHARD_SECONDS"


@pytest.mark.parametrize(
    ("works_s", "shard_s", "expected"),
    [
        ([], 40, [(0, 0)]),
        ([1], 40, [(0, 1)]),
        ([10, 10, 10], 20, [(0, 2), (2, 3)]),
        ([100, 1, 1], 20, [(0, 1), (1, 3)]),
        # What takes no time is not worth a task of its own.
        ([0, 0, 30, 0, 0, 30], 20, [(0, 3), (3, 6)]),
    ],
)
def test_cut(works_s: list[float], shard_s: float, expected: list[tuple[int, int]]) -> None:
    assert cut(works_s, shard_s) == expected


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), max_size=3000), st.floats(1e-6, 100))
def test_shards_are_all_of_it_in_order_and_never_too_many(works_s: list[float], shard_s: float) -> None:
    shards = cut(works_s, shard_s)
    assert [at for start, stop in shards for at in range(start, stop)] == list(range(len(works_s)))
    assert 1 <= len(shards) <= MAX_SHARDS


def test_airflow_can_map_over_as_many() -> None:
    from airflow.configuration import conf

    assert conf.getint("core", "max_map_length") >= MAX_SHARDS


def test_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_size.Variable, "get", lambda *_, default: default)
    assert seconds_per_shard() == SECONDS_PER_SHARD
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, "2.5")
    assert seconds_per_shard() == 2.5


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", ""])
def test_a_variable_that_is_no_number_of_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(RequestError) as caught:
        seconds_per_shard()
    assert caught.value.code == "INVALID_SHARD_SECONDS"
