"""HTTP/1.1 messages as bytes, cut where they end, so that what is signed goes through a proxy as it was sent."""

from __future__ import annotations

from asyncio import StreamReader
from dataclasses import dataclass
from typing import Final

MAX_HEAD_BYTES: Final = 256 * 1024
_END: Final = b"\r\n\r\n"
_WITHOUT_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer.

    :ivar head: first line and headers, with the empty line
    :ivar body: as it was sent, chunks and all
    """

    head: bytes
    body: bytes

    @property
    def first_line(self) -> str:
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first_line.split(" ")[1])

    def header(self, name: str) -> str:
        """The value of a header; empty where it is not there."""
        return _header(self.head, name)

    @property
    def ends_connection(self) -> bool:
        return self.header("connection").lower() == "close"


def _header(head: bytes, name: str) -> str:
    wanted = name.lower().encode()
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip().lower() == wanted:
            return value.strip().decode("latin-1")
    return ""


async def read_head(reader: StreamReader) -> bytes:
    """:raises asyncio.IncompleteReadError: the connection ended"""
    return await reader.readuntil(_END)


async def read_body(reader: StreamReader, head: bytes) -> bytes:
    """The body of a message of this head."""
    if "chunked" in _header(head, "transfer-encoding").lower():
        return await _read_chunks(reader)
    length = int(_header(head, "content-length") or 0)
    return await reader.readexactly(length) if length else b""


async def read_answer(reader: StreamReader, method: str) -> Message:
    """The answer to a request of this method."""
    head = await read_head(reader)
    while head.startswith(b"HTTP/1.1 1"):
        head = await read_head(reader)
    if method == "HEAD" or Message(head, b"").status in _WITHOUT_BODY:
        return Message(head, b"")
    return Message(head, await read_body(reader, head))


async def _read_chunks(reader: StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        parts.append(line)
        size = int(line.split(b";")[0], 16)
        if size:
            parts.append(await reader.readexactly(size + 2))
            continue
        while parts[-1] != b"\r\n":
            parts.append(await reader.readuntil(b"\r\n"))
        return b"".join(parts)


def without_header(head: bytes, name: str) -> bytes:
    """The head without a header."""
    wanted = name.lower().encode()
    first, *lines = head.removesuffix(_END).split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() != wanted]
    return b"\r\n".join([first, *kept]) + _END


def answer(status: int, body: bytes, content_type: str) -> Message:
    """An answer of one's own."""
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return Message(head.encode(), body)
