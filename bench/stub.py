"""A fast S3 to measure clients with: listings rendered once, settable latency, jitter and share of 503 answers.

It checks no signature and keeps what it is given in memory. It answers what the contenders ask: ListObjectsV2,
ListObjectVersions, ranged GET, HEAD, PUT and multipart uploads. ``python -m bench.stub`` runs it as a process of its
own and prints its port; `running_stub` runs it in a thread, for tests.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import re
import threading
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from bench.fixture import LAST_MODIFIED, LATER, SHAPES, all_keys, content_number, contents, shaped_keys

MAX_KEYS = 1000
NULL_VERSION = "null"
SERVER = "stub"
SEVERED = 1
"""Half an answer, after which the connection is dropped."""
_NO_HEADERS: Mapping[str, str] = {}
_HTTP_DATE = "Sun, 22 Nov 2026 20:00:00 GMT"
_REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 400: "Bad Request", 403: "Forbidden",
            404: "Not Found", 301: "Moved Permanently", 412: "Precondition Failed", 416: "Range Not Satisfiable",
            503: "Slow Down", 500: "Internal Server Error"}  # fmt: skip


class SeveredAnswer(bytes):
    """What is sent of an answer whose connection is dropped."""


class StoredBody:
    """An object that was put, or that stands for a fixture's key.

    :param parts: joined when the object is read first, so that no client waits for that
    """

    def __init__(self, *parts: bytes, etag: str) -> None:
        self._parts = parts
        self.etag = etag

    @property
    def data(self) -> bytes:
        if len(self._parts) != 1:
            self._parts = (b"".join(self._parts),)
        return self._parts[0]


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version of a key as a listing shows it.

    :ivar size_bytes: None for a delete marker
    """

    version_id: str
    last_modified: str = LAST_MODIFIED
    etag: str = "0a1b"
    size_bytes: int | None = 1


