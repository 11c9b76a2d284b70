"""What Airflow loads: nothing that takes time, and with Airflow's own rights once it is asked."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import httpx
import pytest
from fastapi import FastAPI

from include.gallery.addresses import SampleAddress

PROJECT = Path(__file__).resolve().parents[2]
PLUGIN = PROJECT / "plugins" / "gallery_plugin.py"
IMPORT_DAGS = ["import_s3_folder", "import_local_computer", "import_ground_truth", "import_existing_dataset"]
ADDRESS = SampleAddress(dag_id="import_s3_folder", run_id="run-1", dataset_type="train", number=0)


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The file as Airflow executes it: under its bare name."""
    spec = importlib.util.spec_from_file_location("gallery_plugin", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported_when_loaded(path: Path) -> set[str]:
    """Modules that a file imports outside its functions."""
    nodes = ast.parse(path.read_text()).body
    return {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }


def test_loading_it_costs_nothing() -> None:
    """Every task process loads plugins; FastAPI alone takes a second."""
    assert imported_when_loaded(PLUGIN) == {
        "__future__",
        "pathlib",
        "airflow.plugins_manager",
        "include.gallery.addresses",
        "include.gallery.lazy_app",
    }
    light = {"__future__", "asyncio", "collections.abc", "dataclasses", "typing", "urllib.parse"}
    for name in ("addresses", "lazy_app"):
        assert imported_when_loaded(PROJECT / "include" / "gallery" / f"{name}.py") <= light


def test_airflow_takes_it(plugin: ModuleType) -> None:
    from airflow.plugins_manager import is_valid_plugin

    assert is_valid_plugin(plugin.GalleryPlugin)
    (app,) = plugin.GalleryPlugin.fastapi_apps
    assert (app["url_prefix"], callable(app["app"])) == ("/custom-labels", True)
    views = {view["destination"]: view["href"] for view in plugin.GalleryPlugin.external_views}
    assert views == {"nav": "custom-labels/", "dag_run": "custom-labels/#/runs/{DAG_ID}/{RUN_ID}"}


def path(address: SampleAddress) -> str:
    return f"/{address.url.removeprefix('custom-labels/')}"


async def test_nobody_is_let_in_without_a_login(plugin: ModuleType) -> None:
    (app,) = plugin.GalleryPlugin.fastapi_apps
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app["app"]), base_url="http://airflow") as client:
        assert (await client.get(path(ADDRESS))).status_code == 401


class Manager:
    """Airflow's auth manager for people who may do some things with some Dags."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, may: Callable[[str, str, Any], bool]) -> None:
        from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
        from airflow.api_fastapi.core_api import security

        from include.pipelines import gallery_rights

        manager = create_autospec(BaseAuthManager, instance=True)
        manager.is_authorized_dag.side_effect = lambda *, method, details, access_entity, **_: may(
            method, details.id, access_entity
        )
        monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
        monkeypatch.setattr(gallery_rights, "get_auth_manager", lambda: manager)


@pytest.fixture(scope="module")
def gallery(plugin: ModuleType, airflow_database: None) -> FastAPI:
    from airflow.api_fastapi.core_api.security import get_user

    app: FastAPI = plugin.build_gallery()
    app.dependency_overrides[get_user] = lambda: SimpleNamespace(get_name=lambda: "example-person")
    return app


@pytest.fixture
async def client(gallery: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gallery)
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
        yield client


async def test_the_dag_of_the_address_is_the_one_whose_readers_are_let_in(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    Manager(
        monkeypatch,
        lambda method, dag_id, entity: (
            (method, dag_id, entity)
            == (
                "GET",
                ADDRESS.dag_id,
                DagAccessEntity.HITL_DETAIL,
            )
        ),
    )
    another = SampleAddress(dag_id="dag_id", run_id="run-1", dataset_type="train", number=0)
    assert (await client.get(path(another))).status_code == 403
    # No such run.
    assert (await client.get(path(ADDRESS), params={"dag_id": "dag_id"})).status_code == 404


@pytest.mark.parametrize(
    ("reads", "triggers", "looks", "writes"),
    [
        (IMPORT_DAGS, IMPORT_DAGS, 200, True),
        (IMPORT_DAGS, IMPORT_DAGS[:3], 200, False),
        (IMPORT_DAGS, [], 200, False),
        (IMPORT_DAGS[1:], IMPORT_DAGS, 403, None),
        ([], [], 403, None),
    ],
)
async def test_looking_takes_the_right_to_read_all_import_dags_and_writing_to_trigger_them(
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    reads: list[str],
    triggers: list[str],
    looks: int,
    writes: bool | None,
) -> None:
    Manager(monkeypatch, lambda method, dag_id, _: dag_id in {"GET": reads, "POST": triggers}[method])
    session = await client.get("/api/session")
    assert session.status_code == looks
    if looks == 200:
        assert session.json()["user"] == "example-person"
        assert session.json()["can_edit"] is writes
        assert [each["dag_id"] for each in session.json()["sources"] if each["can_trigger"]] == triggers
    sent = {"origin": "http://airflow", "x-custom-labels": "1", "content-type": "application/json"}
    begun = await client.post("/api/uploads", headers=sent, content=b"{}")
    assert begun.status_code == (201 if triggers == IMPORT_DAGS else 403)
