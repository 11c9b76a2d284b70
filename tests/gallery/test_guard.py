"""What stands before every route: origins, headers, content types, sizes, how often, and what is sent along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.types import Message

from include.custom_labels.errors import AccessError
from include.gallery import guard
from include.gallery.guard import MAX_IMAGE_BYTES, MAX_JSON_BYTES, WriteLimits
from tests.gallery.visitors import EDITOR, ORIGIN, RIGHTS, VIEWER, WRITE, gallery_of

IMAGE_PATH = "/api/uploads/1/images/0"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def echo() -> APIRouter:
    """Routes that take whatever the guard lets through, for anybody."""
    router = APIRouter()

    @router.api_route("/api/things", methods=["GET", *UNSAFE])
    @router.put(IMAGE_PATH)
    async def take(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @router.get("/failing")
    def fail() -> Response:
        raise AccessError("ACCESS_DENIED", "S3 denies access to <img onerror=alert(1)>.", "Allow it.")

    @router.get("/strict")
    def strict() -> Response:
        return Response(headers={"Content-Security-Policy": "default-src 'none'"})

    return router


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gallery_of(echo(), origins=("https://airflow.example.com",)))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


def without(*names: str, **others: str) -> dict[str, str]:
    return {name: value for name, value in WRITE.items() if name not in names} | others


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (WRITE, 200, ""),
        (without(origin="https://airflow.example.com"), 200, ""),
        (without() | {"content-type": "application/json; charset=utf-8"}, 200, ""),
        (without("origin"), 403, "ORIGIN_REFUSED"),
        (without(origin="null"), 403, "ORIGIN_REFUSED"),
        (without(origin="https://gallery"), 403, "ORIGIN_REFUSED"),
        (without(origin="http://gallery:8080"), 403, "ORIGIN_REFUSED"),
        (without(origin="http://gallery.example.com"), 403, "ORIGIN_REFUSED"),
        (without(origin="https://airflow.example.com.evil"), 403, "ORIGIN_REFUSED"),
        (without("x-custom-labels"), 403, "HEADER_MISSING"),
        (without() | {"x-custom-labels": "0"}, 403, "HEADER_MISSING"),
        (without("content-type"), 415, "CONTENT_TYPE_REFUSED"),
        (without() | {"content-type": "text/plain"}, 415, "CONTENT_TYPE_REFUSED"),
        (without() | {"content-type": "text/plain; application/json"}, 415, "CONTENT_TYPE_REFUSED"),
        (without() | {"content-type": "application/x-www-form-urlencoded"}, 415, "CONTENT_TYPE_REFUSED"),
        (without() | {"content-type": "multipart/form-data; boundary=x"}, 415, "CONTENT_TYPE_REFUSED"),
        (without() | {"content-type": "application/octet-stream"}, 415, "CONTENT_TYPE_REFUSED"),
    ],
)
async def test_only_the_gallerys_own_page_changes_something(
    client: httpx.AsyncClient, method: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.request(method, "/api/things", headers=headers, content=b"{}")
    assert answer.status_code == status
    assert (answer.json()["code"] if code else "") == code
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")


async def test_looking_takes_no_headers_and_no_body(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/things")).text == "0"
    assert (await client.request("GET", "/api/things", content=b"{}")).json()["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get"])
async def test_an_unknown_method_is_taken_for_one_that_changes_something(
    client: httpx.AsyncClient, method: str
) -> None:
    request = client.build_request("GET", "/api/things")
    request.method = method
    assert (await client.send(request)).status_code == 403


async def test_bytes_are_taken_where_images_are_sent_and_only_there(client: httpx.AsyncClient) -> None:
    octets = without() | {"content-type": "application/octet-stream"}
    assert (await client.put(IMAGE_PATH, headers=octets, content=b"123")).text == "3"
    assert (await client.put(IMAGE_PATH, headers=WRITE, content=b"{}")).status_code == 415
    assert (await client.post(IMAGE_PATH, headers=octets, content=b"123")).status_code == 415
    assert (await client.put(IMAGE_PATH + "/x", headers=octets, content=b"123")).status_code == 415


async def test_a_mounted_gallery_knows_its_own_paths() -> None:
    outer = FastAPI()
    outer.mount("/airflow/custom-labels", gallery_of(echo()))
    octets = without() | {"content-type": "application/octet-stream"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url=ORIGIN) as client:
        answer = await client.put("/airflow/custom-labels" + IMAGE_PATH, headers=octets, content=b"123")
    assert answer.text == "3"


@pytest.mark.parametrize(
    ("path", "content_type", "limit_bytes"),
    [
        ("/api/things", "application/json", MAX_JSON_BYTES),
        (IMAGE_PATH, "application/octet-stream", MAX_IMAGE_BYTES),
    ],
)
async def test_a_body_is_cut_off_while_it_is_read(
    client: httpx.AsyncClient, path: str, content_type: str, limit_bytes: int
) -> None:
    headers = without() | {"content-type": content_type}
    assert (await client.put(path, headers=headers, content=bytes(limit_bytes))).text == str(limit_bytes)
    # What a request says of its length counts against it only.
    told = await client.put(path, headers=headers, content=bytes(limit_bytes + 1))
    assert (told.status_code, told.json()["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("declared", [None, b"2", b"many", "\u0662".encode()])
async def test_an_endless_body_is_not_read_to_its_end(declared: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_JSON_BYTES", 1000)
    chunks = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal chunks
        chunks += 1
        return {"type": "http.request", "body": bytes(100), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"gallery"), *((name.encode(), value.encode()) for name, value in WRITE.items())]
    headers += [(b"content-length", declared)] if declared else []
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/things",
        "query_string": b"",
        "headers": headers,
    }
    await gallery_of(echo())(scope, receive, send)
    assert chunks == 11
    assert sent[0]["status"] == 413


async def test_every_answer_has_the_policy(client: httpx.AsyncClient) -> None:
    for url in ("/api/things", "/failing", "/nothing"):
        headers = (await client.get(url)).headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
            "font-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert not [name for name in headers if name.startswith("access-control-")]
    assert (await client.get("/strict")).headers["content-security-policy"] == "default-src 'none'"


async def test_problems_are_json_whatever_is_in_them(client: httpx.AsyncClient) -> None:
    answer = await client.get("/failing")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["message"] == "S3 denies access to <img onerror=alert(1)>."
    assert (await client.get("/nothing")).json()["code"] == "NOT_FOUND"


async def test_web_sockets_are_closed() -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    await gallery_of(echo())({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_person_may_ask_so_often() -> None:
    limits = WriteLimits(RIGHTS)
    router = APIRouter(dependencies=[Depends(RIGHTS.write)])

    @router.post("/api/few", dependencies=[limits.per_minute(3, "few")])
    def few() -> Response:
        return Response()

    @router.post("/api/many", dependencies=[limits.per_minute(100, "many")])
    def many() -> Response:
        return Response()

    async with httpx.AsyncClient(transport=httpx.ASGITransport(gallery_of(router)), base_url=ORIGIN) as client:
        # What is refused anyway counts for nobody.
        for _ in range(5):
            assert (await client.post("/api/few", headers=WRITE | VIEWER)).status_code == 403
            assert (await client.post("/api/few", headers=EDITOR)).status_code == 403
        statuses = [(await client.post("/api/few", headers=WRITE | EDITOR)).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await client.post("/api/few", headers=WRITE | EDITOR)
        assert refused.json()["code"] == "TOO_MANY_REQUESTS"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert 0 < refused.json()["retry_after_s"] <= 60
        assert (await client.post("/api/many", headers=WRITE | EDITOR)).status_code == 200
        other = {"authorization": "editor-two"}
        assert (await client.post("/api/few", headers=WRITE | other)).status_code == 200
