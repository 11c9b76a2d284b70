"""What Airflow loads: nothing that takes time, and with Airflow's own rights once it is asked."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import create_autospec

import httpx
import pytest

from include.gallery.addresses import SampleAddress

PROJECT = Path(__file__).resolve().parents[2]
PLUGIN = PROJECT / "plugins" / "gallery_plugin.py"
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


def path(address: SampleAddress) -> str:
    return f"/{address.url.removeprefix('custom-labels/')}"


async def test_nobody_is_let_in_without_a_login(plugin: ModuleType) -> None:
    (app,) = plugin.GalleryPlugin.fastapi_apps
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app["app"]), base_url="http://airflow") as client:
        assert (await client.get(path(ADDRESS))).status_code == 401


async def test_the_dag_of_the_address_is_the_one_whose_readers_are_let_in(
    plugin: ModuleType, airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api import security

    manager = create_autospec(BaseAuthManager, instance=True)
    manager.is_authorized_dag.side_effect = lambda *, details, **_: details.id == ADDRESS.dag_id
    monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
    app = plugin.build_gallery()
    app.dependency_overrides[security.get_user] = lambda: SimpleNamespace(name="example-reader")
    another = SampleAddress(dag_id="dag_id", run_id="run-1", dataset_type="train", number=0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
        assert (await client.get(path(another))).status_code == 403
        # No such run.
        assert (await client.get(path(ADDRESS), params={"dag_id": "dag_id"})).status_code == 404
    asked = manager.is_authorized_dag.call_args.kwargs
    assert (asked["method"], asked["access_entity"]) == ("GET", DagAccessEntity.HITL_DETAIL)
