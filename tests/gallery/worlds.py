"""Worlds for the gallery's tests: S3 in this process, Rekognition and Airflow's runs in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import boto3
from botocore.config import Config
from fastapi import FastAPI, HTTPException, Request

from bench.stub import Stub, running_stub
from include.custom_labels.errors import AccessError, CustomLabelsError
from include.custom_labels.ledger import IN_MANIFEST, LedgerRow, LedgerSummary, State, ledger_pages
from include.custom_labels.locations import S3Uri
from include.custom_labels.reasons import Reason
from include.gallery.addresses import SampleAddress
from include.gallery.datasets import Datasets
from include.gallery.messages import ImportSource, RunPage
from include.gallery.problems import refuse
from include.gallery.routes import comparison, datasets, downloads, images, runs
from include.gallery.services import DatasetState, Rights, ServiceDataset, ServiceProject
from include.gallery.snapshots import DatasetName
from include.object_store.folder_manifest import write_manifest
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    CurrentSnapshot,
    Workspace,
    publish_snapshot,
    read_current,
    write_current,
)
from include.object_store.streams import read_chunks
from include.object_store.tables import write_ledger
from tests.custom_labels.manifest_lines import label_pair

BUCKET = "example-images"
ARN = "arn:aws:rekognition:us-east-1:111122223333:project/example/dataset/train/1790000000000"
TIME = "2026-11-22T20:00:00"
NAME = DatasetName(project="example", dataset_type="train")
START = datetime(2026, 11, 20, 20, tzinfo=UTC)


def row(key: str, label: str | None = "echo", **more: Any) -> LedgerRow:
    """A row of a registered ledger."""
    state = State.REGISTERED if label else State.UNLABELLED
    about: dict[str, Any] = {
        "size_bytes": 1000,
        "etag": f"etag of {key}",
        "last_modified": TIME,
        "state": state,
        "label": label,
        "reason": Reason.IN_FOLDER if label else Reason.AT_FOLDER_LEVEL,
        "width": 640,
        "height": 480,
    }
    return LedgerRow(key=key, **(about | more))


def entry(key: str, *labels: str, bucket: str = BUCKET, **more: Any) -> bytes:
    """An entry with image-level labels."""
    line: dict[str, Any] = {"source-ref": f"s3://{bucket}/{key}"}
    for number, label in enumerate(labels):
        line |= label_pair(f"label-{number}", label)
    return json.dumps(line | more, separators=(",", ":")).encode()


@dataclass
class MemoryDatasets:
    """Rekognition with one dataset.

    :ivar arn: empty for none
    :ivar entries_by_ref: its entries
    :ivar error: raised by every operation
    :ivar gate: that a listing waits for behind its first entry
    :ivar on_listing: called when a listing is through, before it ends
    :ivar calls: names of operations
    """

    arn: str = ARN
    entries_by_ref: dict[str, str] = field(default_factory=dict)
    updated_at: datetime = START
    status: str = "CREATE_COMPLETE"
    error: CustomLabelsError | None = None
    gate: Event | None = None
    on_listing: Callable[[], None] = lambda: None
    calls: list[str] = field(default_factory=list)

    def _call(self, operation: str) -> None:
        self.calls.append(operation)
        if self.error is not None:
            raise self.error

    def projects(self) -> list[ServiceProject]:
        self._call("projects")
        dataset = ServiceDataset(
            dataset_arn=self.arn, dataset_type="train", status=self.status, status_message="", created_at=START
        )
        return [
            ServiceProject(
                name=NAME.project, status="CREATED", created_at=START, datasets=(dataset,) if self.arn else ()
            )
        ]

    def describe(self, dataset_arn: str) -> DatasetState:
        self._call("describe")
        assert dataset_arn == self.arn
        lines = [json.loads(line) for line in self.entries_by_ref.values()]
        return DatasetState(
            status=self.status,
            status_message="",
            updated_at=self.updated_at,
            images=len(lines),
            labelled=sum(len(line) > 1 for line in lines),
            labels=0,
            errors=sum("errors" in line for line in lines),
        )

    def entries(self, dataset_arn: str) -> Iterator[str]:
        self._call("entries")
        for number, line in enumerate(list(self.entries_by_ref.values())):
            if number == 1 and self.gate is not None:
                assert self.gate.wait(10)
            yield line
        self.on_listing()

    def find_entries(self, dataset_arn: str, source_ref: str) -> list[str]:
        self._call("find_entries")
        return [line for ref, line in self.entries_by_ref.items() if ref == source_ref]

    def update(self, dataset_arn: str, lines: bytes) -> None:
        self._call("update")
        self.change(*lines.splitlines())

    def save(self, line: bytes) -> dict[str, str]:
        """The gallery sends an entry: what `LiveEntries.put` is told of the dataset's times."""
        since = self.updated_at.isoformat()
        self.update(self.arn, line)
        return {"since": since, "until": self.updated_at.isoformat()}

    def change(self, *lines: bytes) -> None:
        """Somebody changes entries."""
        for line in lines:
            self.entries_by_ref[json.loads(line)["source-ref"]] = line.decode()
        self.updated_at += timedelta(seconds=7)


