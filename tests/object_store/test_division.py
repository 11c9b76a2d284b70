"""No key lost and none twice, however a folder is cut; and what that costs, by the shape of the folder."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stub import ListedVersion
from include.custom_labels.locations import S3FolderLocation
from include.object_store import division
from include.object_store.key_space import MAX_KEY_BYTES, Cut, KeySpace, successor
from include.object_store.listing import list_objects
from include.object_store.version_listing import list_versions
from tests.object_store.conftest import BUCKET
from tests.object_store.memory_s3 import MemorySession

# Neighbours in the order of UTF-8, among them those that UTF-16 orders otherwise, and both ends of the code points.
_CHARACTERS = "/aab019.-é \x01~%+\ud7ff\ue000\uffff\U00010000😀\U0010ffff"
names = st.text(st.sampled_from(_CHARACTERS), min_size=1, max_size=7)
long_names = names.map(lambda name: (name + "/" + "x" * MAX_KEY_BYTES).encode()[:MAX_KEY_BYTES].decode(errors="ignore"))
counters = st.builds("{}{:04d}".format, names, st.integers(0, 9999))
keys_of_buckets = st.lists(names | counters | long_names, max_size=120, unique=True)
places = st.sampled_from(["", "a/", "/", "0/", "a//", "é/", "\U0010ffff/"])


def listed(session: MemorySession, prefix: str, concurrency: int = division.CONCURRENCY) -> list[str]:
    pages = list_objects(session, S3FolderLocation(BUCKET, prefix), concurrency=concurrency)
    return [key for page in pages for key in page.keys]


def expected(keys: Sequence[str], prefix: str) -> list[str]:
    return sorted((key for key in keys if key.startswith(prefix)), key=str.encode)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> object:
    """Answers of three rows, and hardly any of them waiting: cuts everywhere, by few keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.stub.MAX_KEYS", 3)
        patch.setattr(division, "BUFFERED_PAGES", 6)
        patch.setattr(division, "NEAR_PAGES", 3)
        patch.setattr(division, "SPARE_REQUESTS", 1000.0)
        patch.setattr(division, "PAGE_ROWS", 20)
        patch.setattr(division, "NAMED_FOLDER_ROWS", 2)
        yield


@settings(max_examples=150, deadline=None)
@given(keys=keys_of_buckets, prefix=places, folded=st.booleans(), concurrency=st.sampled_from([1, 2, 8]))
def test_every_object_once_and_in_order(keys: list[str], prefix: str, folded: bool, concurrency: int) -> None:
    keys = [key for key in {*(prefix + key for key in keys if folded), *keys} if len(key.encode()) <= MAX_KEY_BYTES]
    assert listed(MemorySession(keys), prefix, concurrency) == expected(keys, prefix)


@settings(max_examples=60, deadline=None)
@given(keys=keys_of_buckets, prefix=places, seed=st.integers(0, 99))
def test_every_version_once_and_in_order(keys: list[str], prefix: str, seed: int) -> None:
    session = MemorySession([*keys, *(prefix + key for key in keys[:40])])

    def versions(key: str) -> list[ListedVersion]:
        return [ListedVersion(f"v{at}") for at in range(random.Random(f"{seed} {key}").randrange(9))]

    session.stub.versions = versions
    session.stub.keys = sorted(set(session.stub.keys), key=str.encode)
    pages = list_versions(session, S3FolderLocation(BUCKET, prefix), concurrency=4)
    found = [row for page in pages for row in zip(page.keys, page.version_ids, strict=True)]
    assert found == [
        (key, version.version_id) for key in expected(session.stub.keys, prefix) for version in versions(key)
    ]


