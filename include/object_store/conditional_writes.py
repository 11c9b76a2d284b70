"""Writes under a condition, some of whose answers are lost.

A client that gets no answer repeats its request. Where the first request was carried out all the same, S3 refuses the
repeated one: the object is no longer what the condition says, or the multipart upload is no longer there. A refusal
thus says nothing as long as nobody has looked: an object that holds what was to be written is our own success.

This needs content that is nobody else's, or that is as good as ours whoever wrote it:

- JSON documents carry an id of the write (`include.object_store.streams.put_json`). Without it, two runs that release
  the same lease would write the same bytes, and the one that has lost the lease would not notice.
- Objects of a stream under ``if_absent`` have a name that only their writer uses.
- Of an image that is copied or uploaded, the content is all that matters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

Result = TypeVar("Result")

_REFUSED: Final = frozenset({"PreconditionFailed", "412"})
_CONFLICT: Final = frozenset({"ConditionalRequestConflict", "409"})
_PAUSES_S: Final = (0.1, 0.4, 1.6)
"""Before a write is repeated that met another one, which may be an earlier request of our own that still goes on."""


def happened(
    write: Callable[[], Result], find: Callable[[], Result | None], *, repeats_conflicts: bool = True
) -> Result:
    """What a conditional write gives, also where it happened and only its answer was lost.

    :param write: may be called several times
    :param find: what `write` would have given, where the object holds what was to be written; else None
    :param repeats_conflicts: whether a write that met another one may be repeated, as that of a single request may
    :raises botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: the write did not happen
    """
    pauses_s = list(_PAUSES_S) if repeats_conflicts else []
    while True:
        try:
            return write()
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _CONFLICT and pauses_s:
                time.sleep(pauses_s.pop(0))
                continue
            if _may_have_happened(error) and (found := find()) is not None:
                return found
            raise


def is_failed_condition(error: BotoCoreError | ClientError) -> bool:
    """Whether S3 refused a write since its condition does not hold, or somebody else is writing the object."""
    return _code(error) in _REFUSED | _CONFLICT


def is_gone_upload(error: BotoCoreError | ClientError) -> bool:
    """Whether there is no such multipart upload: it was completed or aborted before."""
    return _code(error) == "NoSuchUpload"


def _may_have_happened(error: BotoCoreError | ClientError) -> bool:
    if not isinstance(error, ClientError):
        # Without an answer, after all repeats.
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return is_failed_condition(error) or is_gone_upload(error) or status >= 500


def _code(error: BotoCoreError | ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
