"""Documents of the workspace that are not what they should be: what is wrong with one, and the way out.

The way out of a dataset's own documents is the command that rebuilds them (`include.pipelines.base_rebuild`). No
document is ever to be deleted: one that cannot be read may still be all that names a person's work.
"""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from include.custom_labels.errors import DocumentError

FORMAT: Final = 2
"""Of the JSON documents that this release writes, in their member ``format``. Earlier releases wrote no such member."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in a document; one without a time zone is refused, as it cannot be compared with others."""

S3Address = Annotated[str, msgspec.Meta(pattern=r"^s3://[^/]+/.")]
"""``s3://`` address of an object in a document."""

Document = TypeVar("Document", bound=msgspec.Struct)

_IN_DATASET: Final = re.compile(
    # What saves of the gallery leave in edits/ is for people to look at, and no run builds on it.
    r"(?P<workspace>s3://[^/]+/(?:.*/)?)datasets/(?P<project>[^/]+)/(?P<type>train|test)/(?!edits/)"
)


def encode_document(value: object, *, write_id: str = "") -> bytes:
    """A JSON document as it is written, indented for people; the same arguments give the same bytes.

    :param value: anything that msgspec encodes as an object
    :param write_id: tells this write from any other of the same value; empty where nobody asks
    """
    members: dict[str, Any] = msgspec.to_builtins(value) | {"format": FORMAT}
    if write_id:
        members["write_id"] = write_id
    return msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n"


def decode_document(place: object, data: bytes, kind: type[Document]) -> Document:
    """A JSON document as the struct ``kind``; one without a format is read where it can be understood.

    :param place: what an error calls it
    :raises DocumentError: DOCUMENT_UNREADABLE, or DOCUMENT_FORMAT
    """
    try:
        members = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(place, error) from error
    written = members.pop("format", None)
    if written not in (None, FORMAT):
        raise of_another_format(place, written)
    try:
        document = msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise (of_another_format(place, None, error) if written is None else unreadable(place, error)) from error
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    if written is not None and (unknown := members.keys() - known - {"write_id"}):
        # A name that was mistyped by hand would count as a member that is not there.
        raise unreadable(place, f"it has the members {', '.join(sorted(unknown))}")
    return document


def unreadable(place: object, error: Exception | str) -> DocumentError:
    """The error for a document that has not the form that this project gives it: cut off, empty, or edited by hand."""
    return DocumentError(
        "DOCUMENT_UNREADABLE", f"{place} is not what this project writes: {error}", _way_out(place), location=str(place)
    )


def damaged(place: object, what: str) -> DocumentError:
    """The error for a document that can be read, and whose content is not what was written.

    :param what: the difference, as a clause
    """
    return DocumentError(
        "DOCUMENT_DAMAGED", f"{place} is not what was written: {what}.", _way_out(place), location=str(place)
    )


def missing(place: object, named_by: object) -> DocumentError:
    """The error for a document that is gone and that another document names."""
    return DocumentError(
        "DOCUMENT_MISSING", f"{place} is gone, and {named_by} names it.", _way_out(place), location=str(place)
    )


def of_another_format(place: object, found: object, why: object = "") -> DocumentError:
    """The error for a document of a release that wrote other documents.

    :param found: its ``format``; None where it has none
    :param why: what this release does not understand
    """
    told = "no format, as documents of earlier releases" if found is None else f"the format {found}"
    return DocumentError(
        "DOCUMENT_FORMAT",
        f"{place} has {told}, and this release reads the format {FORMAT}. {why}".rstrip(),
        _way_out(place),
        location=str(place),
    )


def rebuild_command(place: object) -> str:
    """The command that rebuilds the documents of the dataset that a document belongs to; empty for other documents.

    :param place: ``s3://`` address of the document
    """
    found = _IN_DATASET.match(str(place))
    if found is None:
        return ""
    workspace, project = shlex.quote(found["workspace"]), shlex.quote(found["project"])
    return f"python -m include.custom_labels rebuild-base {workspace} --project {project} --type {found['type']}"


def _way_out(place: object) -> str:
    command = rebuild_command(place)
    if not command:
        return "Restore the object's previous version, or run again what wrote it."
    return (
        "Restore the object's previous version, where the bucket has one, or rebuild the dataset's documents: "
        f"`{command} --dry-run` says what that would do. Delete nothing."
    )
