"""Thumbnails and pictures of a dataset's images: read within bounds, drawn by few threads, kept for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import Any, Final, Protocol, TypeVar

from cachetools import LRUCache
from fastapi import Request

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.image_headers import NeedMore, NotAnImage, read_header
from include.custom_labels.locations import S3Uri
from include.custom_labels.orientation import HEAD_BYTES, read_orientation
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.gallery.drawing import NoPictureError, draw_picture
from include.gallery.messages import DatasetType
from include.object_store.probing import probe_header
from include.object_store.ranged_reads import read_start
from include.object_store.session import S3Session

THUMBNAIL_SIDE_PX: Final = 320

_CACHE_BYTES: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 4 * 1024 * 1024
"""A larger picture would take the place of hundreds of thumbnails."""
_RETRY_S: Final = 2.0
_GONE: Final = frozenset({"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND"})

T = TypeVar("T")


class Kind(Enum):
    """What is drawn; the value is the longer side, None for as many pixels as are stored."""

    THUMBNAIL = THUMBNAIL_SIDE_PX
    PICTURE = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlace:
    """Where the bytes of a dataset's image are.

    :ivar version: as in `include.gallery.messages.ImageRow`
    :ivar etag: of the object, without quotes; empty where it is not known
    """

    uri: S3Uri
    version: str = ""
    etag: str = ""


class ImagePlaces(Protocol):
    """The images of datasets, of which nothing but an id comes from the browser."""

    def find_place(
        self, project: str, dataset_type: DatasetType, image_id: str, *, snapshot: str = ""
    ) -> ImagePlace | None:
        """None where the dataset, or the snapshot, has no such image.

        :param snapshot: id of the snapshot that is looked at; empty for the dataset as it is
        :raises CustomLabelsError: it cannot be told
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """:ivar etag: of the object that it was drawn from; :ivar content: a JPEG, or why there is none"""

    etag: str
    content: bytes | str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What the header of an image says.

    :ivar width: stored pixels
    :ivar height: stored pixels
    :ivar orientation: EXIF's, 1 to 8, by which `Pictures` puts it upright
    """

    width: int
    height: int
    orientation: int


def read_facts(session: S3Session, uri: S3Uri) -> PictureFacts:
    """Width, height and orientation from the object's first 64 KiB, and a little more of a JPEG with much metadata.

    :raises NoPictureError: the object is no PNG or JPEG, or not there
    :raises AccessError: what else S3 answers
    """
    try:
        start = read_start(session, uri, HEAD_BYTES)
    except AccessError as error:
        if error.code in _GONE:
            raise NoPictureError("The object is gone.") from error
        raise
    header = read_header(start.data, size_bytes=start.size_bytes)
    if isinstance(header, NeedMore):
        header = probe_header(session, uri, start.size_bytes, start.etag)
    if isinstance(header, NotAnImage):
        raise NoPictureError(f"No image that Rekognition reads ({header.reason}).")
    return PictureFacts(width=header.width, height=header.height, orientation=read_orientation(start.data))


class DrawingPool:
    """A few threads that draw, and a short queue before them.

    :param threads: pictures at a time: each may take 150 MB while it is drawn
    :param waiting: more than that are refused
    """

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"gallery-{name}")
        self._limit = threads + waiting
        self._lock = Lock()
        self._under_way = 0

    async def run(self, request: Request, work: Callable[[], T]) -> T | None:
        """What the work gives; None where the client has gone, for whom nothing is begun any more.

        :raises RequestError: PICTURES_BUSY
        """
        with self._lock:
            if self._under_way >= self._limit:
                raise RequestError(
                    "PICTURES_BUSY",
                    "More pictures are asked for than can be drawn.",
                    "Wait a little, then try again.",
                    retry_after_s=_RETRY_S,
                )
            self._under_way += 1
        future = self._threads.submit(work)
        future.add_done_callback(self._count_down)
        done = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            either: list[asyncio.Future[Any]] = [done, gone]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                gone.result()
            return done.result() if done.done() else None
        finally:
            gone.cancel()
            done.cancel()

    def _count_down(self, _future: Future[T]) -> None:
        with self._lock:
            self._under_way -= 1


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Pictures:
    """Draws what a browser may see of an image, and keeps the smaller ones.

    :param session: gives S3 as it is reached now
    """

    def __init__(self, session: Callable[[], S3Session]) -> None:
        self._session = session
        self._pools = {
            Kind.THUMBNAIL: DrawingPool("thumbnails", threads=3, waiting=120),
            # One at a time: each is decoded with all of its pixels.
            Kind.PICTURE: DrawingPool("pictures", threads=1, waiting=12),
        }
        self._kept: LRUCache[tuple[S3Uri, str, Kind], Picture] = LRUCache(_CACHE_BYTES, getsizeof=_size_bytes)
        self._lock = Lock()

    async def get(self, request: Request, place: ImagePlace, kind: Kind) -> Picture | None:
        """The picture; None where the client has gone meanwhile.

        :raises RequestError: PICTURES_BUSY, or PICTURE_NOT_FOUND
        :raises AccessError: what S3 answers
        """
        kept = self._find(place.uri, place.etag, kind) if place.etag else None
        return kept or await self._pools[kind].run(request, lambda: self._draw(place.uri, kind))

    async def check(self, request: Request, data: bytes) -> str | None:
        """Why an image that somebody sent cannot be decoded; empty where it can, None where the client has gone.

        :raises RequestError: PICTURES_BUSY
        """
        drawn = await self._pools[Kind.THUMBNAIL].run(request, lambda: _drawn(data, Kind.THUMBNAIL))
        return drawn if drawn is None or isinstance(drawn, str) else ""

    def _find(self, uri: S3Uri, etag: str, kind: Kind) -> Picture | None:
        with self._lock:
            return self._kept.get((uri, etag, kind))

    def _draw(self, uri: S3Uri, kind: Kind) -> Picture:
        try:
            start = read_start(self._session(), uri, MAX_IMAGE_FILE_BYTES.value + 1)
        except AccessError as error:
            if error.code not in _GONE:
                raise
            raise RequestError(
                "PICTURE_NOT_FOUND",
                "The image's object is gone.",
                "Refresh the dataset, so that the image is removed; or restore the object.",
            ) from error
        kept = self._find(uri, start.etag, kind)
        if kept is not None:
            return kept
        picture = Picture(etag=start.etag, content=_drawn(start.data, kind))
        if _size_bytes(picture) <= _KEPT_BYTES:
            with self._lock:
                self._kept[uri, start.etag, kind] = picture
        return picture


def _drawn(data: bytes, kind: Kind) -> bytes | str:
    try:
        return draw_picture(data, side_px=kind.value)
    except NoPictureError as error:
        return str(error)


def _size_bytes(picture: Picture) -> int:
    # What is kept about a picture beside its bytes.
    return len(picture.content) + 500
