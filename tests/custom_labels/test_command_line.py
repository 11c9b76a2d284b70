"""``python -m include.custom_labels`` as a person or a script runs it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from include.custom_labels.__main__ import app
from include.custom_labels.codes import Code, codes_as_markdown
from include.custom_labels.quotas import ALL_QUOTAS
from tests.custom_labels.manifest_lines import BUCKET, label_pair, line_of

ROOT = Path(__file__).parents[2]
LOCATION = f"s3://{BUCKET}/alexa-devices"
COMMAND = [sys.executable, "-m", "include.custom_labels"]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: bytes
    stderr: bytes


def run(*arguments: str, stdin: bytes | str = b"") -> Done:
    """Run the command in this process, which takes milliseconds; what needs real pipes starts a process."""
    result = CliRunner().invoke(app, arguments, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return Done(result.exit_code, result.stdout_bytes, result.stderr_bytes)


def json_lines(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.decode("ascii").split("\n")[:-1]]


def answers(*keys: str, arguments: tuple[str, ...] = (), location: str = LOCATION) -> list[tuple[Any, ...]]:
    done = run("labels", "--s3-folder", location, *arguments, stdin="".join(json.dumps(key) + "\n" for key in keys))
    assert (done.returncode, done.stderr) == (0, b"")
    found = json_lines(done)
    assert [each["key"] for each in found] == list(keys)
    assert all(list(each) == ["key", "state", "label", "reason"] for each in found)
    return [(each["state"], each["label"], each["reason"]) for each in found]


def test_labels_in_the_order_of_the_keys() -> None:
    assert answers(
        "alexa-devices/echo-dot/white-echo-dot/b.png",
        "alexa-devices/echo/a.png",
        "alexa-devices/img.png",
        "alexa-devices/echo/",
        "alexa-devices/echo/notes.txt",
        "alexa-devices//a.png",
        "alexa-devices2/echo/a.png",
        "alexa-devicesX.png",
        "Alexa-Devices/echo/a.png",
        "alexa-devices/echo/a.png",
    ) == [
        ("labelled", "echo-dot", "IN_FOLDER"),
        ("labelled", "echo", "IN_FOLDER"),
        ("unlabelled", None, "AT_FOLDER_LEVEL"),
        ("skipped", None, "FOLDER_MARKER"),
        ("skipped", None, "NOT_AN_IMAGE_NAME"),
        ("unlabelled", None, "EMPTY_FOLDER_NAME"),
        ("outside", None, "OUTSIDE_LOCATION"),
        ("outside", None, "OUTSIDE_LOCATION"),
        ("outside", None, "OUTSIDE_LOCATION"),
        ("labelled", "echo", "IN_FOLDER"),
    ]


def test_without_automatic_labeling_nothing_is_labelled() -> None:
    assert answers(
        "alexa-devices/echo/a.png", "alexa-devices/a.txt", "b.png", arguments=("--no-automatic-labeling",)
    ) == [
        ("unlabelled", None, "AUTOMATIC_LABELING_OFF"),
        ("skipped", None, "NOT_AN_IMAGE_NAME"),
        ("outside", None, "OUTSIDE_LOCATION"),
    ]


@pytest.mark.parametrize("location", [f"s3://{BUCKET}", f"s3://{BUCKET}/"])
def test_the_root_of_a_bucket_as_location(location: str) -> None:
    assert answers("echo/a.png", "a.png", location=location) == [
        ("labelled", "echo", "IN_FOLDER"),
        ("unlabelled", None, "AT_FOLDER_LEVEL"),
    ]


def test_hostile_folder_names_are_labels_as_they_are() -> None:
    names = [
        " a b ", "a+b", "%20", "#", '"', "'", "\\", "\u202egnp", "\ufeff", "\N{NO-BREAK SPACE}",
        "\N{MICROSCOPE}", "é", "e\N{COMBINING ACUTE ACCENT}", "É", "..", ".", "~", "{}",
    ]  # fmt: skip
    assert answers(*(f"alexa-devices/{name}/a.png" for name in names)) == [
        ("labelled", name, "IN_FOLDER") for name in names
    ]


def test_a_folder_that_cannot_be_a_label_has_that_as_its_reason() -> None:
    assert answers("alexa-devices/" + "x" * 256 + "/a.png", "alexa-devices/a\nb/a.png") == [
        ("labelled", "x" * 256, "LABEL_TOO_LONG"),
        ("labelled", "a\nb", "LABEL_NOT_ALLOWED"),
    ]


@pytest.mark.parametrize(
    "line", [b"alexa-devices/a.png", b'"\\ud800"', b'"\xff"', b"7", b"null", b'["a"]', b"", b'"a" "b"', b'"a\tb"']
)
def test_a_line_that_is_no_json_string_ends_the_run_and_is_named(line: bytes) -> None:
    done = run("labels", "--s3-folder", LOCATION, stdin=b'"alexa-devices/a.png"\n' + line + b'\n"b.png"\n')
    assert done.returncode == 2
    assert [each["key"] for each in json_lines(done)] == ["alexa-devices/a.png"]
    assert done.stderr.startswith(b"line 2 is not a JSON string: ")
    assert done.stderr.count(b"\n") == 1


def test_line_ends_may_be_missing_or_windows_ones() -> None:
    done = run("labels", "--s3-folder", LOCATION, stdin=b'"a.png"\r\n"b.png"')
    assert [each["key"] for each in json_lines(done)] == ["a.png", "b.png"]
    assert run("labels", "--s3-folder", LOCATION).stdout == b""


def test_each_key_is_answered_before_the_next_is_sent() -> None:
    with subprocess.Popen(
        [*COMMAND, "labels", "--s3-folder", LOCATION], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for key in ("alexa-devices/echo/a.png", "alexa-devices/b.png"):
            process.stdin.write(json.dumps(key).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["key"] == key
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_reader_that_goes_away_ends_the_run_quietly(tmp_path: Path) -> None:
    keys = tmp_path / "keys.jsonl"
    keys.write_bytes(b'"alexa-devices/echo/a.png"\n' * 50_000)
    with (
        keys.open("rb") as stdin,
        subprocess.Popen(
            [*COMMAND, "labels", "--s3-folder", LOCATION],
            cwd=ROOT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == -signal.SIGPIPE


@pytest.mark.parametrize("location", ["alexa-devices", "https://example-bucket/a", "s3://", "s3://a b/c"])
def test_what_is_no_location_is_a_usage_error(location: str) -> None:
    done = run("labels", "--s3-folder", location)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--s3-folder" in done.stderr


def image(number: int, label: str | None = "echo") -> bytes:
    pairs = [] if label is None else [label_pair(label=label)]
    return line_of(*pairs, source_ref=f"s3://{BUCKET}/{number}.png")


CLEAN = [image(n, "echo" if n % 2 else "dot") for n in range(10)]


@pytest.mark.parametrize(
    ("lines", "exit_code", "codes"),
    [
        (CLEAN, 0, []),
        ([*CLEAN, image(11, None)], 0, ["WARNING_UNANNOTATED_RECORD"]),
        ([*CLEAN, image(1)], 1, ["ERROR_DUPLICATE_SOURCE_REF"]),
        ([image(1), image(2)], 1, ["ERROR_MANIFEST_TOO_FEW_LABELS"]),
        (
            [*CLEAN[:2], b"{"],
            2,
            [
                "ERROR_INVALID_JSON_LINE",
                "ERROR_TOO_MANY_RECORDS_IN_ERROR",
                "ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST",
            ],
        ),
        ([], 2, ["ERROR_EMPTY_MANIFEST"]),
    ],
)
@pytest.mark.parametrize("is_stdin", [False, True])
def test_validate(tmp_path: Path, lines: list[bytes], exit_code: int, codes: list[str], is_stdin: bool) -> None:
    data = b"".join(line + b"\n" for line in lines)
    file = tmp_path / "train.manifest"
    file.write_bytes(data)
    done = run("validate", "-", stdin=data) if is_stdin else run("validate", str(file))
    assert done.returncode == exit_code
    assert [each["code"] for each in json_lines(done)] == codes
    assert f"{len(lines)} lines: " in done.stderr.decode()
    assert ("would refuse" in done.stderr.decode()) == (exit_code == 2)


def test_validate_writes_every_finding() -> None:
    done = run("validate", "-", stdin=b"\n".join([*(image(n, None) for n in range(100)), *CLEAN]))
    found = json_lines(done)
    assert [each["line_number"] for each in found[:100]] == list(range(1, 101))
    assert found[0] | {"detail": None} == {
        "code": "WARNING_UNANNOTATED_RECORD",
        "severity": "warning",
        "line_number": 1,
        "source_ref": f"s3://{BUCKET}/0.png",
        "attribute": None,
        "message": "Record is unannotated.",
        "detail": None,
        "next_step": Code.WARNING_UNANNOTATED_RECORD.next_step,
    }


def test_validate_by_region_and_type() -> None:
    data = b"\n".join(image(n, "echo" if n % 2 else "dot") for n in range(7001))
    assert run("validate", "-", "--dataset-type", "train", "--region", "eu-west-2", stdin=data).returncode == 0
    test_dataset = run("validate", "-", "--dataset-type", "test", "--region", "eu-west-2", stdin=data)
    assert test_dataset.returncode == 2
    assert "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM" in [each["code"] for each in json_lines(test_dataset)]
    assert run("validate", "-", "--max-images", "7000", stdin=data).returncode == 2


def test_validate_against_the_training_manifest(tmp_path: Path) -> None:
    train, test = tmp_path / "train.manifest", tmp_path / "test.manifest"
    train.write_bytes(b"\n".join(image(n, f"label {n}") for n in range(5)))
    test.write_bytes(b"\n".join([image(4, "label 4"), image(5, "label 3")]))
    done = run("validate", str(test), "--against", str(train))
    assert done.returncode == 1
    assert [(each["code"], each["line_number"]) for each in json_lines(done)] == [
        ("WARNING_IMAGE_IN_TRAIN_AND_TEST", 1),
        ("ERROR_INSUFFICIENT_LABEL_OVERLAP", None),
    ]
    assert run("validate", str(test), "--against", str(tmp_path / "none.manifest")).returncode == 2


@pytest.mark.parametrize("arguments", [["missing.manifest"], ["."], []])
def test_validate_without_a_readable_file(arguments: list[str]) -> None:
    done = run("validate", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_quotas_as_json() -> None:
    done = run("quotas", "--region", "ap-south-1")
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (found["region"], found["train_images"], found["test_images"]) == ("ap-south-1", 28_000, 7_000)
    assert found["quotas"].keys() == ALL_QUOTAS.keys()
    assert found["quotas"]["max_labels"]["value"] == 250


@pytest.mark.parametrize("as_json", [True, False])
def test_quotas_on_a_terminal(as_json: bool) -> None:
    leader, follower = pty.openpty()
    try:
        arguments = ["quotas", "--region", "us-east-1", *(["--json"] if as_json else [])]
        with subprocess.Popen(
            [*COMMAND, *arguments], cwd=ROOT, stdout=follower, env={**os.environ, "COLUMNS": "160"}
        ) as process:
            os.close(follower)
            output = b""
            try:
                while part := os.read(leader, 1 << 16):
                    output += part
            except OSError:  # how Linux reports the end of a terminal
                pass
            assert process.wait(timeout=30) == 0
    finally:
        os.close(leader)
    if as_json:
        assert json.loads(output)["train_images"] == 250_000
    else:
        assert "250,000" in output.decode()
        assert "Custom Labels quotas in us-east-1" in output.decode()


def manifest_file(path: Path, *lines: bytes) -> str:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


@pytest.fixture
def manifests(tmp_path: Path) -> tuple[str, str]:
    return (
        manifest_file(tmp_path / "a.manifest", image(1), image(2), image(3, None)),
        manifest_file(tmp_path / "b.manifest", image(1, "dot"), image(3, None), image(4)),
    )


def test_diff_of_manifests(manifests: tuple[str, str]) -> None:
    a, b = manifests
    done = run("diff", a, b)
    assert (done.returncode, done.stderr) == (1, b"")
    text = done.stdout.decode()
    assert f"s3://{BUCKET}/1.png  'echo' → 'dot'" in text
    assert "not known" in text
    assert "labels appeared: 'dot'" in text


def test_diff_as_json(manifests: tuple[str, str]) -> None:
    a, b = manifests
    (found,) = json_lines(run("diff", a, b, "--json"))
    assert {name: found[name] for name in ("added", "removed", "changed", "relabelled", "moved")} == {
        "added": 1,
        "removed": 1,
        "changed": None,
        "relabelled": 1,
        "moved": None,
    }
    assert found["labels"] == {"dot": {"before": 0, "after": 1}, "echo": {"before": 2, "after": 1}}
    assert found["samples"]["removed"] == [{"image": f"s3://{BUCKET}/2.png", "before": "'echo'", "after": ""}]


@pytest.mark.parametrize("stdin_at", [0, 1])
def test_diff_with_standard_input(manifests: tuple[str, str], stdin_at: int) -> None:
    data = Path(manifests[stdin_at]).read_bytes()
    places = [*manifests]
    places[stdin_at] = "-"
    assert run("diff", *places, "--json", stdin=data).stdout == run("diff", *manifests, "--json").stdout


def test_diff_of_the_same(manifests: tuple[str, str]) -> None:
    assert run("diff", manifests[0], manifests[0]).returncode == 0


def test_diff_prints_hostile_text_as_escapes(tmp_path: Path) -> None:
    evil = line_of(label_pair(label="\x1b[2J\u202e"), source_ref=f"s3://{BUCKET}/a\n\x1b]0;\x07.png")
    done = run("diff", manifest_file(tmp_path / "a"), manifest_file(tmp_path / "b", evil))
    assert done.returncode == 1
    assert all(char.isprintable() or char == "\n" for char in done.stdout.decode())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([image(2), image(1)], "MANIFEST_NOT_SORTED: Line 2 of the second manifest is about"),
        ([image(1), image(1)], "MANIFEST_NOT_SORTED: Line 2 of the second manifest is about"),
        ([b"{"], "ERROR_INVALID_JSON_LINE: Line 1 of the second manifest names no image."),
        ([b"\x89PNG"], "ERROR_INVALID_JSON_LINE: Line 1 of the second manifest names no image."),
    ],
)
def test_diff_of_what_cannot_be_compared(tmp_path: Path, lines: list[bytes], message: str) -> None:
    b = manifest_file(tmp_path / "b.manifest", *lines)
    done = run("diff", manifest_file(tmp_path / "a.manifest", image(1)), b)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"{b}: {message}")


@pytest.mark.parametrize("places", [["missing.manifest", "-"], ["-", "missing.manifest"], ["-", "-"], ["-"], []])
def test_diff_of_what_is_not_there(places: list[str]) -> None:
    done = run("diff", *places, stdin=image(1))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("region", ["London", "", "us-east"])
def test_what_is_no_region_is_a_usage_error(region: str) -> None:
    done = run("quotas", "--region", region)
    assert (done.returncode, done.stdout) == (2, b"")


def test_codes() -> None:
    assert [each["code"] for each in json_lines(run("codes"))] == [code.value for code in Code]
    assert run("codes", "--markdown").stdout.decode() == codes_as_markdown()


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, check=True, cwd=ROOT, timeout=60)
    assert all(command in done.stdout.decode() for command in ("labels", "validate", "diff", "quotas", "codes"))
