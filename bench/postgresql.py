"""A PostgreSQL of its own for a benchmark: SQLite lets one process write at a time, and Airflow has several."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ports import free_ports
from demo.processes import wait_until

DEADLINE_S = 60.0
# PostgreSQL refuses to run as root; every Linux has this user.
UNPRIVILEGED = "nobody"


@contextmanager
def postgresql() -> Iterator[str]:
    """SQLAlchemy's address of an empty database on 127.0.0.1; server and data are gone after the block.

    :raises RuntimeError: where PostgreSQL is not installed, or does not start
    """
    programs = postgres_programs()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed (apt-get install postgresql).")
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
        (port,) = free_ports(1)
        with log.open("wb") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"],
                cwd=folder,
                user=user,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            question = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]

            def has_answered_or_ended() -> bool:
                return server.poll() is not None or subprocess.run(question, capture_output=True).returncode == 0

            if not wait_until(has_answered_or_ended, deadline_s=DEADLINE_S) or server.poll() is not None:
                raise RuntimeError(log.read_text())
            yield f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{port}/postgres"
        finally:
            # "Fast shutdown": it does not wait for clients to leave.
            server.send_signal(signal.SIGINT)
            server.wait(DEADLINE_S)
    finally:
        shutil.rmtree(folder)


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's server programs, which Debian keeps off the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None
