"""A stream of ledger pages becomes a manifest in S3: pages in key order in, canonical lines in key order out.

::

    pages = map(labelling.open_ledger, list_objects(session, location))   # or read_ledger(…), inspected
    written = write_manifest(session, uri, bucket, pages, ledger=…, validator=…)
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerSummary
from include.custom_labels.locations import S3Uri
from include.custom_labels.manifest import image_level_lines
from include.object_store.session import S3Session
from include.object_store.streams import ObjectWriter, StoredObject, stored_of
from include.object_store.tables import LEDGER_SCHEMA, TableWriter, append_ledger_page

MANIFEST = "application/jsonlines"


class LineReader(Protocol):
    """Who reads along, such as `include.custom_labels.validation.ManifestValidator`."""

    def feed(self, chunk: bytes, /) -> object:
        """Read the next bytes of the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenManifest:
    """:ivar ledger: None where no ledger was asked for"""

    manifest: StoredObject
    ledger: StoredObject | None


def manifest_lines(bucket: str, page: LedgerPage) -> bytes:
    """The manifest lines of the page's objects that have one, in their order."""
    if page.entries is not None:
        return b"".join(
            entry or image_level_lines(bucket, page.objects, at, at + 1, page.labels[at])
            for at, (state, entry) in enumerate(zip(page.states, page.entries, strict=True))
            if state in IN_MANIFEST
        )
    if len(page) and page.states.count(page.states[0]) == page.labels.count(page.labels[0]) == len(page):
        # Most pages are of one folder.
        is_sent = page.states[0] in IN_MANIFEST
        return image_level_lines(bucket, page.objects, 0, len(page), page.labels[0]) if is_sent else b""
    rows = zip(page.states, page.labels, strict=True)
    chunks: list[bytes] = []
    start = 0
    for (state, label), run in groupby(rows):
        stop = start + sum(1 for _ in run)
        if state in IN_MANIFEST:
            chunks.append(image_level_lines(bucket, page.objects, start, stop, label))
        start = stop
    return b"".join(chunks)


def write_manifest(
    session: S3Session,
    uri: S3Uri,
    bucket: str,
    pages: Iterable[LedgerPage],
    *,
    ledger: S3Uri | None = None,
    summary: LedgerSummary | None = None,
    validator: LineReader | None = None,
) -> WrittenManifest:
    """Write the manifest of the pages, and their ledger beside it, in one pass and bounded memory.

    :param bucket: of the images
    :param pages: in key order
    :param ledger: where to write the ledger's rows
    :param summary: counts every page
    :param validator: is fed the very bytes that are written; the caller finishes it
    :raises AccessError: what S3 answers; neither object is there then
    """
    with ExitStack() as stack:
        manifest = stack.enter_context(ObjectWriter(session, uri, content_type=MANIFEST))
        table = stack.enter_context(TableWriter(session, ledger, LEDGER_SCHEMA)) if ledger else None
        for page in pages:
            lines = manifest_lines(bucket, page)
            manifest.write(lines)
            if validator:
                validator.feed(lines)
            if summary:
                summary.add(page)
            if table:
                append_ledger_page(table, page)
    return WrittenManifest(manifest=stored_of(manifest), ledger=table.stored if table else None)
