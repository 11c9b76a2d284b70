"""A folder's key space, divided among threads by what they find in it, and handed on in key order.

The space is a chain of segments without gaps. A thread takes the first segment that nobody is listing and asks for one
page of it. Child folders are segments of their own; where S3 takes several answers to name them, each next one is asked
for while the folders of the one before are listed. Where every segment is being listed, a thread cuts the first one
that seems long and takes the part behind the cut: at a guess (`include.object_store.key_space`), for S3 lists from any
text onwards. So large folders, folders in folders and keys beside folders are listed by as many threads as there are,
near the place where rows are handed on.

Guesses that miss, and ends of segments that are not ends of answers, cost requests: at most a few, and a fifth of the
pages that have been listed.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, NamedTuple

from include.custom_labels.locations import S3FolderLocation
from include.object_store.key_space import Cut, KeySpace, is_possible, shared, successor
from include.object_store.segments import (
    PAGE_ROWS,
    Answer,
    Extent,
    FolderListing,
    Operation,
    P,
    folders_and_rows,
    not_sorted,
)
from include.object_store.session import S3Session

CONCURRENCY = 32
BUFFERED_PAGES = 128
"""Pages that may wait for their turn, or are asked for: some 40 MB."""
NEAR_PAGES = 32
"""So many of the next pages may be listed however many wait behind them; where as many wait, they are enough."""

PIECE_PAGES = 3.0
"""What a thread leaves to the one that it takes the rest from."""
SPARE_REQUESTS = 5.0
SPARE_SHARE = 0.25
"""Requests that may turn out to be useless, at the beginning and for each useful one."""
_GROWTH_MEASURED = 1.5
_GROWTH = 2.0
"""How much further each cut of the same guess is, where two pages agree on how keys are spread and where not. A guess
may be wide of the mark, and keys may end long before the text that they may not reach."""
_MEMORY = 0.9
_ALIKE = (0.5, 2.0)
_SMALL_FOLDER_PAGES = 0.75
_RUN_PAGES = 3.5
"""Child folders that are smaller than the one on average are listed in runs as large as the other."""
NAMED_FOLDER_ROWS = 50
"""Child folders that hold so many rows on average are worth the requests that name them, and the wait for these."""


def pages_below(
    session: S3Session, location: S3FolderLocation, operation: Operation[P], concurrency: int
) -> Iterator[P]:
    """The rows below a folder in key order; pages may be empty.

    :param concurrency: requests that are under way at the same time
    :raises AccessError: the bucket is missing, denied, in another Region or out of reach, or it does not list in key
        order
    """
    listing = FolderListing(session, location, operation)
    with ThreadPoolExecutor(concurrency, thread_name_prefix="s3-listing") as threads:
        level = threads.submit(listing.ask, {"delimiter": "/", "prefix": location.prefix})
        body, by_folder = listing.request({"prefix": location.prefix})
        if by_folder:
            yield from listing.gathered(level.result())
            return
        first = listing.read(body)
        if first.page.keys != sorted(first.page.keys):
            raise not_sorted(location, first.page.keys[0])
        if first.following is None:
            yield first.page
            return
        yield from _Division(listing, first, level.result()).pages(threads, concurrency)


class _Part(NamedTuple):
    """An answer, unread, and what of it belongs to the segment that it was asked for."""

    body: bytes
    start: Cut | None
    stop: Cut | None


@dataclass(slots=True, kw_only=True, eq=False)
class _Segment(Generic[P]):
    """A part of the key space.

    :ivar prefix: what S3 is asked for; None for rows that are known already
    :ivar start: nothing before it belongs here
    :ivar stop: None for the end of what begins with `prefix`
    :ivar query: of the next request, besides the prefix
    :ivar after: the last key listed, or the text behind which the segment begins
    :ivar sample: the first and the last key of a page near its beginning, once there is one
    :ivar is_measured: whether the page before the sample's was spread alike
    :ivar is_filled: whether a key behind `stop` is known below the same prefix, so that there may be some before it
    :ivar before: the segment that this one was cut off, or what is left of it
    :ivar reach: pages before the next cut
    :ivar left: how many such pages there may be to come; `_UNKNOWN` until somebody wants to know
    :ivar parts: listed and not yet handed on; answers are read when their turn comes, by the one who takes them:
        threads that parse at the same time would only take the interpreter from each other
    :ivar risk: how useless the first request is expected to be
    :ivar is_whole: whether it is a child folder nobody has asked for
    :ivar is_unnamed: whether it is child folders that no answer has named yet, and the rows beside them
    """

    prefix: str | None
    after: str = ""
    start: Cut | None = None
    stop: Cut | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    sample: tuple[str, str] | None = None
    is_measured: bool = False
    is_filled: bool = False
    before: _Segment[P] | None = None
    reach: float = PIECE_PAGES
    left: float = -1.0
    parts: deque[P | _Part] = field(default_factory=deque)
    risk: float = 0.0
    is_whole: bool = False
    is_unnamed: bool = False
    is_asked: bool = False
    is_complete: bool = False
    next: _Segment[P] | None = None


_UNKNOWN = -1.0


class _Division(Generic[P]):
    """Segments, the threads that list them, and the one who takes their rows.

    The first unfinished segment is never kept waiting by pages behind it, so that nobody waits for ever.
    """

    def __init__(self, listing: FolderListing[P], first: Answer[P], level: Answer[P]) -> None:
        self._listing = listing
        self._operation = listing.operation
        self._prefix = listing.location.prefix
        self._space = KeySpace()
        self._small_folders = 0
        self._small_rows = 0
        self._named = 0
        self._unnamed: _Segment[P] | None = None
        self._head: _Segment[P] | None = self._segments(first, level)
        self._buffered = 0
        self._asked = 0
        self._spare = SPARE_REQUESTS
        self._cuts = 0.0
        self._misses = 0.0
        self._is_stopped = False
        self._error: BaseException | None = None
        lock = threading.Lock()
        self._listed = threading.Condition(lock)
        self._wanted = threading.Condition(lock)

    def pages(self, threads: ThreadPoolExecutor, concurrency: int) -> Iterator[P]:
        for _ in range(concurrency):
            threads.submit(self._work).add_done_callback(self._end)
        try:
            while self._head:
                yield from self._pages_of(self._head)
                with self._wanted:
                    self._head = self._head.next
        finally:
            with self._wanted:
                self._is_stopped = True
                self._wanted.notify_all()

    def _segments(self, first: Answer[P], level: Answer[P]) -> _Segment[P]:
        """The first rows and what lies behind them, as the head of a chain."""
        keys = first.page.keys
        last = keys[-1]
        for key in [*keys[:: PAGE_ROWS // 20], last]:
            self._space.observe(key)
        # Keys beside folders come before them or between, and are no measure of what is in a folder.
        sample = (max(keys[0], keys[len(keys) // 2], key=lambda key: shared(key, last)), last)
        following = first.following or {}
        chain = [_known(first.page)]
        begun = bisect_right(sorted(level.folders), last)
        if not level.folders or (level.following is not None and begun * NAMED_FOLDER_ROWS > len(keys)):
            # Cuts are all there is to divide it by.
            chain.append(_Segment(prefix=self._prefix, after=last, query=following, sample=sample))
            level = Answer(first.page.slice(0, 0), [], None)
        elif not any(map(last.startswith, level.folders)):
            # The last key may have more versions: all of them are taken from the answer that goes on from there.
            rows = first.page.slice(0, Cut(last, False).index(keys))
            chain = [_known(rows)] if rows.keys else []
        for part in folders_and_rows(level):
            if not isinstance(part, str):
                rows = part.slice(Cut(last, False).index(part.keys), len(part.keys))
                if rows.keys:
                    chain.append(_known(rows))
            elif last.startswith(part):
                query = self._operation.behind_answer(last, following)
                # Where folders are small, nothing is known of this one.
                near = None if self._small_folders else sample
                chain.append(_Segment(prefix=part, after=last, query=query, sample=near))
            elif part > last:
                chain.append(self._whole(part))
            else:
                self._small_folders += 1
        if self._small_folders:
            self._small_rows = len(keys)
        return self._linked(chain, level)

    def _whole(self, folder: str) -> _Segment[P]:
        self._named += 1
        return _Segment(prefix=folder, after=folder, is_whole=True)

    def _linked(self, chain: list[_Segment[P]], level: Answer[P]) -> _Segment[P]:
        """The segments as a chain, which ends with what the answer has not named yet."""
        if level.following is not None:
            tail = self._behind_level(level, level.following)
            self._unnamed = tail if tail.is_unnamed else None
            chain.append(tail)
        for one, other in pairwise(chain):
            one.next = other
        return chain[0]

    def _behind_level(self, level: Answer[P], following: Mapping[str, str]) -> _Segment[P]:
        folder, key = max(level.folders, default=""), (level.page.keys or [""])[-1]
        start = Cut(successor(folder), False) if folder > key else Cut(key, True)
        behind = folder + "\U0010ffff"
        is_small = self._small_folders and self._small_rows < NAMED_FOLDER_ROWS * self._small_folders
        if is_small and folder > key and is_possible(behind):
            # There is as much to name as to list.
            return _Segment(prefix=self._prefix, after=behind, start=start, query=self._operation.behind(behind))
        query = {"delimiter": "/", **following}
        return _Segment(prefix=self._prefix, after=start.text, start=start, query=query, is_unnamed=True)

    def _pages_of(self, segment: _Segment[P]) -> Iterator[P]:
        while True:
            with self._listed:
                self._listed.wait_for(lambda: segment.parts or segment.is_complete or self._error)
                if self._error:
                    raise self._error
                if not segment.parts:
                    return
                part = segment.parts.popleft()
                if segment.prefix is not None:
                    self._buffered -= 1
                    self._wanted.notify()
            yield self._page(part) if isinstance(part, _Part) else part

    def _page(self, part: _Part) -> P:
        page = self._listing.read(part.body).page
        if part.start is None and part.stop is None:
            return page
        if page.keys != sorted(page.keys):
            raise not_sorted(self._listing.location, page.keys[0])
        start = part.start.index(page.keys) if part.start else 0
        return page.slice(start, part.stop.index(page.keys) if part.stop else len(page.keys))

    def _work(self) -> None:
        while segment := self._take():
            body, _ = self._listing.request({"prefix": segment.prefix or "", **segment.query})
            if segment.is_unnamed:
                self._name(segment, self._listing.read(body))
                continue
            self._put(segment, body, self._listing.extent(body))

    def _name(self, segment: _Segment[P], level: Answer[P]) -> None:
        """Put what an answer names in the place of what had no names yet."""
        parts = folders_and_rows(level)
        with self._listed:
            self._asked -= 1
            behind = [self._whole(part) if isinstance(part, str) else _known(part) for part in parts]
            # What is left of the segment itself has no rows.
            segment.prefix, segment.is_unnamed, segment.is_asked, segment.is_complete = None, False, False, True
            self._unnamed = None
            self._linked([segment, *behind], level)
            self._listed.notify()
            self._wanted.notify_all()

    def _end(self, work: Future[None]) -> None:
        """Leave what a thread raised to the consumer, who raises it again."""
        error = None if work.cancelled() else work.exception()
        if error is not None:
            with self._listed:
                self._error = self._error or error
                self._listed.notify_all()
                self._wanted.notify_all()

    def _take(self) -> _Segment[P] | None:
        """A segment to ask for the next page of; None when all is listed, or no one wants it any more."""
        with self._wanted:
            while not self._is_stopped and not self._error:
                segment, is_all = self._find()
                if segment:
                    segment.is_asked = True
                    self._asked += 1
                    if self._has_room():
                        # Where there was something to do, there may be more of it.
                        self._wanted.notify()
                    return segment
                if is_all:
                    self._wanted.notify_all()
                    return None
                self._wanted.wait()
            return None

    def _has_room(self) -> bool:
        return self._buffered + self._asked < BUFFERED_PAGES and not self._is_ahead()

    def _is_ahead(self) -> bool:
        """Whether it is the one who takes the rows who needs the time, and threads would only keep him from it."""
        waiting, segment = 0, self._head
        while segment and waiting < NEAR_PAGES:
            if segment.prefix is not None:
                waiting += len(segment.parts)
            if not segment.is_complete:
                break
            segment = segment.next
        return waiting >= NEAR_PAGES

    def _find(self) -> tuple[_Segment[P] | None, bool]:
        """A segment that nobody is listing, made by a cut where there is none; and whether there is nothing left."""
        has_room = self._has_room()
        if self._unnamed and not self._unnamed.is_asked and self._named < PAGE_ROWS // 2:
            return self._unnamed, False
        is_all = True
        near = 0
        asked: list[_Segment[P]] = []
        segment = self._head
        while segment:
            if segment.prefix is not None:
                near += len(segment.parts) + segment.is_asked
            if not segment.is_complete:
                is_all = False
                if not has_room and near >= NEAR_PAGES:
                    break
                if not segment.is_asked:
                    return self._run(segment), False
                asked.append(segment)
            segment = segment.next
        # How large child folders are is known when the first answers of all of them have come.
        if not any(one.is_whole for one in asked):
            for one in asked:
                if part := self._cut(one):
                    return part, False
        return None, is_all

    def _run(self, segment: _Segment[P]) -> _Segment[P]:
        """The segment, together with the next ones where it is one of many small child folders."""
        self._named -= segment.is_whole
        if not segment.is_whole or not self._small_folders:
            return segment
        rows = self._small_rows / self._small_folders
        text = segment.after[:-1] + ".\U0010ffff"
        if rows >= _SMALL_FOLDER_PAGES * PAGE_ROWS or not is_possible(text):
            return segment
        count, last, each = 1, segment, segment.next
        while each and count < _RUN_PAGES * PAGE_ROWS / max(rows, 1) and (each.is_whole or each.prefix is None):
            if each.is_whole:
                count, last = count + 1, each
            each = each.next
        if last is not segment:
            self._named -= count - 1
            segment.prefix = self._prefix
            # The folder's marker object belongs to it, and S3 lists from behind a text only.
            segment.start = Cut(segment.after, False)
            segment.query = self._operation.behind(text)
            segment.next = last.next
            segment.stop = _beginning(last.next)
            segment.is_whole = False
        return segment

    def _cut(self, segment: _Segment[P]) -> _Segment[P] | None:
        """The part behind a cut through a segment that is being listed; None where that is not worth it."""
        if segment.sample is None or segment.prefix is None:
            return None
        # As many as so far are expected to be useless; all, where nothing is known.
        risk = (1 + self._misses) / (2 + self._cuts) if segment.is_measured and segment.is_filled else 1.0
        if self._spare < risk:
            return None
        sample, after, prefix = segment.sample, segment.after, segment.prefix
        stop = segment.stop.text if segment.stop else None
        text = None
        if stop is None:
            text = next(self._space.outlooks(sample, after, prefix, pages=PIECE_PAGES), None)
        if text is None:
            if segment.left == _UNKNOWN:
                segment.left = self._space.pages_between(sample, after, stop, prefix) or 0.0
            if segment.left < segment.reach + 1:
                return None
            text = self._space.cut_after(sample, after, stop, prefix, pages=segment.reach)
        if text is None:
            segment.left = 0.0
            return None
        cut = Cut(text, True)
        behind = _Segment[P](
            prefix=prefix,
            after=text,
            start=cut,
            stop=segment.stop,
            query=self._operation.behind(text),
            sample=sample,
            is_measured=segment.is_measured,
            is_filled=segment.is_filled,
            before=segment,
            reach=segment.reach * (_GROWTH_MEASURED if segment.is_measured else _GROWTH),
            risk=risk,
            next=segment.next,
        )
        if segment.next and segment.next.before is segment:
            segment.next.before = behind
        segment.next, segment.stop, segment.left, segment.is_filled = behind, cut, _UNKNOWN, False
        self._spare -= risk
        return behind

    def _put(self, segment: _Segment[P], body: bytes, extent: Extent) -> None:
        first, last, rows, following = extent
        with self._listed:
            segment.is_asked = False
            self._asked -= 1
            stop = segment.stop
            is_over = stop is not None and (not last or stop.is_before(last))
            if segment.is_whole and rows and following is None:
                # A child folder that came whole tells how large they are.
                self._small_folders += 1
                self._small_rows += rows
            if last and not (stop and stop.is_before(first)):
                is_first = segment.start is not None and not segment.start.is_before(first)
                cut_off = stop if stop and stop.is_before(last) else None
                segment.parts.append(_Part(body, segment.start if is_first else None, cut_off))
                self._buffered += 1
                if segment.before:
                    segment.before.is_filled = True
                self._pay(segment, 0.5 if cut_off else 0.0)
            else:
                self._pay(segment, 1.0)
            segment.is_complete = is_over or following is None
            segment.is_whole = False
            if last:
                self._measure(segment, first, last)
            segment.query = following or {}
            if segment is self._head:
                self._listed.notify()
            if not segment.is_complete:
                # This thread goes on with it, and another may cut it.
                self._wanted.notify()

    def _pay(self, segment: _Segment[P], useless: float) -> None:
        if segment.risk:
            # Of late: another part of the folder may be filled differently.
            self._cuts = self._cuts * _MEMORY + 1
            self._misses = self._misses * _MEMORY + (useless == 1.0)
        # What went wrong in excess of what was expected is forgiven in part: it must not end all cutting.
        self._spare = max(self._spare + segment.risk - useless + SPARE_SHARE * (1 - useless), 0.0)
        segment.risk = 0.0

    def _measure(self, segment: _Segment[P], first: str, last: str) -> None:
        """Learn from a page how keys are spread in its segment; from one that goes too far, how in the next one."""
        self._space.observe(first)
        self._space.observe(last)
        concerned = segment.next if segment.is_complete else segment
        if concerned is None or concerned.prefix != segment.prefix or concerned.is_complete:
            return
        if concerned is segment:
            segment.after = last
        elif concerned.sample != segment.sample:
            # It has a page of its own.
            return
        pages = self._space.pages_between(segment.sample, first, last, segment.prefix or "") if segment.sample else None
        concerned.is_measured = pages is not None and _ALIKE[0] < pages < _ALIKE[1]
        concerned.sample, concerned.reach, concerned.left = (first, last), PIECE_PAGES, _UNKNOWN


def _known(rows: P) -> _Segment[P]:
    return _Segment(prefix=None, after=rows.keys[0], parts=deque[P | _Part]([rows]), is_complete=True)


def _beginning(segment: _Segment[P] | None) -> Cut | None:
    if segment is None:
        return None
    return segment.start or Cut(segment.after, False)
