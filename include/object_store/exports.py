"""The entries of a dataset that was deleted to be created again, as the journal names them."""

from __future__ import annotations

from collections.abc import Iterator

from include.custom_labels.locations import S3Uri
from include.object_store.documents import damaged
from include.object_store.registration_journal import Replacement
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder
from include.object_store.verified_copies import verified_copy


def read_export(session: S3Session, dataset: DatasetFolder, replacement: Replacement) -> Iterator[bytes]:
    r"""The lines of the export, without their ``\n``, once it was made sure that it is whole.

    :raises DocumentError: DOCUMENT_MISSING, or DOCUMENT_DAMAGED where it has not as many whole lines as were exported
    :raises AccessError: what else S3 answers
    """
    uri = S3Uri.parse(replacement.entries)
    with verified_copy(session, uri, dataset.registration) as file:
        count, is_whole = 0, True
        for line in file:
            count += 1
            is_whole = line.endswith(b"\n")
        if not is_whole or count != replacement.count:
            raise damaged(uri, f"it has {count:,} lines, and {replacement.count:,} entries were exported")
        file.seek(0)
        for line in file:
            yield line.removesuffix(b"\n")
