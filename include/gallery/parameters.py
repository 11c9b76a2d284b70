"""What requests say: what stands in their addresses, each with the form that it has to have, and what they demand."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Query
from starlette.datastructures import QueryParams

from include.custom_labels.errors import RequestError
from include.gallery.messages import MAX_PAGE, View

_SNAPSHOT_ID: Final = r"^\d{8}T\d{6}Z-[0-9a-f]{8}$"

ProjectName = Annotated[str, Path(pattern=r"^[a-zA-Z0-9_.\-]{1,255}$")]
ImageId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
SnapshotId = Annotated[str, Query(pattern=_SNAPSHOT_ID)]
SnapshotIdOrNone = Annotated[str, Query(pattern=rf"^$|{_SNAPSHOT_ID}")]
# As Airflow has them: a Dag's id of word characters, dots and dashes; a run's of anything but a slash.
DagId = Annotated[str, Path(pattern=r"^[\w.\-]+$", max_length=250)]
RunId = Annotated[str, Path(pattern=r"^[^/\x00-\x1f\x7f]+$", max_length=250)]
SaveId = Annotated[str, Path(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$")]
UploadId = SaveId
ImageNumber = Annotated[str, Path(pattern=r"^(0|[1-9][0-9]?)$")]

_LISTS: Final = frozenset({"label", "error", "state", "reason", "change"})


def view_of(query: QueryParams, *others: str) -> View:
    """The view that an address names.

    :param others: parameters that may stand beside it
    :raises RequestError: INVALID_VIEW
    """
    plain: dict[str, Any] = {
        name: query.getlist(name) if name in _LISTS else query[name] for name in query if name not in others
    }
    try:
        return msgspec.convert(plain, View, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error


def page_of(query: QueryParams) -> tuple[int, int]:
    """Offset and limit that an address names.

    :raises RequestError: INVALID_VIEW
    """
    try:
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
    except ValueError as error:
        raise _invalid("offset and limit are whole numbers") from error
    if offset < 0 or not 0 <= limit <= MAX_PAGE:
        raise _invalid(f"offset is 0 or more, limit is 0 to {MAX_PAGE}")
    return offset, limit


def _invalid(why: str) -> RequestError:
    return RequestError("INVALID_VIEW", f"The address names no view: {why}.", "Choose the filters on the page again.")


def read_demand(body: bytes, kind: type[Any]) -> Any:
    """The demand that a body of JSON makes.

    :param kind: a `include.gallery.messages.Demand`
    :raises RequestError: DEMAND_INVALID, naming the member that is wrong
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(
            "DEMAND_INVALID",
            f"The request has not the form that it has to have: {error}",
            "Reload the page, which may be older than the server.",
        ) from error