def test_versions_behind_the_first_answer_are_those_of_its_last_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key lies beside a folder, and the answer that names the folder holds the rest of its versions."""
    monkeypatch.setattr("bench.stub.MAX_KEYS", 5)
    monkeypatch.setattr(division, "PAGE_ROWS", 20)
    session = MemorySession(["photos/a/1.png", "photos/b.png"])
    session.stub.versions = lambda _: [ListedVersion(f"v{at}") for at in range(3)]
    pages = [*list_versions(session, S3FolderLocation(BUCKET, "photos/"), concurrency=2)]
    assert [name for page in pages for name in page.version_ids] == ["v0", "v1", "v2"] * 2


def image(at: int) -> str:
    return f"image-{at:06}.jpg"


def digest(at: int) -> str:
    return hashlib.sha256(str(at).encode()).hexdigest()


SHAPES: dict[str, Callable[[int], str]] = {
    "no child folders": lambda at: f"photos/{image(at)}",
    "keys at the root": image,
    "hashes": lambda at: f"photos/{digest(at)}.jpg",
    "numbers without zeros": lambda at: f"photos/{at}.jpg",
    "a folder for each": lambda at: f"photos/label-{at:06}/1.jpg",
    "one label with 95 %": lambda at: f"photos/{'echo' if at % 20 else f'dot-{at // 900}'}/{image(at)}",
    "small folders": lambda at: f"photos/label-{at // 15:04}/{image(at)}",
    "large folders": lambda at: f"photos/label-{at // 1000:04}/{image(at)}",
    # More folders than one answer names, of about one answer each.
    "folders of an answer": lambda at: f"photos/label-{at // 20:04}/{image(at)}",
    "folders of two answers and a half": lambda at: f"photos/label-{at // 50:04}/{image(at)}",
    "a large folder and many small ones": lambda at: f"photos/label-{max(at - 300, 0):04}/{image(at)}",
}


@pytest.mark.parametrize("name", SHAPES.values(), ids=SHAPES)
def test_many_requests_are_under_way_at_once_and_few_are_useless(
    monkeypatch: pytest.MonkeyPatch, name: Callable[[int], str]
) -> None:
    monkeypatch.setattr("bench.stub.MAX_KEYS", 20)
    monkeypatch.setattr(division, "BUFFERED_PAGES", 128)
    monkeypatch.setattr(division, "NEAR_PAGES", 32)
    monkeypatch.setattr(division, "SPARE_REQUESTS", 5.0)
    monkeypatch.setattr(division, "NAMED_FOLDER_ROWS", 15)
    keys = [name(at) for at in range(6_000)]
    session = RoundSession(keys)
    assert listed(session, "" if name is image else "photos/", concurrency=16) == sorted(keys)
    # 300 full answers: one after the other would be 300 rounds, and 16 at a time are 19. Folders that are listed by
    # themselves end in the middle of their last answer: 120 of them take three each.
    fewest = 360 if name is SHAPES["folders of two answers and a half"] else 300
    assert len(session.asked) <= fewest * 1.3 + 5
    assert session.rounds <= 45


@pytest.mark.parametrize("count", [1, 20, 21, 45])
def test_small_folders_cost_a_handful_of_requests_more(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("bench.stub.MAX_KEYS", 20)
    monkeypatch.setattr(division, "SPARE_REQUESTS", 5.0)
    for name in SHAPES.values():
        session = MemorySession([name(at) for at in range(count)])
        assert len(listed(session, "")) == count
        assert len(session.asked) <= 1 + -(-count // 20) + 6 + (count > 20)


class RoundSession(MemorySession):
    """Answers come in rounds: all requests that are under way are answered together.

    :ivar rounds: how many there have been, which is the time in units of S3's latency
    """

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(keys)
        self.rounds = 0
        self._under_way = 0
        self._changed = threading.Condition()

    def get(self, *asked: object) -> object:
        with self._changed:
            self._under_way += 1
            number = self._under_way
            here = self.rounds
            # The first of a round waits until no other comes any more, and lets all of them go.
            if number == 1:
                seen = 0
                while seen != self._under_way:
                    seen = self._under_way
                    self._changed.wait(0.01)
                self.rounds += 1
                self._under_way = 0
                self._changed.notify_all()
            else:
                self._changed.wait_for(lambda: self.rounds > here)
        return super().get(*asked)  # type: ignore[arg-type]


@given(text=st.text(_CHARACTERS, max_size=5), tail=st.text(_CHARACTERS, max_size=3))
def test_a_successor_is_behind_everything_that_begins_alike(text: str, tail: str) -> None:
    behind = successor(text)
    assert not behind or (text + tail).encode() < behind.encode()


@given(keys=st.lists(names, min_size=3, max_size=30, unique=True), pages=st.floats(0.1, 50))
def test_cuts_lie_where_they_were_asked_for(keys: list[str], pages: float) -> None:
    space = KeySpace()
    for key in keys:
        space.observe(key)
    first, last, stop = sorted(keys)[:3]
    for end in (stop, None):
        text = space.cut_after((first, last), last, end, "", pages=pages)
        assert text is None or (last < text and (end is None or text < end))
    assert all(text > last for text in space.outlooks((first, last), last, "", pages=pages))


def test_distances_are_those_of_counters() -> None:
    space = KeySpace()
    for at in range(0, 1000, 10):
        space.observe(f"photos/image-{at:06}.jpg")
    page = ("photos/image-000000.jpg", "photos/image-000999.jpg")
    stop = "photos/image-100000.jpg"
    assert space.pages_between(page, page[1], stop, "photos/") == pytest.approx(100, rel=0.5)
    cut = space.cut_after(page, page[1], stop, "photos/", pages=10)
    assert cut is not None
    assert "photos/image-008" < cut < "photos/image-013"
    assert [*space.outlooks(page, page[1], "photos/", pages=3)] == [
        "photos/image-01",
        "photos/image-1",
        "photos/j",
    ]


def test_letters_of_words_are_not_those_of_hashes() -> None:
    space = KeySpace()
    for at in range(0, 1000, 10):
        space.observe(f"{'dot' if at < 500 else 'echo'}/{at:06}.jpg")
    cut = space.cut_after(("dot/000000.jpg", "dot/000040.jpg"), "dot/000040.jpg", "dot/000400.jpg", "", pages=4)
    assert cut is not None
    assert cut.removeprefix("dot/")[:6].isdecimal()


def test_a_cut_keeps_its_text_on_one_side() -> None:
    keys = ["a", "b", "c"]
    assert [Cut("b", is_behind).index(keys) for is_behind in (False, True)] == [1, 2]
    assert [Cut("b", is_behind).is_before("b") for is_behind in (False, True)] == [True, False]
