"""The commands as a newcomer meets them: what is printed, and how they exit."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ports import free_ports
from demo.settings import PROJECT_ROOT
from tests.fixtures.debian_packages import require_command


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    airflow, s3, rekognition = free_ports(3)
    return os.environ | {
        "DEMO_DIR": str(tmp_path / "demo"),
        "LOCAL_AWS_DIR": str(tmp_path / "aws"),
        "AIRFLOW_PORT": str(airflow),
        "S3_PORT": str(s3),
        "REKOGNITION_PORT": str(rekognition),
        "PYTHONPATH": str(PROJECT_ROOT),
    }


def demo(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", *arguments], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize("command", ["run", "up"])
def test_a_taken_port_ends_the_command_with_one_sentence(environment: dict[str, str], command: str) -> None:
    with socket.create_server(("127.0.0.1", int(environment["AIRFLOW_PORT"]))):
        done = demo(environment, command)
    assert done.returncode == 1
    assert "AIRFLOW_PORT=" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (Path(environment["DEMO_DIR"]) / "processes.json").exists()


def test_down_without_up_has_nothing_to_do(environment: dict[str, str]) -> None:
    done = demo(environment, "down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_a_wrong_port_is_named(environment: dict[str, str]) -> None:
    done = demo(environment | {"S3_PORT": "http"}, "up")
    assert (done.returncode, done.stdout) == (1, "S3_PORT=http is not a port from 1024 to 65535.\n")


def test_the_callers_aws_profile_does_not_matter(environment: dict[str, str]) -> None:
    done = demo(environment | {"AWS_PROFILE": "production"}, "down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_a_folder_that_is_missing_is_named_before_anything_is_started(environment: dict[str, str]) -> None:
    done = demo(environment, "run", "--images", "/nonexistent/pictures")
    assert done.returncode == 1
    assert "/nonexistent/pictures is not a folder" in done.stdout
    assert not (Path(environment["DEMO_DIR"]) / "processes.json").exists()


def test_bare_make_lists_the_targets() -> None:
    done = subprocess.run([require_command("make"), "-C", PROJECT_ROOT], capture_output=True, text=True, check=True)
    for target in ("demo", "test", "up", "down", "aws", "bench", "bench-full", "bench-gate", "lint", "types", "lock"):
        assert f"  make {target} " in done.stdout


def make_environment(target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT_ROOT / "scripts" / "venv", target, PROJECT_ROOT / "requirements-dev.txt"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables},
        capture_output=True,
        text=True,
    )


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    # Answers as a Python 3.9 would: the check of its version fails, and it can say what it is.
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.18" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = make_environment(tmp_path / "venv", PYTHON=str(old))
    assert done.returncode == 1
    assert "is Python 3.9.18" in done.stderr
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    done = make_environment(tmp_path / "venv", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "No Python 3.11, 3.12 or 3.13 was found" in done.stderr


def test_without_a_network_the_sentence_says_so(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    done = make_environment(
        tmp_path / "venv",
        PYTHON=sys.executable,
        HTTPS_PROXY=nowhere,
        HTTP_PROXY=nowhere,
        PIP_CONFIG_FILE="/dev/null",
        PIP_NO_CACHE_DIR="1",
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("Behind a mirror of PyPI, set PIP_INDEX_URL.")
    assert "needs a network" in done.stderr
