"""The entries of a dataset that was deleted to be created again, as the journal names them."""

from __future__ import annotations

from collections.abc import Iterator

from include.custom_labels.locations import S3Uri
from include.custom_labels.manifest import decode_line
from include.object_store.documents import damaged
from include.object_store.listing import list_objects
from include.object_store.registration_journal import Replacement
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder
from include.object_store.streams import read_lines
from include.object_store.verified_copies import verified_copy


def read_export(session: S3Session, dataset: DatasetFolder, replacement: Replacement) -> Iterator[bytes]:
    r"""The lines of the export, without their ``\n``, once it was made sure that it is whole.

    :raises DocumentError: DOCUMENT_MISSING, or DOCUMENT_DAMAGED where it is not what was exported
    :raises AccessError: what else S3 answers
    """
    uri = S3Uri.parse(replacement.entries)
    with verified_copy(session, uri, dataset.registration, sha256=replacement.sha256) as file:
        count, is_whole = 0, True
        for line in file:
            count += 1
            is_whole = line.endswith(b"\n")
        if not is_whole or count != replacement.count:
            raise damaged(uri, f"it has {count:,} lines, and {replacement.count:,} entries were exported")
        file.seek(0)
        for line in file:
            yield line.removesuffix(b"\n")


def readable_lines(session: S3Session, uri: S3Uri) -> Iterator[bytes]:
    r"""The entries of a manifest that may be damaged, without their ``\n``: all lines that are whole.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    for line in read_lines(session, uri):
        # What is cut off is no JSON object.
        if not isinstance(decode_line(line), str):
            yield line


def exports_since(session: S3Session, dataset: DatasetFolder, moment: str) -> dict[S3Uri, str]:
    """The exports that were written at a time or after it, in the order of their times, and these.

    :param moment: as in a listing
    :raises AccessError: what S3 answers
    """
    written = [
        (written_at, key)
        for page in list_objects(session, dataset.exports)
        for key, written_at in zip(page.keys, page.last_modified, strict=True)
        if written_at >= moment
    ]
    return {S3Uri(dataset.exports.bucket, key): written_at for written_at, key in sorted(written)}
