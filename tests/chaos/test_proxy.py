"""The proxy that lets services fail, before a server that counts what it did."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3

from tests.chaos import proxy as proxy_module
from tests.chaos.proxy import Line, Proxy, Trap

pytestmark = pytest.mark.integration

BODY = b"0123456789" * 100


class Server(ThreadingHTTPServer):
    """Answers `BODY` to a GET, and keeps what was PUT."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.put: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer(BODY)

    def do_HEAD(self) -> None:
        self._answer(BODY)

    def do_PUT(self) -> None:
        self.server.put.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    address = f"http://127.0.0.1:{server.server_port}"
    with Proxy(address, address) as made:
        yield made


def ask(line: Line, method: str = "GET", body: bytes | None = None, path: str = "/bucket/key") -> Any:
    with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
        return pool.request(method, line.s3_endpoint + path, body=body)


def test_what_is_not_trapped_goes_through(proxy: Proxy, server: Server) -> None:
    with proxy.line() as line:
        assert ask(line).data == BODY
        assert ask(line, "HEAD").data == b""
        assert ask(line, "PUT", b"x", "/bucket/a%20key").status == 200
    assert server.put == [b"x"]
    assert [(each.number, each.name, each.is_write) for each in line.asked] == [
        (1, "GET /bucket/key", False),
        (2, "HEAD /bucket/key", False),
        (3, "PUT /bucket/a key", True),
    ]


def test_a_trap_is_for_requests_of_its_kind_and_number(proxy: Proxy) -> None:
    with proxy.line(Trap(kind="throttle", which="write", at=2, times=2)) as line:
        statuses = [ask(line, method, b"").status for method in ("PUT", "GET", "PUT", "PUT", "PUT")]
    assert statuses == [200, 200, 503, 503, 200]
    assert [asked.number for _, asked in line.sprung] == [3, 4]


@pytest.mark.parametrize(("kind", "is_carried_out"), [("reset", False), ("lost", True), ("lost_in_silence", True)])
def test_an_answer_is_lost_before_or_after_the_write(
    proxy: Proxy, server: Server, kind: Any, is_carried_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_module, "HANG_S", 0.05)
    with proxy.line(Trap(kind=kind, at=1)) as line, pytest.raises(urllib3.exceptions.HTTPError):
        ask(line, "PUT", b"x")
    assert server.put == [b"x"] * is_carried_out


def test_a_body_breaks_off(proxy: Proxy) -> None:
    with proxy.line(Trap(kind="truncate", at=1)) as line, pytest.raises(urllib3.exceptions.HTTPError):
        ask(line)


def test_a_slow_body_arrives_whole(proxy: Proxy) -> None:
    with proxy.line(Trap(kind="slow", at=1)) as line:
        assert ask(line).data == BODY


@pytest.mark.parametrize("is_after", [False, True])
def test_a_held_request_waits_until_it_is_released(proxy: Proxy, server: Server, is_after: bool) -> None:
    with proxy.line(Trap(kind="hold", at=1, is_after=is_after)) as line:
        held: list[int] = []

        def on_hold(trap: Trap, asked: Any) -> None:
            held.append(len(server.put))
            proxy.release(line)

        line.on_hold = on_hold
        assert ask(line, "PUT", b"x").status == 200
    assert held == [int(is_after)]
    assert server.put == [b"x"]
