"""``python -m bench.gallery [IMAGES]``: what the gallery takes to index a dataset and to answer for it.

The snapshots lie on the S3 stub, and Rekognition is in memory, so that the gallery alone is measured. One image in ten
has boxes, a tenth was relabelled since the snapshot before, one in a hundred has errors or is not in the manifest.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import boto3
import msgspec
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from bench.stub import running_stub
from include.custom_labels.entries import LabelledBox, box_labels
from include.custom_labels.label_attributes import ImageSize
from include.custom_labels.ledger import LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.manifest import ManifestLine, canonical_line
from include.custom_labels.reasons import Reason
from include.gallery.catalog import Catalog, Facts, id_of
from include.gallery.catalog_building import Sources, build_catalog
from include.gallery.comparison import ComparisonFile, build_comparison
from include.gallery.messages import View
from include.gallery.statistics import CountsReader, read_statistics
from include.gallery.views import Views, view_ids
from include.object_store.folder_manifest import write_manifest
from include.object_store.session import S3Session
from include.object_store.snapshot_contents import read_snapshot
from include.object_store.snapshots import SnapshotFolder, Workspace
from include.object_store.streams import read_lines
from include.object_store.tables import read_ledger

BUCKET = "example-images"
LABELS = 100
PAGE = 100
TIME = "2026-11-22T20:00:00"


def rows(images: int, *, is_second: bool) -> Iterator[LedgerRow]:
    """A ledger, in key order."""
    for at in range(images):
        key = f"photos/label-{at * LABELS // images:03}/image-{at:07}.jpg"
        number = at * LABELS // images + (is_second and at % 10 == 3)
        name = f"label {number:03}"
        state, reason = State.REGISTERED, Reason.IN_FOLDER
        label: str | None = name
        entry: bytes | None = None
        if at % 100 == 7:
            state, label, reason = State.QUARANTINED, None, Reason.NOT_PNG_OR_JPEG
        elif at % 10 == 5:
            boxes = [LabelledBox(label=name, left=at % 100, top=at % 90, width=300, height=200)]
            line = ManifestLine(
                source_ref=f"s3://{BUCKET}/{key}",
                boxes=(box_labels(ImageSize(width=1600, height=1200, depth=3), boxes, TIME),),
            )
            entry, label = canonical_line(line), None
        etag = f"{at:032x}"
        yield LedgerRow(key, 100_000 + at % 5000, etag, TIME, state, label, reason, "", 1600, 1200 + at % 7, entry)


def write(session: S3Session, workspace: Workspace, images: int, number: int) -> SnapshotFolder:
    """A snapshot's manifest and ledger."""
    snapshot = workspace.dataset("example", "train").snapshot(f"2026112{number}T200000Z-00000000")
    pages = ledger_pages(rows(images, is_second=number > 1))
    write_manifest(session, snapshot.manifest, BUCKET, pages, ledger=snapshot.ledger)
    return snapshot


def index(
    session: S3Session, folder: Path, before: SnapshotFolder, after: SnapshotFolder, images: int
) -> list[tuple[float, float]]:
    """Index as the gallery does; wall and CPU seconds of both parts."""
    moments = [(time.perf_counter(), time.thread_time())]
    build_comparison(
        folder / "comparison.sqlite",
        read_snapshot(session, before),
        read_snapshot(session, after),
        lambda _: None,
        expected=images,
    )
    moments.append((time.perf_counter(), time.thread_time()))
    build_catalog(
        folder / "catalog.sqlite",
        Sources(
            bucket=BUCKET,
            ledger=(row for page in read_ledger(session, after.ledger) for row in ledger_rows(page)),
            manifest=read_lines(session, after.manifest),
            are_entries_of_manifest=True,
            changes=ComparisonFile(folder / "comparison.sqlite").changes(),
            expected_images=images,
        ),
        Facts(),
        lambda _: None,
    )
    moments.append((time.perf_counter(), time.thread_time()))
    return [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(moments)]


def timed(work: Callable[[], object], rounds: int = 5) -> tuple[str, str]:
    """Wall milliseconds of the first time and of the best of the others; the same of CPU."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.thread_time()
        work()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.thread_time() - cpu) * 1000)
    return f"{walls[0]:.1f} / {min(walls[1:]):.1f}", f"{cpus[0]:.1f} / {min(cpus[1:]):.1f}"


def page(views: Views, catalog: Catalog, view: View, offset: int) -> bytes:
    """A page as it is sent."""
    numbers = views.numbers(catalog, view)
    start = max(len(numbers) + offset, 0) if offset < 0 else offset
    return msgspec.json.encode(catalog.rows(numbers[start : start + PAGE]))


def main(images: int) -> None:
    table = Table("what", "first / again, ms", "of CPU, ms", title=f"The gallery at {images:,} images")
    with tempfile.TemporaryDirectory() as name, running_stub([], BUCKET) as stub:
        folder = Path(name)
        client = boto3.client(
            "s3",
            endpoint_url=stub.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="localsecret",
            config=Config(proxies={}),
        )
        session = S3Session(client)
        workspace = Workspace.parse(f"s3://{BUCKET}/custom-labels")
        before, after = (write(session, workspace, images, number) for number in (1, 2))
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        compared, indexed = index(session, folder, before, after, images)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for what, seconds in (("compare with the snapshot before", compared), ("index", indexed)):
            table.add_row(what, *(f"{each * 1000:,.0f}" for each in seconds))
        size = (folder / "catalog.sqlite").stat().st_size / 2**20
        table.add_row("memory while doing so", f"{peak - base:.0f} MB more than {base:.0f} MB; file of {size:.0f} MB")
        catalog, views = Catalog(folder / "catalog.sqlite"), Views()
        boxed = View(label=["label 042"], boxed=True)
        for what, view, offset in (
            ("first page", View(), 0),
            ("last page", View(), -PAGE),
            ("page of a label with boxes", boxed, 0),
            ("page of what was relabelled", View(change=["relabelled"]), 0),
            ("page of a text in the key", View(key="IMAGE-00012"), 0),
            ("page of a state", View(state=["quarantined"]), 0),
            ("first page by pixels", View(sort="pixels", descending=True), 0),
            ("first page by label", View(sort="label"), 0),
        ):
            table.add_row(what, *timed(lambda view=view, offset=offset: page(views, catalog, view, offset)))  # type: ignore[misc]
        last = views.numbers(catalog, View())[-1]
        table.add_row("position of the last image", *timed(lambda: views.position(catalog, View(), last)))
        table.add_row("all ids", *timed(lambda: msgspec.json.encode(view_ids(catalog, View()))))
        table.add_row("counts of the dataset", *timed(lambda: CountsReader().read(catalog, 0)))
        table.add_row("statistics of all images", *timed(lambda: read_statistics(catalog, View())))
        table.add_row("statistics of a label", *timed(lambda: read_statistics(catalog, boxed)))
        (found,) = catalog.find([id_of(_id(catalog, last))])
        lines = [found.line or b""]
        table.add_row("one saved entry", *timed(lambda: catalog.put(lines, catalog.entries_revision() + 1)))
    Console(width=110).print(table)


def _id(catalog: Catalog, number: int) -> int:
    with catalog.connection() as connection:
        return int(connection.execute("SELECT id FROM images WHERE n = ?", (number,)).fetchone()[0])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250_000)
