from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from bench.stub import Stub
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import LedgerPage, LedgerSummary, State
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.custom_labels.validation import ManifestValidator
from include.object_store.folder_manifest import WrittenManifest, manifest_lines, write_manifest
from include.object_store.listing import list_objects
from include.object_store.session import S3Session
from include.object_store.tables import read_ledger
from tests.object_store.conftest import BUCKET, HOSTILE_NAMES, session_of

Serve = Callable[[Sequence[str]], Stub]
MANIFEST = S3Uri(BUCKET, "out/images.manifest")
LEDGER = S3Uri(BUCKET, "out/ledger.parquet")
PREFIX = "photos/"
KEYS = [PREFIX + folder + name for folder in ("", "echo/", "é+ %/deep/") for name in HOSTILE_NAMES]


def pages(session: S3Session) -> Iterator[LedgerPage]:
    return map(FolderLabelling(PREFIX).open_ledger, list_objects(session, S3FolderLocation(BUCKET, PREFIX)))


def line(key: str, label: str | None) -> bytes:
    """A canonical line, written here one by one and plainly."""
    members: dict[str, object] = {"source-ref": f"s3://{BUCKET}/{key}"}
    if label is not None:
        members["label-0"] = 1
        members["label-0-metadata"] = {
            "class-name": label,
            "confidence": 1,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2026-11-22T20:00:00",
        }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def test_hostile_keys_become_the_lines_that_they_are(serve: Serve) -> None:
    stub = serve(KEYS)
    session = session_of(stub)
    summary, validator = LedgerSummary(), ManifestValidator(region="us-east-1")
    written = write_manifest(
        session, MANIFEST, BUCKET, pages(session), ledger=LEDGER, summary=summary, validator=validator
    )
    ledger = list(read_ledger(session, LEDGER))
    rows = [row for page in ledger for row in zip(page.objects.keys, page.states, page.labels, strict=True)]
    assert [key for key, _, _ in rows] == sorted(KEYS, key=str.encode)
    expected = [line(key, label) for key, state, label in rows if state is not State.SKIPPED]
    assert stub.objects[MANIFEST.key].data.splitlines(keepends=True) == expected
    assert {label for _, _, label in rows} >= {"echo", "é+ %", None}
    assert summary.objects == len(KEYS)
    assert summary.in_manifest == len(expected) == validator.finish().lines
    assert isinstance(written, WrittenManifest)
    assert written.ledger is not None


def test_the_same_bucket_gives_the_same_bytes(serve: Serve) -> None:
    session = session_of(serve(KEYS))
    first, second = (write_manifest(session, MANIFEST, BUCKET, pages(session)) for _ in range(2))
    assert first.manifest.sha256 == second.manifest.sha256
    assert first.ledger is None


def test_an_error_on_the_way_leaves_neither_object(serve: Serve) -> None:
    stub = serve(KEYS)
    session = session_of(stub)

    class Broken:
        def feed(self, chunk: bytes, /) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_manifest(session, MANIFEST, BUCKET, pages(session), ledger=LEDGER, validator=Broken())
    assert not stub.objects


def test_an_empty_folder_gives_an_empty_manifest(serve: Serve) -> None:
    stub = serve([])
    session = session_of(stub)
    written = write_manifest(session, MANIFEST, BUCKET, pages(session), ledger=LEDGER)
    assert written.manifest.size_bytes == 0
    assert list(read_ledger(session, LEDGER)) == []


def test_lines_that_were_brought_along_stand_beside_lines_that_are_made() -> None:
    objects = ObjectPage(["a.png", "b.png", "c.png"], [1] * 3, ["e"] * 3, ["2026-11-22T20:00:00"] * 3)
    states = [State.LABELLED, State.LABELLED, State.QUARANTINED]
    page = LedgerPage(objects, states, ["x", "echo", None], [Reason.IN_FOLDER] * 3, [""] * 3, [0] * 3, [0] * 3)
    page = replace(page, entries=[b'{"source-ref":"brought along"}\n', None, b"quarantined\n"])
    assert manifest_lines(BUCKET, page) == b'{"source-ref":"brought along"}\n' + line("b.png", "echo")


def test_lines_name_the_place_of_the_bytes_and_keep_label_and_date() -> None:
    keys = ["photos/echo/1.png", "photos/echo/2.png", 'photos/echo/"3".png', "photos/spot/4.png"]
    page = FolderLabelling(PREFIX).open_ledger(ObjectPage(keys, [1] * 4, ["e"] * 4, ["2026-11-22T20:00:00"] * 4))
    places = [None, "h/photos/echo/2.png", None, 'h/"4".png']
    moved = replace(page, objects=replace(page.objects, places=places))
    stored = ["photos/echo/1.png", "h/photos/echo/2.png", 'photos/echo/"3".png', 'h/"4".png']
    expected = [line(key, label) for key, label in zip(stored, ["echo"] * 3 + ["spot"], strict=True)]
    assert manifest_lines(BUCKET, moved).splitlines(keepends=True) == expected
    own = replace(moved, entries=[None, b"{}\n", None, None])
    assert manifest_lines(BUCKET, own).splitlines(keepends=True) == [expected[0], b"{}\n", *expected[2:]]
