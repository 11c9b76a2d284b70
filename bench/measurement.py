"""Rounds of fresh processes, their output checked before their time counts."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from bench.fixture import BUCKET, PREFIX, expected_digest, label_name

# Forked from a process that has only imported: every run starts with the same, small heap and no thread.
_PROCESSES = multiprocessing.get_context("forkserver")
_LIMIT_S = 900


class StubTooSlowError(Exception):
    """The stub would be what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one contender.

    :ivar cpu_s: user and system time of the process, all its threads
    :ivar base_rss_mb: resident memory before the work, imports included
    """

    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    base_rss_mb: float


def preload() -> None:
    """Call once before the first measurement, after the environment is set."""
    _PROCESSES.set_forkserver_preload(["bench.contenders"])


def measure(name: str, images: int, endpoint: str) -> Run:
    """Run a contender in a process of its own.

    :raises RuntimeError: it failed, or checked its own result and found it wrong
    """
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_run, args=(theirs, name, images, endpoint))
    process.start()
    theirs.close()
    try:
        if not ours.poll(_LIMIT_S):
            raise RuntimeError(f"{name} did not end within {_LIMIT_S} s")
        result = ours.recv()
    except EOFError:
        raise RuntimeError(f"{name} failed") from None
    finally:
        if process.is_alive():
            process.join(5)
            process.kill()
        process.join()
    return Run(**result)


def _run(pipe: Connection, name: str, images: int, endpoint: str) -> None:
    # Here and not above, because the process that measures need not import Airflow.
    from bench.contenders import CONTENDERS, prepare

    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = connection(endpoint)
    contender, hook = CONTENDERS[name], prepare(name, images)
    # What was there before the fork is left to the collector of the process that it came from, as Airflow does:
    # to look through it would copy every page of it.
    gc.freeze()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    contender(hook, images)
    pipe.send(
        {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "base_rss_mb": base / 1024,
        }
    )


def connection(endpoint: str) -> str:
    """An Airflow connection to the stub, as JSON."""
    extra = {"region_name": "us-east-1", "endpoint_url": endpoint}
    fields = {"conn_type": "aws", "login": "local", "password": "localsecret", "extra": extra}
    return msgspec.json.encode(fields).decode()


@contextmanager
def stub(images: int, shape: str = "") -> Iterator[str]:
    """A stub with so many images, as a process of its own; its address."""
    command = [sys.executable, "-m", "bench.stub", "--images", str(images), "--bucket", BUCKET]
    command += ["--shape", shape] if shape else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.terminate()


def set_stub(endpoint: str, *, latency_ms: float, jitter_ms: float = 0, busy_share: float = 0) -> None:
    """Change how the stub answers."""
    query = f"latency_ms={latency_ms}&jitter_ms={jitter_ms}&busy_share={busy_share}"
    with urllib.request.urlopen(f"{endpoint}/-/?{query}"):
        pass


def check_output(endpoint: str, images: int) -> None:
    """Check the manifest that a contender has just written: each line, their number, the bytes of the whole.

    The order is part of the digest: the manifest is canonical.

    :raises ValueError: it is not the one expected
    """
    digest, lines = hashlib.sha256(), 0
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with urllib.request.urlopen(f"{endpoint}/{BUCKET}/out/images.manifest") as manifest:
        for line in manifest:
            decode(line)
            digest.update(line)
            lines += 1
    if lines != images or digest.hexdigest() != expected_digest(images):
        raise ValueError(f"{lines} lines with digest {digest.hexdigest()}, not the expected {images}")


def stub_keys_per_second(endpoint: str, images: int, *, seconds: float = 1.5) -> float:
    """How many listed keys the stub sends to two clients that read and look at nothing."""
    folders = [label_name(at) for at in range(-(-images // 1000))]
    paths = [f"/{BUCKET}?list-type=2&encoding-type=url&prefix={PREFIX}{folder}/" for folder in folders]
    # The first pass has the stub render the pages.
    _drain(endpoint, paths, until=0)
    counts: list[int] = []
    until = time.perf_counter() + seconds
    threads = [threading.Thread(target=lambda: counts.append(_drain(endpoint, paths, until=until))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) * min(images, 1000) / seconds


def _drain(endpoint: str, paths: Sequence[str], *, until: float) -> int:
    host, _, port = endpoint.removeprefix("http://").partition(":")
    buffer = memoryview(bytearray(2**20))
    pages = 0
    with socket.create_connection((host, int(port))) as connection:
        while True:
            for path in paths:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                received = connection.recv_into(buffer)
                head = bytes(buffer[: min(received, 1000)]).partition(b"\r\n\r\n")[0]
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                rest = length - (received - len(head) - 4)
                while rest > 0:
                    rest -= connection.recv_into(buffer)
                pages += 1
            if time.perf_counter() >= until:
                return pages


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
