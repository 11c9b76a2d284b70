"""The pool is there before a task needs it, and keeps the size that somebody gave it."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from include.pipelines import pool
from include.rekognition.pool import POOL, POOL_SLOTS

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "pool_plugin.py"


@pytest.fixture
def plugin() -> ModuleType:
    """The file as Airflow executes it: under its bare name."""
    spec = importlib.util.spec_from_file_location("pool_plugin", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_pool(airflow_database: None) -> Iterator[None]:
    """A database without the pool, before and after the test."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def remove() -> None:
        with create_session() as session:
            session.execute(delete(Pool).where(Pool.pool == POOL))

    remove()
    yield
    remove()


def stored() -> tuple[int, bool] | None:
    from airflow.models.pool import Pool

    found = Pool.get_pool(POOL)
    return None if found is None else (found.slots, found.include_deferred)


def test_airflow_takes_it(plugin: ModuleType) -> None:
    from airflow.listeners.listener import get_listener_manager
    from airflow.plugins_manager import is_valid_plugin

    assert is_valid_plugin(plugin.PoolPlugin)
    assert plugin.PoolPlugin.listeners == [pool]
    # Airflow has loaded the plugin from its plugins folder.
    assert get_listener_manager().pm.is_registered(pool)


def test_a_service_that_starts_makes_the_pool(no_pool: None) -> None:
    from airflow.jobs.job import Job

    assert stored() is None
    pool.on_starting(Job())
    assert stored() == (POOL_SLOTS, True)


def test_a_pool_of_another_size_is_left_as_it_is(no_pool: None) -> None:
    from airflow.models.pool import Pool

    Pool.create_or_update_pool(POOL, 20, "A quota that others use too.", include_deferred=True)
    pool.ensure_pool()
    assert stored() == (20, True)


def test_two_services_at_the_same_time(
    no_pool: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.models.pool import Pool

    pool.ensure_pool()
    # As if the other one had not made it yet when this one looked.
    monkeypatch.setattr(Pool, "get_pool", lambda *_, **__: None)
    with caplog.at_level(logging.INFO):
        pool.ensure_pool()
    assert "was made by another service" in caplog.text


def test_a_task_that_starts_has_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

    def refuse() -> None:
        raise AssertionError("a task reached for the database")

    monkeypatch.setattr(pool, "ensure_pool", refuse)
    pool.on_starting(TaskRunnerMarker())
