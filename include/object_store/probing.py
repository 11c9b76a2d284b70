"""Image headers of many objects, from their first bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from operator import length_hint

from include.custom_labels.errors import AccessError
from include.custom_labels.image_headers import (
    FIRST_READ_BYTES,
    ImageHeader,
    NeedMore,
    NotAnImage,
    read_header,
)
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session

CONCURRENCY = 64
MAX_SMALL_READS = 8
"""After so many jumps from segment to segment, larger windows are read: metadata of many small segments."""
LARGE_READ_BYTES = 1024 * 1024
MAX_READS = 40
_PROGRESS_INTERVAL_S = 5.0

# Failures that concern one object and not the way to it.
_OUTCOMES = {
    "OBJECT_NOT_FOUND": Reason.VANISHED,
    "OBJECT_CHANGED": Reason.CHANGED,
    "ACCESS_DENIED": Reason.UNREADABLE,
    "OBJECT_ARCHIVED": Reason.UNREADABLE,
    "KEY_UNUSABLE": Reason.UNREADABLE,
}


def probe_headers(
    session: S3Session,
    bucket: str,
    objects: ObjectPage,
    *,
    wanted: Sequence[bool] | None = None,
    concurrency: int = CONCURRENCY,
    on_progress: Callable[[int], None] | None = None,
) -> list[ImageHeader | NotAnImage | None]:
    """What the objects are, in their order: an outcome for each, also for one that is gone or may not be read.

    :param objects: any number of them; their ETags hold the reader to what was listed
    :param wanted: which of them to read; all by default
    :param concurrency: objects that are read at the same time
    :param on_progress: called every few seconds with the number of objects read so far
    :returns: None exactly where an object was not wanted
    :raises AccessError: S3 cannot be reached or refuses for a reason that is not the object's own
    """
    outcomes: list[ImageHeader | NotAnImage | None] = [None] * len(objects)
    chosen = [at for at in range(len(objects)) if wanted is None or wanted[at]]
    if not chosen:
        return outcomes
    keys = objects.stored_keys()
    # Threads draw from one iterator: no future per object, and draining it stops them all.
    places = iter(chosen)

    def work() -> None:
        for at in places:
            uri = S3Uri(bucket, keys[at])
            outcomes[at] = probe_header(session, uri, objects.sizes[at], objects.etags[at] or None)

    # Made once here instead of by all threads at the same time.
    session.store(bucket)
    with ThreadPoolExecutor(min(concurrency, len(chosen)), thread_name_prefix="s3-probe") as threads:
        workers = [threads.submit(work) for _ in range(min(concurrency, len(chosen)))]
        try:
            while wait(workers, timeout=_PROGRESS_INTERVAL_S, return_when=FIRST_EXCEPTION).not_done:
                for worker in workers:
                    if worker.done():
                        worker.result()
                if on_progress:
                    on_progress(len(chosen) - length_hint(places))
        finally:
            _drain(places)
    for worker in workers:
        worker.result()
    if on_progress:
        on_progress(len(chosen))
    return outcomes


def _drain(places: Iterator[int]) -> None:
    for _ in places:
        pass


def probe_header(session: S3Session, uri: S3Uri, size_bytes: int, etag: str | None) -> ImageHeader | NotAnImage:
    """What one object is.

    :param etag: holds the reader to the object that was listed
    :raises AccessError: S3 cannot be reached or refuses for a reason that is not the object's own
    """
    if not size_bytes:
        return _decided(read_header(b"", size_bytes=0), uri)
    offset, length = 0, FIRST_READ_BYTES
    try:
        for count in range(MAX_READS):
            window = read_range(session, uri, offset, min(offset + length, size_bytes), etag=etag)
            header = read_header(window, size_bytes=size_bytes, offset=offset)
            if not isinstance(header, NeedMore):
                return header
            offset = header.offset
            length = FIRST_READ_BYTES if count < MAX_SMALL_READS else LARGE_READ_BYTES
    except AccessError as error:
        reason = _OUTCOMES.get(error.code)
        if reason is None:
            raise
        return NotAnImage(reason, str(error.details.get("aws_code", "")))
    return NotAnImage(Reason.DAMAGED_HEADER, f"JPEG without a frame header before byte {offset:,}")


def _decided(header: ImageHeader | NeedMore | NotAnImage, uri: S3Uri) -> ImageHeader | NotAnImage:
    if isinstance(header, NeedMore):
        raise ValueError(f"{uri} has no bytes left to read")
    return header
