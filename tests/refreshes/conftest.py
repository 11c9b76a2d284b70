"""A dataset of a small S3 folder, and what imports and people do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from include.pipelines import existing_dataset, ground_truth, runs
from include.rekognition import hook
from tests.fixtures.local_aws import LocalAws, require_weed, running_local_aws
from tests.fixtures.places import Place
from tests.refreshes.imports import Airflow, Imports
from tests.refreshes.people import People


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Services of the stories' own, with operations that take no longer than an answer does: stories have many."""
    require_weed()
    with running_local_aws(tmp_path_factory.mktemp("local-aws"), "--status-delay", "0.02") as services:
        yield services


@pytest.fixture(scope="session")
def clients() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """To make clients takes longer than all that an import of a few images does with them."""
    return cache(runs.s3_session), cache(runs.rekognition_hook)


@pytest.fixture
def imports(
    place: Place, monkeypatch: pytest.MonkeyPatch, clients: tuple[Callable[..., Any], Callable[..., Any]]
) -> Imports:
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID", "example-airflow")
    monkeypatch.setattr(hook, "requests_per_s", lambda: 1000.0)
    for module in (runs, existing_dataset, ground_truth):
        monkeypatch.setattr(module, "s3_session", clients[0])
        monkeypatch.setattr(module, "rekognition_hook", clients[1])
    return Imports(place, Airflow())


@pytest.fixture
def people(place: Place) -> People:
    return People(place)


ECHOES = tuple(f"echo/{number}.png" for number in range(4))
DOTS = tuple(f"dot/{number}.png" for number in range(4))


@pytest.fixture
def registered(imports: Imports, people: People) -> Imports:
    """A dataset of eight images: four of them `echo`, four `dot`."""
    people.put(*ECHOES, *DOTS)
    imports.run()
    return imports
