"""Files of a person's computer on their way into a dataset: what may be sent, under which key, in which batches.

Nothing here opens a file. What was read of one is handed in, and the decision comes back as the file's next state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

import msgspec

from include.custom_labels.errors import RequestError
from include.custom_labels.file_names import skip_reason
from include.custom_labels.image_headers import ImageHeader, NotAnImage, read_header
from include.custom_labels.images import image_fault
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerRow, State, ledger_rows
from include.custom_labels.manifest import submission_line
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason

IMAGES_PER_BATCH: Final = 30
"""*You can upload up to 30 images at a time* (Creating a dataset, section *Local Computer*)."""

UPLOAD_ID: Final = r"[0-9A-Za-z][0-9A-Za-z_\-]{0,63}"
"""One path segment that means nothing but itself, whoever reads it."""

MAX_KEY_BYTES: Final = 1024
_PAGE_ROWS: Final = 1000

_STATES: Final = {
    Reason.HIDDEN_FILE: State.SKIPPED,
    Reason.SPECIAL_FILE: State.SKIPPED,
    Reason.SYMLINK_TO_FOLDER: State.SKIPPED,
    Reason.SYMLINK_OUTSIDE: State.REJECTED,
    Reason.UNSAFE_NAME: State.REJECTED,
    Reason.NAME_TAKEN: State.REJECTED,
    **dict.fromkeys(
        (Reason.FOLDER_MARKER, Reason.SYSTEM_FILE, Reason.NOT_AN_IMAGE_NAME, Reason.OTHER_IMAGE_NAME), State.SKIPPED
    ),
}


class LocalFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a folder or of a staged upload, as far as it has come.

    :ivar name: below the folder or the upload, with slashes; what is no UTF-8 of it is written with backslashes
    :ivar modified: UTC as ``YYYY-MM-DDTHH:MM:SS``
    :ivar sha256: of the content when it was staged, in hex; empty for what S3 holds already
    :ivar md5: likewise; it is what S3 calls the ETag of most objects
    :ivar reason: why it is not imported; None as long as it is
    :ivar etag: of the object that it became, without quotes; empty before that
    :ivar written: when that object was written, as `modified`
    :ivar way: how the object came to be: ``uploaded``, ``copied`` or ``already there``
    """

    name: str
    size_bytes: int = 0
    modified: str = ""
    sha256: str = ""
    md5: str = ""
    reason: Reason | None = None
    detail: str = ""
    etag: str = ""
    written: str = ""
    way: str = ""

    def refused(self, reason: Reason, detail: str = "") -> LocalFile:
        """The file as one that is not imported."""
        return msgspec.structs.replace(self, reason=reason, detail=detail)

    def sent(self, way: str, *, etag: str, written: str) -> LocalFile:
        """The file as an object."""
        return msgspec.structs.replace(self, way=way, etag=etag, written=written)


def check_upload_id(upload_id: str) -> str:
    """The id of a staged upload, which becomes part of a prefix.

    :raises RequestError: INVALID_UPLOAD_ID where it could name anything but a folder of its own
    """
    if re.fullmatch(UPLOAD_ID, upload_id) is None:
        raise RequestError(
            "INVALID_UPLOAD_ID",
            f"{upload_id!r} is not the id of an upload.",
            "Take the id that the upload page showed: ASCII letters, digits, - and _, at most 64.",
        )
    return upload_id


def name_fault(name: str, prefix: str) -> str:
    """Why a file cannot be an object of that name, or empty.

    :param name: relative, with slashes; what is no UTF-8 as the surrogates that Python reads it as
    :param prefix: of the destination
    """
    try:
        size_bytes = len((prefix + name).encode())
    except UnicodeEncodeError:
        return "the name is not UTF-8"
    if name.startswith("/"):
        return "an absolute name"
    # S3 would keep such a segment as it is; whoever copies the object to a disk would leave the folder with it.
    odd = next((segment for segment in name.removesuffix("/").split("/") if segment in ("", ".", "..")), None)
    if odd is not None or "\0" in name:
        return f"the segment {odd!r}" if odd is not None else "a zero character"
    return "" if size_bytes <= MAX_KEY_BYTES else f"{size_bytes:,} bytes of key, and S3 has {MAX_KEY_BYTES:,}"


def judge_name(file: LocalFile, prefix: str) -> LocalFile:
    """The file, refused where its name alone says so.

    A name that is no image's goes before everything else that may be wrong with the file: nobody asked for it.
    """
    shown = file.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    named = msgspec.structs.replace(file, name=shown)
    skip = _skip_reason(file)
    if skip is not None:
        return named.refused(skip)
    fault = name_fault(file.name, prefix)
    return named.refused(Reason.UNSAFE_NAME, fault) if fault and file.reason is None else named


