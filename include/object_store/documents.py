"""Documents of the workspace that are not what they should be: what is wrong with one, and the way out.

The way out of a dataset's own documents is the command that rebuilds them (`include.pipelines.base_rebuild`). No
document is ever to be deleted: one that cannot be read may still be all that names a person's work.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from include.custom_labels.errors import DocumentError

FORMAT: Final = 2
"""Of the JSON documents that this release writes, in their member ``format``. Earlier releases wrote no such member."""

_IN_DATASET: Final = re.compile(r"(?P<workspace>s3://[^/]+/(?:.*/)?)datasets/(?P<project>[^/]+)/(?P<type>train|test)/")


def unreadable(place: object, error: Exception | str) -> DocumentError:
    """The error for a document that has not the form that this project gives it: cut off, empty, or edited by hand."""
    return _error("DOCUMENT_UNREADABLE", place, f"{place} is not what this project writes: {error}")


def damaged(place: object, what: str) -> DocumentError:
    """The error for a document that can be read, and whose content is not what was written.

    :param what: the difference, as a clause
    """
    return _error("DOCUMENT_DAMAGED", place, f"{place} is not what was written: {what}.")


def missing(place: object, named_by: object) -> DocumentError:
    """The error for a document that is gone and that another document names."""
    return _error("DOCUMENT_MISSING", place, f"{place} is gone, and {named_by} names it.")


def of_another_format(place: object, found: int | None, why: object = "") -> DocumentError:
    """The error for a document of a release that wrote other documents.

    :param found: its ``format``; None where it has none
    :param why: what this release does not understand
    """
    told = f"has the format {found}" if found is not None else "has no format, so that an earlier release wrote it"
    reason = f" {why}" if why else ""
    return _error(
        "DOCUMENT_FORMAT", place, f"{place} {told}; this release writes {FORMAT} and cannot read that one.{reason}"
    )


def rebuild_command(place: object) -> str:
    """The command that rebuilds the documents of the dataset that a document belongs to; empty outside of datasets.

    :param place: ``s3://`` address of the document
    """
    found = _IN_DATASET.match(str(place))
    if found is None:
        return ""
    workspace, project = shlex.quote(found["workspace"]), shlex.quote(found["project"])
    return f"python -m include.custom_labels rebuild-base {workspace} --project {project} --type {found['type']}"


def _error(code: str, place: object, message: str) -> DocumentError:
    command = rebuild_command(place)
    if command:
        next_step = (
            f"Restore the object's previous version, where the bucket has one, or rebuild the dataset's documents: "
            f"`{command} --dry-run` says what that would do. Delete nothing."
        )
    else:
        next_step = "Restore the object's previous version, or run again what wrote it."
    return DocumentError(code, message, next_step, location=str(place))
