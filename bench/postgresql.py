"""A PostgreSQL of its own for a benchmark: SQLite lets one process write at a time, and Airflow has several."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_S = 60.0
# PostgreSQL refuses to run as root; every Linux has this user.
UNPRIVILEGED = "nobody"


@contextmanager
def postgresql() -> Iterator[str]:
    """SQLAlchemy's address of an empty database on 127.0.0.1; server and data are gone after the block.

    :raises RuntimeError: where PostgreSQL is not installed, or does not start
    """
    programs = _programs()
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # Made on its own: the unprivileged user could not enter a folder that root's other files are in.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        password_file, data, log = folder / "password", folder / "data", folder / "log"
        password = secrets.token_urlsafe(12)
        password_file.write_text(password)
        if user:
            for path in (folder, password_file):
                shutil.chown(path, user)
        initdb = [str(programs / "initdb"), "-D", str(data), "-E", "UTF8", "--locale", "C", "--no-sync"]
        access = ["-U", "airflow", "-A", "scram-sha-256", "--pwfile", str(password_file)]
        subprocess.run([*initdb, *access], cwd=folder, user=user, check=True, capture_output=True)
        port = _free_port()
        with log.open("wb") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", ""],
                cwd=folder,
                user=user,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_it_answers([str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)], server, log)
            yield f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{port}/postgres"
        finally:
            # "Fast shutdown": it does not wait for clients to leave.
            server.send_signal(signal.SIGINT)
            server.wait(DEADLINE_S)
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    found = shutil.which("postgres")
    # Debian keeps them off PATH, in a folder for each version.
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise RuntimeError("PostgreSQL is not installed (apt-get install postgresql).")
    return folders[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(question: list[str], server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while subprocess.run(question, check=False, capture_output=True).returncode:
        if server.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
