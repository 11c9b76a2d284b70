"""The gallery as it is mounted: every route asks who is there, and which of a run's pictures can be named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from include.custom_labels.errors import AccessError
from include.gallery.addresses import MAX_SAMPLES, MOUNT, SampleAddress
from include.gallery.app import create_app
from include.gallery.messages import RunPage
from include.gallery.services import DatasetService, Rights
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from tests.gallery.visitors import RIGHTS, WRITE

RUN_ID = "manual__2026-11-22T22:26:24.5+00:00"
ADDRESS = SampleAddress(dag_id="import_s3_folder", run_id=RUN_ID, dataset_type="train", number=3)
PICTURE = b"\xff\xd8\xff picture"


class Samples:
    """Runs of one picture that know what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[SampleAddress] = []

    def sample(self, address: SampleAddress) -> bytes | None:
        self.asked.append(address)
        if address.dataset_type == "test":
            raise AccessError("ACCESS_DENIED", "S3 denies access.", "Allow it.", location="s3://example-workspace/")
        return PICTURE if address == ADDRESS else None

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        raise NotImplementedError

    def has_ended(self, holder: Holder) -> bool:
        raise NotImplementedError

    def started_at(self, holder: Holder) -> datetime | None:
        raise NotImplementedError


class OnlyRuns:
    """Services of which nothing but runs is asked."""

    def __init__(self, runs: Samples) -> None:
        self._runs = runs

    def runs(self) -> Samples:
        return self._runs

    def datasets(self) -> DatasetService:
        raise NotImplementedError

    def s3(self) -> S3Session:
        raise NotImplementedError

    def workspace(self) -> Workspace:
        raise NotImplementedError


def may_read_run(request: Request) -> None:
    """A caller names the Dag that they may read."""
    if "authorization" not in request.headers:
        raise HTTPException(401)
    if request.headers["authorization"] != request.path_params["dag_id"]:
        raise HTTPException(403)


RUNS = Samples()


@pytest.fixture
def samples() -> Samples:
    RUNS.asked.clear()
    return RUNS


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Made once: its routes take a third of a second."""
    rights = replace(RIGHTS, read_run=may_read_run)
    folder = tmp_path_factory.mktemp("gallery")
    return create_app(services=OnlyRuns(RUNS), rights=rights, folder=folder, web=folder / "web")


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": ADDRESS.dag_id}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gallery", headers=headers) as client:
        yield client


def asks_who(route: APIRoute, rights: Rights) -> bool:
    """Whether the route depends on one of the rights that refuse."""
    calls = {dependency.call for dependency in route.dependant.dependencies}
    return bool(calls & {rights.read, rights.write, may_read_run})


def test_every_route_asks_who_is_there(app: FastAPI) -> None:
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(routes) == len(app.routes) > 15
    assert [route.path for route in routes if not asks_who(route, RIGHTS)] == []
    writing = [route for route in routes if route.methods - {"GET", "HEAD"}]
    assert writing
    for route in writing:
        assert RIGHTS.write in {dependency.call for dependency in route.dependant.dependencies}, route.path


def path(address: SampleAddress) -> str:
    """The address within the application, which is mounted elsewhere."""
    return "/" + address.url.removeprefix(MOUNT.lstrip("/") + "/")


async def test_a_picture_is_a_jpeg_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get(path(ADDRESS))
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert answer.headers["content-security-policy"] == "default-src 'none'"


def test_an_address_is_relative_and_safe_in_markdown() -> None:
    assert ADDRESS.url == ("custom-labels/samples/import_s3_folder/manual__2026-11-22T22%3A26%3A24.5%2B00%3A00/train/3")
    hostile = SampleAddress(dag_id="a/../b", run_id="x)](http://example.com) \n<", dataset_type="test", number=0)
    assert hostile.url.count("/") == 5
    assert not set(hostile.url) & set("()[]<>: \n")


@pytest.mark.parametrize(("caller", "status"), [(None, 401), ("another_dag", 403)])
async def test_nothing_is_read_for_who_may_not_see_the_dag(
    client: httpx.AsyncClient, samples: Samples, caller: str | None, status: int
) -> None:
    del client.headers["authorization"]
    headers = {"authorization": caller} if caller else {}
    for url in (path(ADDRESS), "/samples/import_s3_folder/run/train/none", "/samples/import_s3_folder/run/other/0"):
        assert (await client.get(url, headers=headers)).status_code == status
    assert samples.asked == []


async def test_a_picture_that_is_not_there(client: httpx.AsyncClient, samples: Samples) -> None:
    assert (await client.get("/samples/import_s3_folder/another-run/train/3")).status_code == 404
    assert [address.run_id for address in samples.asked] == ["another-run"]


@pytest.mark.parametrize(
    "rest",
    [
        "run/train/-1",
        "run/train/+1",
        "run/train/1.jpg",
        "run/train/01",
        "run/train/%D9%A1",
        "run/train/100",
        f"run/train/{MAX_SAMPLES}",
        "run/TRAIN/0",
        "run/train%2B/0",
        "run/train/0/",
        "run/train/..%2F..%2F0",
        "run%00/train/0",
        "run%0A/train/0",
        "..%2F..%2Fother/train/0",
        "%2e%2e/%2e%2e/train/0",
        "a/b/train/0",
        f"{'r' * 251}/train/0",
        "run/train",
        "",
    ],
)
async def test_other_things_cannot_be_named(client: httpx.AsyncClient, samples: Samples, rest: str) -> None:
    assert (await client.get(f"/samples/import_s3_folder/{rest}", follow_redirects=False)).status_code in (
        307,
        404,
        422,
    )
    assert samples.asked == []


@pytest.mark.parametrize("dag_id", ["..%2Fother", "%2e%2e%2f", "a%20b", "%0A", "~", "a" * 251])
async def test_no_dag_has_such_an_id(client: httpx.AsyncClient, samples: Samples, dag_id: str) -> None:
    assert (await client.get(f"/samples/{dag_id}/run/train/0")).status_code in (403, 404, 422)
    assert samples.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_pictures_are_only_read(client: httpx.AsyncClient, samples: Samples, method: str) -> None:
    assert (await client.request(method, path(ADDRESS), headers=WRITE)).status_code == 405
    assert samples.asked == []


@pytest.mark.parametrize("url", ["/docs", "/redoc", "/openapi.json"])
async def test_nothing_else_is_there(client: httpx.AsyncClient, url: str) -> None:
    assert (await client.get(url)).status_code == 404


async def test_what_s3_answers_comes_with_its_code(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/samples/import_s3_folder/{RUN_ID}/test/0")
    assert answer.status_code == 502
    assert answer.json() == {
        "code": "ACCESS_DENIED",
        "message": "S3 denies access.",
        "next_step": "Allow it.",
        "retry_after_s": None,
    }