def _skip_reason(file: LocalFile) -> Reason | None:
    """Why nobody takes a file of this name for an image."""
    if file.reason is not None and (not file.name or file.name.endswith("/")):
        # Of a folder that cannot be walked, its name says nothing.
        return None
    segments = file.name.split("/")
    is_hidden = any(segment.startswith(".") and segment not in (".", "..") for segment in segments)
    return skip_reason(file.name) or (Reason.HIDDEN_FILE if is_hidden else None)


def judge_content(file: LocalFile, data: bytes) -> LocalFile:
    """The file, refused where Rekognition would not read it: such bytes need not leave the computer.

    :param data: the whole file
    """
    header = read_header(data, size_bytes=len(data))
    if isinstance(header, ImageHeader):
        fault = image_fault(header, len(data))
    elif isinstance(header, NotAnImage):
        fault = header
    else:
        fault = NotAnImage(Reason.DAMAGED_HEADER, "the file ends before its image header does")
    return file if fault is None else file.refused(fault.reason, fault.detail)


def batches(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """The files in their order, at most `IMAGES_PER_BATCH` at a time."""
    remaining = iter(files)
    while batch := list(islice(remaining, IMAGES_PER_BATCH)):
        yield batch


def check_upload_size(files: Iterable[LocalFile], max_images: int) -> None:
    """:raises RequestError: TOO_MANY_IMAGES where one upload has more files to import than it may"""
    images = sum(file.reason is None for file in files)
    if images > max_images:
        raise RequestError(
            "TOO_MANY_IMAGES",
            f"The upload holds {images:,} images, and one upload has at most {max_images:,}; nothing was imported.",
            "Send the rest as an upload of its own, or raise `max_images`.",
            images=images,
        )


def common_folder(keys: Iterable[str]) -> str:
    """The deepest folder that all keys lie in: empty, or ending with a slash."""
    common: str | None = None
    for key in keys:
        folder = key[: key.rfind("/") + 1]
        common = folder if common is None else common
        while not folder.startswith(common):
            common = common[: common[:-1].rfind("/") + 1]
    return common or ""


def refused_rows(files: Iterable[LocalFile], place: str) -> list[LedgerRow]:
    """Ledger rows, in order, of files that did not become objects.

    :param place: of the folder or upload, ending with a slash; a row's key is the file's address there, which no
        image of the dataset has
    """
    return sorted(
        (
            LedgerRow(
                key=place + file.name,
                size_bytes=file.size_bytes,
                last_modified=file.modified,
                state=_STATES.get(file.reason, State.QUARANTINED),
                reason=file.reason,
                detail=file.detail,
            )
            for file in files
            if file.reason is not None
        ),
        key=itemgetter(0),
    )


def sent_pages(files: Iterable[LocalFile], prefix: str) -> Iterator[ObjectPage]:
    """The objects that files became, as pages in key order.

    :param prefix: of the destination
    """
    sent = iter(sorted((file for file in files if file.etag), key=lambda file: file.name))
    while page := list(islice(sent, _PAGE_ROWS)):
        yield ObjectPage(
            [prefix + file.name for file in page],
            [file.size_bytes for file in page],
            [file.etag for file in page],
            [file.written for file in page],
        )


def carried_page(page: LedgerPage) -> Iterator[LedgerRow]:
    """The rows of the last snapshot that an addition to its dataset keeps: what was registered, and no more."""
    for row in ledger_rows(page):
        # An entry with an error is still an entry: left out, it would count as removed.
        if row.state in IN_MANIFEST or row.reason is Reason.ENTRY_ERROR:
            kept = State.UNLABELLED if row.label is None else State.LABELLED
            # What has given way to this import is not what was registered.
            entry = None if row.reason is Reason.OVERWRITTEN_DATASET_ENTRY else row.entry
            if entry is not None and not entry.endswith(b"\n"):
                # A person's, as Rekognition listed it; it becomes a line of a manifest.
                entry = submission_line(entry)
            yield row._replace(state=kept, reason=Reason.IN_LAST_SNAPSHOT, detail="", entry=entry)


def merge_rows(new: Iterable[LedgerRow], carried: Iterable[LedgerRow]) -> Iterator[LedgerRow]:
    """New rows beside those of the last snapshot, in key order, one a key.

    An image that has labels or boxes keeps them; one without gets the label that the new row may bring.

    :param new: in key order
    :param carried: in key order
    """
    both = merge(new, carried, key=itemgetter(0))
    for _, same_key in groupby(both, key=itemgetter(0)):
        first, *others = same_key
        if not others or (first.state is State.LABELLED and others[-1].state is State.UNLABELLED):
            yield first
        else:
            yield others[-1]._replace(detail=f"in this import: {first.reason}")