@dataclass(slots=True)
class Stub:
    """The state of the store.

    :ivar keys: what the bucket lists, in key order
    :ivar latency_s: added to each answer
    :ivar jitter_s: at most so much more
    :ivar busy_share: share of answers that are 503
    :ivar severed_share: share of answers that break off
    :ivar faults: answers for the next requests: an HTTP status, 0 to drop the connection, or `SEVERED`; then as usual
    :ivar requests: every request line seen, while `is_recording`
    :ivar denied_keys: answered with 403
    :ivar entries: rows of listings that are kept, where the bucket does not change and all clients have keys encoded
    :ivar versions: of a key, from the newest to the oldest
    """

    keys: Sequence[str]
    bucket: str
    objects: dict[str, StoredBody] = field(default_factory=dict)
    latency_s: float = 0.0
    jitter_s: float = 0.0
    busy_share: float = 0.0
    severed_share: float = 0.0
    faults: deque[int] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)
    denied_keys: set[str] = field(default_factory=set)
    is_recording: bool = False
    url: str = ""
    connections: set[asyncio.Transport] = field(default_factory=set)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(20261122))
    rendered: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    entries: dict[str, str] | None = None
    versions: Callable[[str], Sequence[ListedVersion]] = lambda key: (ListedVersion(NULL_VERSION),)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes | None:
        """The whole HTTP answer; None drops the connection."""
        if self.is_recording:
            self.requests.append(f"{method} {target}")
        if target.startswith("/-/"):
            return self._set(target)
        if self.faults:
            status = self.faults.popleft()
            if status != SEVERED:
                return _error(status, "SlowDown" if status == 503 else "InternalError") if status else None
            return _severed(self._as_usual(method, target, headers, body))
        if self.busy_share and self.chance.random() < self.busy_share:
            return _error(503, "SlowDown")
        if self.severed_share and self.chance.random() < self.severed_share:
            return _severed(self._as_usual(method, target, headers, body))
        return self._as_usual(method, target, headers, body)

    def _as_usual(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        # Rendered once: what clients ask for again is sent again.
        asked = (target, headers.get("range", ""), headers.get("if-match", ""))
        if method == "GET" and asked in self.rendered:
            return self.rendered[asked]
        path, _, query = target.partition("?")
        bucket, _, key = path[1:].partition("/")
        if bucket != self.bucket:
            return _error(404, "NoSuchBucket")
        if not key:
            answer = self._list(query)
            # Texts to list behind differ from one listing to the next.
            if "start-after=" not in query and "marker=" not in query:
                self.rendered[asked] = answer
            return answer
        key = unquote(key)
        answer = self._object(method, key, parse_qs(query, keep_blank_values=True), headers, body)
        if asked[1] and key not in self.objects and answer.startswith(b"HTTP/1.1 206"):
            self.rendered[asked] = answer
        return answer

    def _set(self, target: str) -> bytes:
        settings = {name: float(value[0]) for name, value in parse_qs(urlsplit(target).query).items()}
        self.latency_s = settings.get("latency_ms", 0.0) / 1000
        self.jitter_s = settings.get("jitter_ms", 0.0) / 1000
        self.busy_share = settings.get("busy_share", 0.0)
        self.severed_share = settings.get("severed_share", 0.0)
        return _http(200, b"")

    def _list(self, query: str) -> bytes:
        asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if "versions" in asked:
            return self._list_versions(asked)
        prefix = asked.get("prefix", "")
        delimiter = asked.get("delimiter", "")
        first = bisect_left(self.keys, prefix)
        last = self._end(prefix, first)
        if "start-after" in asked:
            first = max(first, bisect_right(self.keys, asked["start-after"]))
        at = int(asked["continuation-token"]) if "continuation-token" in asked else first
        keys: list[str] = []
        folders: list[str] = []
        limit = min(int(asked.get("max-keys", MAX_KEYS)), MAX_KEYS)
        if not delimiter:
            keys = list(self.keys[at : min(last, at + limit)])
            at += len(keys)
        while at < last and len(keys) + len(folders) < limit:
            folder, slash, _ = self.keys[at][len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if slash:
                folders.append(prefix + folder + slash)
                at = self._end(folders[-1], at)
            else:
                keys.append(self.keys[at])
                at += 1
        return _http(200, self._render(asked, keys, folders, at if at < last else None))

    def _end(self, prefix: str, first: int) -> int:
        """Where the keys end that begin with ``prefix``."""
        return bisect_right(self.keys, prefix, lo=first, key=lambda key: key[: len(prefix)])

    def _render(self, asked: dict[str, str], keys: list[str], folders: list[str], following: int | None) -> bytes:
        encode = _url_encoded if asked.get("encoding-type") == "url" else escape
        parts = [
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{self.bucket}</Name><Prefix>{encode(asked.get('prefix', ''))}</Prefix>"
            f"<KeyCount>{len(keys) + len(folders)}</KeyCount><MaxKeys>{MAX_KEYS}</MaxKeys>"
        ]
        if "encoding-type" in asked:
            parts.append("<EncodingType>url</EncodingType>")
        parts.append(f"<IsTruncated>{'true' if following is not None else 'false'}</IsTruncated>")
        if following is not None:
            parts.append(f"<NextContinuationToken>{following}</NextContinuationToken>")
        if self.entries is None:
            parts += [self._entry(key, encode) for key in keys]
        else:
            for key in keys:
                if key not in self.entries:
                    self.entries[key] = self._entry(key, _url_encoded)
            parts += map(self.entries.__getitem__, keys)
        parts += [f"<CommonPrefixes><Prefix>{encode(folder)}</Prefix></CommonPrefixes>" for folder in folders]
        parts.append("</ListBucketResult>")
        return "".join(parts).encode()

    def _entry(self, key: str, encode: Callable[[str], str]) -> str:
        found = self.objects.get(key) or _fixture_body(content_number(key))
        return (
            f"<Contents><Key>{encode(key)}</Key><LastModified>{LAST_MODIFIED}.000Z</LastModified>"
            f"<ETag>&quot;{found.etag}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
            f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>{len(found.data)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _list_versions(self, asked: dict[str, str]) -> bytes:
        prefix, delimiter, marker = (asked.get(name, "") for name in ("prefix", "delimiter", "key-marker"))
        # A child folder is gone on from behind all that it holds.
        is_folder = bool(delimiter) and marker.endswith(delimiter)
        at = self._end(marker, 0) if is_folder else bisect_left(self.keys, max(prefix, marker))
        last = self._end(prefix, at)
        encode = _url_encoded if asked.get("encoding-type") == "url" else escape
        rows: list[str] = []
        place = ("", "")
        while at < last and len(rows) < MAX_KEYS:
            key = self.keys[at]
            at += 1
            folder, slash, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if slash:
                place = (prefix + folder + slash, "")
                rows.append(f"<CommonPrefixes><Prefix>{encode(place[0])}</Prefix></CommonPrefixes>")
                at = self._end(place[0], at)
                continue
            versions = self.versions(key)
            start = 0
            if key == marker:
                ids = [version.version_id for version in versions]
                start = ids.index(asked["version-id-marker"]) + 1 if "version-id-marker" in asked else len(ids)
            for number in range(start, min(len(versions), start + MAX_KEYS - len(rows))):
                place = (key, versions[number].version_id)
                rows.append(_version(encode(key), versions[number], is_latest=not number))
            if versions and place == (key, versions[-1].version_id):
                continue
            if len(rows) == MAX_KEYS:
                # This key has more of them.
                at -= 1
        truncated = at < last
        envelope = ["<EncodingType>url</EncodingType>"] if "encoding-type" in asked else []
        envelope.append(f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>")
        if truncated:
            envelope.append(f"<NextKeyMarker>{encode(place[0])}</NextKeyMarker>")
            envelope += [f"<NextVersionIdMarker>{place[1]}</NextVersionIdMarker>"] if place[1] else []
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        root = '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return _http(200, "".join([head, root, *envelope, *rows, "</ListVersionsResult>"]).encode())

    def _object(
        self, method: str, key: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> bytes:
        if key in self.denied_keys:
            return _error(403, "AccessDenied")
        if method in ("GET", "HEAD"):
            return self._read(method, key, headers)
        if method == "POST" and "uploads" in query:
            upload = f"upload-{len(self.uploads)}"
            self.uploads[upload] = {}
            return _http(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                              "</InitiateMultipartUploadResult>".encode())  # fmt: skip
        upload = query.get("uploadId", [""])[0]
        if method == "PUT" and upload:
            self.uploads[upload][int(query["partNumber"][0])] = body
            return _http(200, b"", {"ETag": f'"{len(body)}"'})
        if method == "DELETE":
            self.uploads.pop(upload, None)
            return _http(204, b"")
        if headers.get("if-none-match") == "*" and key in self.objects:
            return _error(412, "PreconditionFailed")
        if method == "POST":
            parts = self.uploads.pop(upload)
            self.objects[key] = StoredBody(*(parts[number] for number in sorted(parts)), etag="multipart")
            return _http(200, b'<CompleteMultipartUploadResult><ETag>"multipart"</ETag>'
                              b"</CompleteMultipartUploadResult>")  # fmt: skip
        if "if-match" in headers:
            if key not in self.objects:
                return _error(404, "NoSuchKey")
            if headers["if-match"] != f'"{self.objects[key].etag}"':
                return _error(412, "PreconditionFailed")
        if "x-amz-copy-source" in headers:
            source = unquote(headers["x-amz-copy-source"]).partition("/")[2]
            self.objects[key] = self.objects[source]
            return _http(200, b'<CopyObjectResult><ETag>"copy"</ETag></CopyObjectResult>')
        stored = StoredBody(body, etag=hashlib.md5(body, usedforsecurity=False).hexdigest())
        self.objects[key] = stored
        return _http(200, b"", {"ETag": f'"{stored.etag}"'})

    def _read(self, method: str, key: str, headers: dict[str, str]) -> bytes:
        found = self.objects.get(key)
        if found is None:
            at = bisect_left(self.keys, key)
            if at == len(self.keys) or self.keys[at] != key:
                return _error(404, "NoSuchKey")
            found = _fixture_body(content_number(key))
        if headers.get("if-match", f'"{found.etag}"') != f'"{found.etag}"':
            return _error(412, "PreconditionFailed")
        size = len(found.data)
        about = {"ETag": f'"{found.etag}"', "Last-Modified": _HTTP_DATE, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        if not asked:
            return _http(200, found.data, about, is_head=method == "HEAD")
        start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
        if start >= size:
            return _error(416, "InvalidRange")
        about["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return _http(206, found.data[start:stop], about)


def _version(key: str, version: ListedVersion, *, is_latest: bool) -> str:
    about = (
        f"<Key>{key}</Key><VersionId>{version.version_id}</VersionId><IsLatest>{str(is_latest).lower()}</IsLatest>"
        f"<LastModified>{version.last_modified}.000Z</LastModified>"
    )
    owner = "<Owner><ID>local</ID></Owner>"
    if version.size_bytes is None:
        return f"<DeleteMarker>{about}{owner}</DeleteMarker>"
    return (
        f"<Version>{about}<ETag>&quot;{version.etag}&quot;</ETag><Size>{version.size_bytes}</Size>{owner}"
        "<StorageClass>STANDARD</StorageClass></Version>"
    )


@lru_cache
def _fixture_body(number: int) -> StoredBody:
    content = contents()[number]
    return StoredBody(content.data, etag=content.etag)


def _url_encoded(key: str) -> str:
    return quote(key, safe="/*-._ ").replace(" ", "+")


def _http(status: int, body: bytes, headers: Mapping[str, str] = _NO_HEADERS, *, is_head: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Length: {len(body)}",
        "x-amz-request-id: STUB",
        f"Server: {SERVER}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if is_head else body)


def _severed(answer: bytes) -> SeveredAnswer:
    return SeveredAnswer(answer[: len(answer) - max(1, len(answer.partition(b"\r\n\r\n")[2]) // 2)])


def _error(status: int, code: str) -> bytes:
    return _http(
        status, f"<Error><Code>{code}</Code><Message>{code}</Message><RequestId>STUB</RequestId></Error>".encode()
    )


class _Connection(asyncio.Protocol):
    """HTTP/1.1, one request after the other."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._received = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._stub.connections.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._stub.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._head or (end := self._received.find(b"\r\n\r\n")) >= 0:
            if self._head is None:
                self._head = _parse_head(self._received[:end].decode("latin-1"))
                del self._received[: end + 4]
                if "100-continue" in self._head[2].get("expect", ""):
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            method, target, headers = self._head
            length = int(headers.get("content-length", 0))
            if len(self._received) < length:
                return
            with memoryview(self._received) as received:
                body = bytes(received[:length])
            del self._received[:length]
            self._head = None
            self._answer(self._stub.answer(method, target, headers, body))

    def _answer(self, answer: bytes | None) -> None:
        delay_s = self._stub.latency_s
        if delay_s:
            delay_s += self._stub.chance.random() * self._stub.jitter_s
            asyncio.get_running_loop().call_later(delay_s, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes | None) -> None:
        if answer is None:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(answer)
            if isinstance(answer, SeveredAnswer):
                self._transport.close()


def _parse_head(text: str) -> tuple[str, str, dict[str, str]]:
    request, *lines = text.split("\r\n")
    method, target, _ = request.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, target, headers


async def _serve(stub: Stub) -> asyncio.Server:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(stub), "127.0.0.1", 0, backlog=512)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


@contextmanager
def running_stub(keys: Sequence[str], bucket: str) -> Iterator[Stub]:
    """A stub in a thread of this process.

    :param keys: in any order
    """
    stub = Stub(sorted(keys), bucket, is_recording=True)
    ready = threading.Event()
    done = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with await _serve(stub):
            ready.set()
            await done.wait()
            for transport in list(stub.connections):
                transport.abort()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield stub
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()


async def _main(images: int, bucket: str, shape: str) -> None:
    two = (ListedVersion("later", LATER), ListedVersion("earlier"))
    keys = shaped_keys(images, shape) if shape else all_keys(images)
    # A bucket of another shape is listed from anywhere: its pages differ, its rows do not.
    stub = Stub(keys, bucket, versions=lambda _: two, entries={} if shape else None)
    server = await _serve(stub)
    print(stub.url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--shape", choices=SHAPES, default="")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(arguments.images, arguments.bucket, arguments.shape))
