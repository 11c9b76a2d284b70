"""S3 with the latency of a network in front of it: a proxy that makes requests wait and changes no byte of them.

Signatures name the host that the client called, so that the proxy's own address is what S3 has to be told is its own;
SeaweedFS takes the one that a request names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")

Wait = Callable[[str], Awaitable[None]]
"""Called with the head of each request: ``GET /example-images/a.png HTTP/1.1`` and its headers."""


class Gate:
    """Requests for the contents of images wait until it is opened."""

    def __init__(self, bucket: str) -> None:
        self._head = f"GET /{bucket}/"
        self._lock = threading.Lock()
        self._is_open = threading.Event()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        with self._lock:
            return self._waiting

    def open(self) -> None:
        self._is_open.set()

    async def __call__(self, request: str) -> None:
        line, _, headers = request.partition("\r\n")
        is_content = line.startswith(self._head) and ".png" in line
        # The first byte alone is what the access check asks for.
        if self._is_open.is_set() or not is_content or "range: bytes=0-0\r\n" in headers.lower():
            return
        with self._lock:
            self._waiting += 1
        try:
            while not self._is_open.is_set():  # noqa: ASYNC110  it is opened by another thread
                await asyncio.sleep(0.05)
        finally:
            with self._lock:
                self._waiting -= 1


@contextmanager
def slow_s3(endpoint: str, wait: Wait) -> Iterator[str]:
    """The address of S3 behind the proxy, until the block ends.

    :param endpoint: of S3
    """
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    addresses: list[str] = []
    is_ready = threading.Event()

    async def serve() -> None:
        target = urlsplit(endpoint)
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                connections.add(task)
                task.add_done_callback(connections.discard)
            with suppress(ConnectionError, asyncio.CancelledError):
                await _relay(reader, writer, (str(target.hostname), int(target.port or 80)), wait)

        server = await asyncio.start_server(connected, HOST, 0, backlog=512)
        addresses.append(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
        is_ready.set()
        await ended.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="slow-s3")
    thread.start()
    is_ready.wait()
    try:
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int], wait: Wait
) -> None:
    target_reader, target_writer = await asyncio.open_connection(*target)

    async def answers() -> None:
        while chunk := await target_reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    answering = asyncio.create_task(answers())
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            # A client that keeps its connection sends the next request only after the answer, so that each one begins
            # a chunk.
            if chunk.startswith(_METHODS):
                await wait(chunk.partition(b"\r\n\r\n")[0].decode("latin-1") + "\r\n")
            target_writer.write(chunk)
            await target_writer.drain()
    finally:
        answering.cancel()
        for each in (target_writer, writer):
            each.close()
        with suppress(asyncio.CancelledError, ConnectionError):
            await answering
