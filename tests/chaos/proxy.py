"""A proxy between one run and both services that counts requests and lets something happen at chosen ones.

What happens is a `Trap`: an error, a broken or silent connection, half an answer, an answer that is lost after the
write happened, the end of the run's process, or a pause in which others act. Traps are told by the number of a request
of a kind, so that a seed meets the same ones again, as far as a run's threads keep their order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from tests.chaos.http_messages import MAX_HEAD_BYTES, Message, answer, read_answer, read_body, read_head, without_header

HOST: Final = "127.0.0.1"
HANG_S: Final = 1.3
"""How long a silent connection lasts; clients of runs with one give up earlier."""

Kind = Literal["error", "throttle", "reset", "lost", "hang", "lost_in_silence", "truncate", "slow", "kill", "hold"]
Which = Literal["any", "write", "rekognition", "rekognition_write", "document"]

FAULTS: Final[tuple[Kind, ...]] = (
    "error",
    "throttle",
    "reset",
    "lost",
    "hang",
    "lost_in_silence",
    "truncate",
    "slow",
)

_REKOGNITION_WRITES: Final = frozenset(
    {"CreateProject", "CreateDataset", "DeleteDataset", "UpdateDatasetEntries", "DistributeDatasetEntries"}
)
_DOCUMENTS: Final = ("/registration.json", "/current.json", "/summary.json", "/ledger.parquet", ".manifest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request.

    :ivar name: an operation of Rekognition, or method and key of S3
    """

    number: int
    service: str
    name: str
    is_write: bool

    def is_one_of(self, which: Which) -> bool:
        """Whether a trap for these requests is about this one."""
        if which == "any":
            return True
        if which == "write":
            return self.is_write
        if which == "document":
            return (
                self.service == "s3" and self.is_write and self.name.endswith(_DOCUMENTS) and "/datasets/" in self.name
            )
        return self.service == "rekognition" and (which == "rekognition" or self.is_write)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """What happens at the n-th request of a kind, and at those that follow.

    :ivar at: from 1
    :ivar times: at how many requests in a row
    :ivar is_after: once the request has been carried out, and before its answer; else instead of the request, or
        before it
    """

    kind: Kind
    at: int
    which: Which = "any"
    times: int = 1
    is_after: bool = False

    def __str__(self) -> str:
        times = f" x{self.times}" if self.times > 1 else ""
        return f"{self.kind} {'after' if self.is_after else 'at'} {self.which} request {self.at}{times}"


@dataclass(slots=True)
class Line:
    """The way of one run to both services.

    :ivar pid: of the run's process, which a trap may end
    :ivar on_hold: called in the proxy's thread when a request is held; `release` lets it go
    :ivar asked: all requests so far
    :ivar sprung: traps that were met
    """

    traps: Sequence[Trap] = ()
    pid: int = 0
    on_hold: Callable[[Trap, Asked], None] = lambda _trap, _asked: None
    s3_endpoint: str = ""
    rekognition_endpoint: str = ""
    asked: list[Asked] = field(default_factory=list)
    sprung: list[tuple[Trap, Asked]] = field(default_factory=list)
    counts: dict[Which, int] = field(default_factory=dict)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, service: str, request: Message) -> tuple[Asked, Trap | None]:
        """Count a request; the trap that it meets."""
        asked = _describe(len(self.asked) + 1, service, request)
        self.asked.append(asked)
        met: Trap | None = None
        for which in ("any", "write", "rekognition", "rekognition_write", "document"):
            if asked.is_one_of(which):
                self.counts[which] = self.counts.get(which, 0) + 1
                for trap in self.traps:
                    if trap.which == which and trap.at <= self.counts[which] < trap.at + trap.times:
                        met = met or trap
        if met:
            self.sprung.append((met, asked))
        return asked, met


