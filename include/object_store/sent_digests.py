"""What may have been sent to a dataset, as digests: which entries are ours although no ledger says so yet.

A run writes this document before it sends anything, and the journal names it until the run has ended well. It holds
what the unfinished runs before it may have sent as well, so that none is forgotten, and the entries by people that they
may have overwritten, so that the next run can report them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from include.custom_labels.dataset_entries import DIGEST_BYTES
from include.custom_labels.locations import S3Uri
from include.object_store.documents import unreadable
from include.object_store.session import S3Session
from include.object_store.streams import StoredObject, stored_of
from include.object_store.tables import PAGE_ROWS, TableWriter, read_columns, read_metadata
from include.object_store.verified_copies import named

_FIELDS: list[pa.Field[Any]] = [
    pa.field("identity", pa.string(), nullable=False),
    pa.field("content", pa.binary(DIGEST_BYTES), nullable=False),
    pa.field("overwrites", pa.list_(pa.binary())),
]
_PAIR: Final = ["identity", "content"]
SENT_SCHEMA = pa.schema(_FIELDS)


def write_sent(
    session: S3Session,
    uri: S3Uri,
    rows: Iterable[tuple[str, bytes]],
    overwritten: Mapping[tuple[str, bytes], Sequence[bytes]] = MappingProxyType({}),
    *,
    origin: str = "",
) -> StoredObject:
    """Write the digests, sorted and each pair once.

    :param rows: an image's identity and the content digest of a line about it, in any order; an image may have several
    :param overwritten: entries by people that give way to such a line, by its pair
    :param origin: of the import, so that the document tells whose it is where the journal is lost
    :raises AccessError: what S3 answers; the object is not there then
    """
    # In memory, some 50 MB for 250,000 images, and so sorted by the same rule whatever the rows come from.
    pairs = iter(sorted(set(rows)))
    with TableWriter(session, uri, SENT_SCHEMA.with_metadata({"origin": origin})) as table:
        while page := list(islice(pairs, PAGE_ROWS)):
            table.append(*map(list, zip(*page, strict=True)), [overwritten.get(pair) for pair in page])
    return stored_of(table)


def read_sent(session: S3Session, uri: S3Uri) -> Iterator[tuple[str, bytes]]:
    """The pairs, by identity, as a stream.

    :raises DocumentError: DOCUMENT_MISSING, or DOCUMENT_UNREADABLE, also where it is not in order
    :raises AccessError: what else S3 answers
    """
    before: tuple[str, bytes] | None = None
    with named(uri, "the journal"):
        for identities, contents in read_columns(session, uri, SENT_SCHEMA, _PAIR):
            for pair in zip(identities, contents, strict=True):
                if before is not None and pair <= before:
                    raise unreadable(uri, "its rows are not sorted")
                yield pair
                before = pair


def read_origin(session: S3Session, uri: S3Uri) -> str:
    """The import whose runs may have sent this; empty where the document does not say.

    :raises DocumentError: DOCUMENT_MISSING or DOCUMENT_UNREADABLE
    :raises AccessError: what else S3 answers
    """
    with named(uri, "the journal"):
        return read_metadata(session, uri).get("origin", "")


def read_overwritten(session: S3Session, uri: S3Uri) -> Iterator[tuple[tuple[str, bytes], list[bytes]]]:
    """The entries that a line took the place of, or may have, after the pair of that line.

    :raises DocumentError: DOCUMENT_MISSING or DOCUMENT_UNREADABLE
    :raises AccessError: what else S3 answers
    """
    with named(uri, "the journal"):
        for identities, contents, overwritten in read_columns(session, uri, SENT_SCHEMA, [*_PAIR, "overwrites"]):
            for identity, content, entries in zip(identities, contents, overwritten, strict=True):
                if entries is not None:
                    yield (identity, content), entries