@dataclass
class MemoryRuns:
    """Airflow's runs."""

    pages: dict[tuple[str, str], RunPage] = field(default_factory=dict)
    ended: set[Holder] = field(default_factory=set)

    def describe(self, dag_id: str, run_id: str) -> RunPage | None:
        return self.pages.get((dag_id, run_id))

    def has_ended(self, holder: Holder) -> bool:
        return holder in self.ended

    def started_at(self, holder: Holder) -> datetime | None:
        return None

    def sample(self, address: SampleAddress) -> bytes | None:
        return None


class World:
    """A workspace and a dataset, and the gallery's services over them."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        client = boto3.client(
            "s3",
            endpoint_url=stub.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="localsecret",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        self.session = S3Session(client)
        self.service = MemoryDatasets()
        self.airflow = MemoryRuns()
        self.day = 20

    # Services

    def datasets(self) -> MemoryDatasets:
        return self.service

    def s3(self) -> S3Session:
        return self.session

    def workspace(self) -> Workspace:
        return Workspace.parse(f"s3://{BUCKET}/custom-labels")

    def runs(self) -> MemoryRuns:
        return self.airflow

    # What happens in it

    def publish(
        self,
        *rows: LedgerRow,
        closed: tuple[LedgerRow, ...] = (),
        base: str | None = None,
        registers: bool = True,
        entries: int = -1,
        **details: Any,
    ) -> str:
        """A run imports images, and registers them: the dataset's entries are its lines then.

        :param rows: as the manifest was built from, in key order
        :param closed: rows in their last state, of those that another one became of
        :param base: of the run's details; None to leave them out
        :param entries: that the run verified; -1 where it did not
        :returns: the snapshot's id
        """
        self.day += 1
        dataset = NAME.folder(self.workspace())
        staging = self.workspace().staging(f"run-{self.day}")
        written = write_manifest(self.session, staging.uri("x.manifest"), BUCKET, ledger_pages(rows))
        by_key = {each.key: each for each in (*rows, *closed)}
        summary = LedgerSummary()
        pages = list(ledger_pages(by_key[key] for key in sorted(by_key)))
        summary.add_all(pages)
        ledger = write_ledger(self.session, staging.uri("ledger.parquet"), pages)
        lines = b"".join(read_chunks(self.session, S3Uri(BUCKET, written.manifest.uri.key))).splitlines()
        if registers:
            self.service.entries_by_ref = {}
            self.service.change(*lines)
        about = {
            "bucket": BUCKET,
            "dataset_arn": ARN if registers else "",
            "dataset_stats": {"TotalEntries": len(self.service.entries_by_ref)},
            "states": {str(state): count for state, count in summary.states.items()},
            "reasons": [{"state": str(state), "reason": str(reason)} for state, reason in summary.reasons],
            "registration": {"action": "update" if registers else "build_only"},
            "run": {"dag_id": "import_s3_folder", "run_id": f"run-{self.day}"},
            **({"gate": {"base_snapshot_id": base}} if base is not None else {}),
            **details,
        }
        found = publish_snapshot(
            self.session,
            dataset,
            as_of=datetime(2026, 11, self.day, 20, tzinfo=UTC),
            manifest=written.manifest,
            ledger=ledger,
            images=sum(each.state in IN_MANIFEST for each in rows),
            details=about,
        )
        if registers:
            before = read_current(self.session, dataset)
            current = CurrentSnapshot(
                snapshot_id=found.snapshot_id,
                manifest_sha256=found.manifest_sha256,
                dataset_arn=ARN,
                registered_at=datetime.now(UTC),
                dataset_updated_at=self.service.updated_at.isoformat(),
                entries=entries,
            )
            write_current(self.session, dataset, current, expected_etag=before[1] if before else None)
        self.seen()
        return found.snapshot_id

    def seen(self) -> None:
        """Let listings of S3 have what was written."""
        self.stub.keys = sorted(self.stub.objects)
        self.stub.rendered.clear()


@contextmanager
def world() -> Iterator[World]:
    with running_stub([], BUCKET) as stub:
        yield World(stub)


def _caller(request: Request) -> str:
    if "authorization" not in request.headers:
        raise HTTPException(401)
    return request.headers["authorization"]


def _reads(request: Request) -> None:
    _caller(request)


def _writes(request: Request) -> None:
    if _caller(request) != "editor":
        raise HTTPException(403)


def _reads_run(request: Request) -> None:
    if _caller(request) == "stranger" or request.path_params["dag_id"] == "secret_dag":
        raise HTTPException(403)


def _can_write(request: Request) -> bool:
    return request.headers.get("authorization") == "editor"


def _sources() -> list[ImportSource]:
    return []


RIGHTS = Rights(read=_reads, write=_writes, read_run=_reads_run, user=_caller, can_write=_can_write, sources=_sources)
"""The header ``authorization`` names the caller, of whom ``editor`` may write."""


def app_of(world: Any, folder: Path) -> tuple[FastAPI, Datasets]:
    """The routes that read, by themselves."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    found = Datasets(world, folder)
    for each in (
        datasets.router(found, RIGHTS),
        images.router(found, RIGHTS, lambda image: 1),
        comparison.router(found, RIGHTS),
        downloads.router(found, RIGHTS),
        runs.router(world, RIGHTS),
    ):
        app.include_router(each)
    app.add_exception_handler(CustomLabelsError, refuse)  # type: ignore[arg-type]
    return app, found


def unavailable() -> AccessError:
    return AccessError("SERVICE_UNAVAILABLE", "Rekognition does not answer.", "Try again.")