class Proxy:
    """Opens lines; one thread serves all of them."""

    def __init__(self, s3_endpoint: str, rekognition_endpoint: str) -> None:
        self._upstreams = {"s3": urlsplit(s3_endpoint).port, "rekognition": urlsplit(rekognition_endpoint).port}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos proxy", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def line(self, *traps: Trap) -> Iterator[Line]:
        """A line that is open until the block ends."""
        line = Line(traps)
        servers = self._run(self._listen(line))
        try:
            yield line
        finally:
            self._run(self._close(line, servers))

    def release(self, line: Line) -> None:
        """Let a held request go."""
        self._loop.call_soon_threadsafe(line.released.set)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self, line: Line) -> list[asyncio.Server]:
        servers = []
        for service in self._upstreams:
            server = await asyncio.start_server(self._server(line, service), HOST, 0, limit=MAX_HEAD_BYTES)
            servers.append(server)
            setattr(line, f"{service}_endpoint", f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
        return servers

    async def _close(self, line: Line, servers: list[asyncio.Server]) -> None:
        line.released.set()
        for server in servers:
            server.close()
        tasks = [task for task in self._tasks if task.get_name() == str(id(line))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _server(self, line: Line, service: str) -> Any:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(line, service, reader, writer), name=str(id(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept

    async def _serve(
        self, line: Line, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                request = await _read_request(reader, writer)
                upstream = upstream or await asyncio.open_connection(
                    HOST, self._upstreams[service], limit=MAX_HEAD_BYTES
                )
                answered = await self._answer(line, service, request, upstream, writer)
                if answered is None:
                    return
                writer.write(answered.head + answered.body)
                await writer.drain()
                if request.ends_connection or answered.ends_connection:
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            for each in (writer, upstream and upstream[1]):
                if each:
                    each.close()

    async def _answer(
        self,
        line: Line,
        service: str,
        request: Message,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
    ) -> Message | None:
        """The answer; None where the connection is at its end."""
        asked, trap = line.note(service, request)

        async def forwarded() -> Message:
            upstream[1].write(request.head + request.body)
            return await read_answer(upstream[0], request.first_line.split(" ")[0])

        if trap is None:
            return await forwarded()
        match trap.kind:
            case "error" | "throttle":
                return _refusal(service, trap.kind, request)
            case "reset":
                _reset(writer)
                return None
            case "lost":
                await forwarded()
                _reset(writer)
                return None
            case "hang" | "lost_in_silence":
                if trap.kind == "lost_in_silence":
                    await forwarded()
                await asyncio.sleep(HANG_S)
                _reset(writer)
                return None
            case "truncate":
                whole = await forwarded()
                if not whole.body:
                    return whole
                writer.write(whole.head + whole.body[: len(whole.body) // 2])
                await writer.drain()
                return None
            case "slow":
                whole = await forwarded()
                await _write_slowly(writer, whole.head + whole.body)
                return Message(b"", b"")
            case "kill":
                if trap.is_after:
                    await forwarded()
                with suppress(ProcessLookupError):
                    os.kill(line.pid, signal.SIGKILL)
                _reset(writer)
                return None
            case "hold":
                early = await forwarded() if trap.is_after else None
                line.on_hold(trap, asked)
                await line.released.wait()
                return early or await forwarded()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
    head = await read_head(reader)
    if Message(head, b"").header("expect"):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = without_header(head, "expect")
    return Message(head, await read_body(reader, head))


def _describe(number: int, service: str, request: Message) -> Asked:
    method, target, _ = request.first_line.split(" ")
    if service == "rekognition":
        name = request.header("x-amz-target").rpartition(".")[2]
        return Asked(number=number, service=service, name=name, is_write=name in _REKOGNITION_WRITES)
    path, _, query = target.partition("?")
    name = f"{method} {unquote(path)}" + ("?" if method == "GET" and query else "")
    return Asked(number=number, service=service, name=name, is_write=method in ("PUT", "POST", "DELETE"))


def _refusal(service: str, kind: str, request: Message) -> Message:
    """As the service says that it is broken, or busy."""
    if service == "rekognition":
        code, status = ("ThrottlingException", 400) if kind == "throttle" else ("InternalServerError", 500)
        return answer(status, f'{{"__type": "{code}", "Message": "chaos"}}'.encode(), "application/x-amz-json-1.1")
    code, status = ("SlowDown", 503) if kind == "throttle" else ("InternalError", 500)
    body = f"<Error><Code>{code}</Code><Message>chaos</Message></Error>".encode()
    found = answer(status, body, "application/xml")
    return Message(found.head, b"") if request.first_line.startswith("HEAD ") else found


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection so that the other side is told of it as an error."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _write_slowly(writer: asyncio.StreamWriter, data: bytes) -> None:
    size = max(1, len(data) // 5)
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep(0.02)
