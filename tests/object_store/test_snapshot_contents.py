"""Snapshots as they are published, read to be compared: by the data plane, and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.stub import Stub
from include.custom_labels.__main__ import app
from include.custom_labels.diff import SnapshotDiff, diff_snapshots
from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.ledger import LedgerRow, State, ledger_pages
from include.object_store.folder_manifest import write_manifest
from include.object_store.session import S3Session
from include.object_store.snapshot_contents import read_place, read_snapshot
from include.object_store.snapshots import SnapshotFolder, Workspace, publish_snapshot
from include.object_store.tables import LEDGER_SCHEMA, TableWriter, append_ledger_page, read_ledger
from tests.object_store.conftest import BUCKET, session_of

Serve = Callable[[Sequence[str]], Stub]
PROJECT = Path(__file__).resolve().parents[2]
WORKSPACE = Workspace.parse("s3://example-images/labels")
DATASET = WORKSPACE.dataset("alexa", "train")
TIME = "2026-11-22T20:00:00"


def image(key: str, label: str | None = "echo", etag: str = "", state: State = State.LABELLED) -> LedgerRow:
    return LedgerRow(f"x/{key}", 100, etag or f"etag of {key}", TIME, state if label else State.UNLABELLED, label)


OLD = [
    image("a.png"),
    image("b.png", "dot"),
    image("c.txt", state=State.SKIPPED),
    image('quoted "é\\".png', "dot"),
    image("z.png"),
]
NEW = [
    image("a.png", "dot", "other bytes"),
    image("b.png", "dot"),
    image("broken.png", state=State.QUARANTINED),
    image('quoted "é\\".png', None),
    image("z-moved.png", "echo", "etag of z.png"),
]


def publish(session: S3Session, rows: list[LedgerRow], day: int, closed: dict[str, State] | None = None) -> str:
    """Publish a snapshot; its address.

    :param closed: states that rows moved to after the manifest had been written
    """
    staging = WORKSPACE.staging(f"run-{day}")
    uri, ledger = staging.uri("alexa-train.manifest"), staging.uri("ledger.parquet")
    written = write_manifest(session, uri, BUCKET, ledger_pages(rows), ledger=ledger)
    with TableWriter(session, ledger, LEDGER_SCHEMA) as table:
        moved = [row._replace(state=(closed or {}).get(row.key, row.state)) for row in rows]
        for page in ledger_pages(moved):
            append_ledger_page(table, page)
    assert table.stored is not None
    as_of = datetime(2026, 11, day, 20, tzinfo=UTC)
    summary = publish_snapshot(
        session, DATASET, as_of=as_of, manifest=written.manifest, ledger=table.stored, images=len(rows)
    )
    return str(DATASET.snapshot(summary.snapshot_id).folder)


def folder_of(address: str) -> SnapshotFolder:
    return DATASET.snapshot(address.rstrip("/").rpartition("/")[2])


def totals(diff: SnapshotDiff) -> tuple[int | None, ...]:
    return diff.added, diff.removed, diff.changed, diff.relabelled, diff.moved


@pytest.fixture
def stub(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """A stub that the environment points at, as a person's shell would."""
    stub = serve([])
    for name, value in {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "localsecret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": stub.url,
    }.items():
        monkeypatch.setenv(name, value)
    return stub


def copy(stub: Stub, address: str, folder: Path) -> Path:
    """The snapshot's objects as files."""
    prefix = address.removeprefix(f"s3://{BUCKET}/")
    folder.mkdir()
    for key, stored in stub.objects.items():
        if key.startswith(prefix):
            (folder / key.removeprefix(prefix)).write_bytes(stored.data)
    return folder


def test_two_snapshots(stub: Stub) -> None:
    session = session_of(stub)
    old, new = (folder_of(publish(session, rows, day)) for day, rows in ((21, OLD), (22, NEW)))
    diff = diff_snapshots(read_snapshot(session, old), read_snapshot(session, new))
    assert totals(diff) == (1, 1, 1, 2, 1)
    assert (diff.images_before, diff.images_after, diff.not_compared) == (4, 4, 0)
    assert [(sample.before, sample.after) for sample in diff.samples["moved"]] == [
        (f"s3://{BUCKET}/x/z.png", f"s3://{BUCKET}/x/z-moved.png")
    ]


