"""Objects that a document names, brought to this machine whole and compared before anything is made of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.object_store.documents import damaged, missing
from include.object_store.session import S3Session
from include.object_store.streams import read_chunks


@contextmanager
def verified_copy(session: S3Session, uri: S3Uri, named_by: object, *, sha256: str = "") -> Iterator[BinaryIO]:
    """A temporary copy of the object, at its start.

    :param named_by: the document that names it
    :param sha256: of the object, in hex; empty where that is not known
    :raises DocumentError: DOCUMENT_MISSING, or DOCUMENT_DAMAGED
    :raises AccessError: what else S3 answers
    """
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as file:
        with named(uri, named_by):
            for chunk in read_chunks(session, uri):
                digest.update(chunk)
                file.write(chunk)
        if sha256 and digest.hexdigest() != sha256:
            raise damaged(uri, f"{named_by} has another digest of it")
        file.seek(0)
        yield file


@contextmanager
def named(uri: S3Uri, named_by: object) -> Iterator[None]:
    """Where an object is read that a document names.

    :raises DocumentError: DOCUMENT_MISSING, where the object is gone
    """
    try:
        yield
    except AccessError as error:
        if error.code != "OBJECT_NOT_FOUND":
            raise
        raise missing(uri, named_by) from error
