"""SeaweedFS as a child process that serves S3 on loopback and nothing anywhere else."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from include.local_aws.configuration import Identity

HOST: Final = "127.0.0.1"
_STEP: Final = 1117
# SeaweedFS would wait 15 s for its own parts to let go of each other. Every write has reached the kernel by then.
_STOP_TIMEOUT_S: Final = 2.0
SOCKETS: Final = Path("/tmp")  # noqa: S108  where SeaweedFS puts them, whatever TMPDIR says
_PR_SET_PDEATHSIG: Final = 1
# Buckets are collections; without this each would begin with seven volumes.
_ENVIRONMENT: Final = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPorts:
    """S3's port and the six that SeaweedFS needs besides.

    They lie a fixed odd step apart, so that two servers, whose S3 ports people choose next to each other or a round
    number apart, do not meet.
    """

    s3: int

    @property
    def inner(self) -> dict[str, int]:
        """Ports by the flag that takes them; below S3's port when there is no room above."""
        flags = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
        step = _STEP if self.s3 + _STEP * (len(flags) + 1) <= 65535 else -_STEP
        return {flag: self.s3 + step * number for number, flag in enumerate((*flags, "s3.port.grpc"), 1)}

    @property
    def master(self) -> int:
        return self.inner["master.port"]

    @property
    def all(self) -> tuple[int, ...]:
        return (self.s3, *self.inner.values())


def find_weed() -> Path | None:
    """The `weed` binary next to this Python, else on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    if beside.is_file():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


class ObjectServer:
    """One `weed server`. Its log is ``<directory>/weed.log``, its data ``<directory>/s3``.

    :param listen: the address that S3 is served on; all else stays on loopback
    """

    def __init__(
        self, *, weed: Path, directory: Path, ports: ServerPorts, identities: Iterable[Identity], listen: str = HOST
    ) -> None:
        self._weed = weed
        self._directory = directory
        self._ports = ports
        self._listen = listen
        self._identities = tuple(identities)
        self._process: asyncio.subprocess.Process | None = None
        self.log = directory / "weed.log"

    async def start(self) -> None:
        volumes, metadata = self._directory / "s3" / "volumes", self._directory / "s3" / "metadata"
        for folder in (volumes, metadata):
            folder.mkdir(parents=True, exist_ok=True)
        identities = self._directory / "s3" / "identities.json"
        identities.touch(mode=0o600)
        identities.write_text(json.dumps(_identity_file(self._identities), indent=1))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._weed),
                "-logtostderr=true",
                "server",
                *self._flags(volumes, metadata, identities),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={name: value for name, value in os.environ.items() if not name.startswith(("WEED_", "AWS_", "S3_"))}
                | _ENVIRONMENT,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )

    def _flags(self, volumes: Path, metadata: Path, identities: Path) -> list[str]:
        flags: dict[str, Any] = {
            "ip": HOST,
            "ip.bind": HOST,
            "s3.port": self._ports.s3,
            "s3.ip.bind": self._listen,
            **self._ports.inner,
            "dir": volumes,
            "master.dir": metadata,
            "master.telemetry": "false",
            # A restart begins with an election, and there is no one to wait for.
            "master.electionTimeout": "1s",
            # Volumes are many and small, and grow as they are filled.
            "master.volumeSizeLimitMB": 256,
            "master.volumePreallocate": "false",
            "volume.max": 0,
            "volume.preStopSeconds": 0,
            "filer": "true",
            # The S3 gateway speaks gRPC to the filer; its own HTTP would serve every object unsigned.
            "filer.disableHttp": "true",
            "s3": "true",
            "s3.config": identities,
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
        }
        return [f"-{name}={value}" for name, value in flags.items()]

    async def ended(self) -> int:
        """Wait for the process to end; its exit code."""
        if self._process is None:
            raise RuntimeError("The server has not been started.")
        return await self._process.wait()

    def last_words(self) -> str:
        """The end of the log, for a message."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            return log.read().decode(errors="replace").strip().rpartition("\n")[2]

    async def stop(self) -> None:
        """End the process group: politely, then not."""
        if self._process is None:
            return
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is not None:
                break
            os.killpg(self._process.pid, signal_number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)
        for port in self._ports.all:
            # Killed, SeaweedFS leaves its Unix sockets, whose names hold the port.
            for left in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def _identity_file(identities: Iterable[Identity]) -> dict[str, Any]:
    return {
        "identities": [
            {
                "name": identity.access_key,
                "account": {"id": identity.account, "displayName": identity.access_key},
                "credentials": [{"accessKey": identity.access_key, "secretKey": identity.secret_key}],
                "actions": list(identity.s3_actions),
            }
            for identity in identities
        ]
    }


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs before `weed` so that it ends when this process is killed; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