def test_what_the_service_dropped_or_a_merge_quarantined_has_its_line_and_its_etag(stub: Stub) -> None:
    """Rows move on after the manifest was written, so that their states do not tell which of them has a line."""
    session = session_of(stub)
    closed = {"x/a.png": State.DROPPED, "x/b.png": State.QUARANTINED, "x/z.png": State.REGISTERED}
    old, new = publish(session, OLD, 21), publish(session, OLD, 22, closed)
    diff = diff_snapshots(read_snapshot(session, folder_of(old)), read_snapshot(session, folder_of(new)))
    assert totals(diff) == (0, 0, 0, 0, 0)
    assert diff.not_compared == 0
    assert {row for page in read_ledger(session, folder_of(new).ledger) for row in page.states} > {State.DROPPED}


@pytest.mark.parametrize("form", ["folder", "folder without its slash", "local copy"])
def test_places_of_snapshots(stub: Stub, tmp_path: Path, form: str) -> None:
    session = session_of(stub)
    old, new = publish(session, OLD, 21), publish(session, NEW, 22)
    forms = {
        "folder": [old, new],
        "folder without its slash": [old.rstrip("/"), new.rstrip("/")],
        "local copy": [str(copy(stub, old, tmp_path / "old")), str(copy(stub, new, tmp_path / "new"))],
    }
    diff = diff_snapshots(*map(read_place, forms[form]))
    assert totals(diff) == (1, 1, 1, 2, 1)


def test_a_manifest_alone_does_not_tell_of_bytes(stub: Stub) -> None:
    session = session_of(stub)
    old, new = (folder_of(publish(session, rows, day)) for day, rows in ((21, OLD), (22, NEW)))
    diff = diff_snapshots(read_place(str(old.manifest)), read_snapshot(session, new))
    assert totals(diff) == (1, 1, None, 2, None)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("s3://example-images/labels/none/", "SNAPSHOT_NOT_FOUND"),
        ("s3://example-images", "SNAPSHOT_NOT_FOUND"),
        ("s3://example-images/none.manifest", "OBJECT_NOT_FOUND"),
        ("s3://no-such-bucket/x/", "BUCKET_NOT_FOUND"),
    ],
)
def test_what_is_not_there(stub: Stub, place: str, code: str) -> None:
    with pytest.raises(AccessError) as caught:
        b"".join(read_place(place).manifest)
    assert caught.value.code == code


def test_what_is_no_place(stub: Stub, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        read_place("s3://")
    with pytest.raises(AccessError) as caught:
        read_place(str(tmp_path))
    assert caught.value.code == "SNAPSHOT_NOT_FOUND"
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(AccessError) as caught:
        read_place(str(tmp_path))
    assert caught.value.code == "DOCUMENT_FORMAT"


@pytest.mark.parametrize("ledger", ["nothing", "another table"])
def test_a_ledger_that_is_none(stub: Stub, tmp_path: Path, ledger: str) -> None:
    folder = copy(stub, publish(session_of(stub), OLD, 21), tmp_path / "old")
    data = (folder / "ledger.parquet").read_bytes()
    (folder / "ledger.parquet").write_bytes(b"nothing" if ledger == "nothing" else data.replace(b"etag", b"tags"))
    with pytest.raises(AccessError) as caught:
        list(read_place(str(folder)).objects or ())
    assert caught.value.code == "DOCUMENT_UNREADABLE"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["diff", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


def test_the_command_compares_addresses(stub: Stub) -> None:
    session = session_of(stub)
    old, new = publish(session, OLD, 21), publish(session, NEW, 22)
    assert run(old, old)[0] == 0
    code, output, errors = run(old, new, "--json")
    assert (code, errors) == (1, "")
    assert json.loads(output)["changed"] == 1
    code, output, _ = run(old, new)
    assert code == 1
    assert f"s3://{BUCKET}/x/z.png → s3://{BUCKET}/x/z-moved.png" in output


def test_the_command_says_what_it_cannot_read(stub: Stub) -> None:
    address = publish(session_of(stub), OLD, 21)
    code, output, errors = run(address, "s3://example-images/none/")
    assert (code, output) == (2, "")
    assert errors.startswith("SNAPSHOT_NOT_FOUND: s3://example-images/none/ is no snapshot")


def test_a_manifest_file_is_compared_without_the_data_plane(tmp_path: Path) -> None:
    """Or everyone who compares two files would wait for AWS's SDK."""
    file = tmp_path / "a.manifest"
    file.write_bytes(b'{"source-ref":"s3://example-images/a.png"}\n')
    program = (
        "import sys; from include.custom_labels.__main__ import app\n"
        f"try: app(['diff', {str(file)!r}, {str(file)!r}])\n"
        "except SystemExit as end: code = end.code\n"
        "print(code, sorted({'boto3', 'pyarrow', 'include.object_store'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
