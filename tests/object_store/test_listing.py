from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

import pytest

from bench.stub import SEVERED, Stub
from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.object_store import division
from include.object_store.listing import list_objects
from include.object_store.session import S3Session
from tests.object_store.conftest import BUCKET, HOSTILE_NAMES, client_of, session_of

Serve = Callable[[Sequence[str]], Stub]


def listed(session: S3Session, prefix: str = "", **options: int) -> list[str]:
    location = S3FolderLocation(BUCKET, prefix)
    return [key for page in list_objects(session, location, **options) for key in page.keys]


def by_bytes(keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=str.encode)


TREES = {
    "hostile names at the folder and below": [
        f"photos/{folder}{name}" for folder in ("", "echo/", "e+ö %/") for name in HOSTILE_NAMES
    ],
    "objects between folders": ["photos/a/1", "photos/a-1", "photos/a.png", "photos/a0/1", "photos/b/1", "photos/c"],
    "markers": ["photos/", "photos/a/", "photos/a/1.png", "photos/b/"],
    "one object": ["photos/a.png"],
    "nothing": [],
    "several pages in one folder": [f"photos/a/{at:05d}" for at in range(2_500)],
    "several pages in several folders": [f"photos/{at % 7}/{at:05d}" for at in range(9_000)],
    "several pages at the folder": [f"photos/{at:05d}" for at in range(2_500)],
    "more folders than one answer names": [f"photos/{at:05d}/1.png" for at in range(1_500)] + ["photos/00000.png"],
}
OUTSIDE = ["photo", "photos", "photos-2/a.png", "photosX", "other/a.png"]


@pytest.mark.parametrize("keys", TREES.values(), ids=TREES)
def test_every_key_below_the_folder_in_byte_order(serve: Serve, keys: list[str]) -> None:
    session = session_of(serve([*keys, *OUTSIDE]))
    assert listed(session, "photos/") == by_bytes(keys)


@pytest.mark.parametrize("keys", TREES.values(), ids=TREES)
def test_the_root_of_a_bucket_is_a_folder(serve: Serve, keys: list[str]) -> None:
    assert listed(session_of(serve([*keys, *OUTSIDE]))) == by_bytes([*keys, *OUTSIDE])


def test_the_columns_belong_to_their_keys(serve: Serve) -> None:
    stub = serve(["photos/a.png", "photos/b/c.png", "photos/d.png"])
    for key, data in {"photos/a.png": b"1", "photos/b/c.png": b"22", "photos/d.png": b"333"}.items():
        client_of(stub).put_object(Bucket=BUCKET, Key=key, Body=data)
    pages = list(list_objects(session_of(stub), S3FolderLocation(BUCKET, "photos/")))
    assert [size for page in pages for size in page.sizes] == [1, 2, 3]
    assert [etag for page in pages for etag in page.etags] == [stub.objects[key].etag for key in stub.keys]
    assert {time for page in pages for time in page.last_modified} == {"2026-11-22T20:00:00"}


def test_progress_counts_the_objects(serve: Serve) -> None:
    seen: list[int] = []
    session = session_of(serve([f"{at % 3}/{at:04d}" for at in range(3_000)]))
    pages = list(list_objects(session, S3FolderLocation(BUCKET, ""), on_progress=seen.append))
    assert seen == [sum(map(len, pages[: count + 1])) for count in range(len(pages))]
    assert seen[-1] == 3_000


def test_folders_are_listed_at_the_same_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(serve([f"{folder}/{at:03}" for folder in range(8) for at in range(900)]))
    original = session.get
    # The first answer has the first folder and a part of the second. The requests of the others are held until all are
    # there, which fewer threads never bring about.
    arrived = threading.Barrier(7, timeout=20)

    def get(bucket: str, query: dict[str, str], place: object) -> object:
        if query["prefix"]:
            arrived.wait()
        return original(bucket, query, place)

    monkeypatch.setattr(session, "get", get)
    assert len(listed(session, concurrency=7)) == 8 * 900


def test_waiting_pages_are_bounded_and_the_head_never_waits(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "BUFFERED_PAGES", 3)
    monkeypatch.setattr(division, "NEAR_PAGES", 2)
    keys = [f"{folder:02d}/{at:05d}" for folder in range(6) for at in range(3_000)]
    stub = serve(keys)
    found = []
    for number, page in enumerate(list_objects(session_of(stub), S3FolderLocation(BUCKET, ""), concurrency=6)):
        found += page.keys
        # Beyond the pages that were taken: the child folders, what may wait, near and far, what is under way, and some
        # useless answers.
        assert len(stub.requests) - number <= 1 + 3 + 2 + 6 + 6
    assert found == keys


def test_a_listing_that_is_left_off_ends_its_threads(serve: Serve) -> None:
    pages = list_objects(session_of(serve([f"{at:04d}/a" for at in range(5_000)])), S3FolderLocation(BUCKET, ""))
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3-listing")]


@pytest.mark.parametrize("faults", [[503], [500, 503], [0], [0, 0, 503], [SEVERED]], ids=str)
def test_busy_answers_and_resets_are_repeated(serve: Serve, faults: list[int]) -> None:
    stub = serve([f"{at % 4}/{at}" for at in range(40)])
    stub.faults.extend(faults)
    assert listed(session_of(stub)) == by_bytes(stub.keys)


def test_a_share_of_busy_answers_changes_nothing(serve: Serve) -> None:
    stub = serve([f"{at % 3:02d}/{at:05d}" for at in range(40_000)])
    stub.busy_share = 0.2
    stub.severed_share = 0.1
    assert listed(session_of(stub)) == by_bytes(stub.keys)


def test_an_error_of_one_folder_ends_the_listing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([f"{folder:02}/{at:03}" for folder in range(10) for at in range(800)])
    session = session_of(stub)
    original = session.get

    def get(bucket: str, query: dict[str, str], place: object) -> object:
        return original(bucket if query["prefix"] != "05/" else "example-missing", query, place)

    monkeypatch.setattr(session, "get", get)
    with pytest.raises(AccessError) as caught:
        listed(session)
    assert caught.value.code == "BUCKET_NOT_FOUND"


def test_a_missing_bucket_is_named(serve: Serve) -> None:
    with pytest.raises(AccessError, match="s3://example-missing/photos/") as caught:
        next(list_objects(session_of(serve([])), S3FolderLocation("example-missing", "photos/")))
    assert caught.value.code == "BUCKET_NOT_FOUND"
    assert caught.value.details["aws_code"] == "NoSuchBucket"
    assert caught.value.details["request_id"] == "STUB"


def test_no_one_listening_is_an_error_of_access(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([])
    stub.faults.extend([0] * 50)
    monkeypatch.setattr("include.object_store.session._RETRIES", 2)
    with pytest.raises(AccessError) as caught:
        listed(session_of(stub))
    assert caught.value.code == "S3_UNREACHABLE"


def test_a_store_that_stays_busy_is_an_error_of_access(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([])
    stub.faults.extend([503] * 50)
    monkeypatch.setattr("include.object_store.session._RETRIES", 2)
    with pytest.raises(AccessError) as caught:
        listed(session_of(stub))
    assert caught.value.code == "S3_UNAVAILABLE"


def test_a_store_that_does_not_sort_is_refused(serve: Serve) -> None:
    stub = serve([f"a/{at:05d}" for at in range(2_000)])
    stub.keys = [*stub.keys[1_000:], *stub.keys[:1_000]]
    with pytest.raises(AccessError) as caught:
        listed(session_of(stub), "a/")
    assert caught.value.code == "LISTING_NOT_SORTED"


def test_seaweedfs_is_sorted_here(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists a folder where its name without the slash belongs: a/x before a-b."""
    keys = ["p/a/x", "p/a b", "p/a-b", "p/q/z/1", "p/q/z-1"]
    stub = serve(keys)
    monkeypatch.setattr("bench.stub.SERVER", "SeaweedFS 8000GB 4.48")
    shuffled = list(stub.keys)
    random.Random(1).shuffle(shuffled)
    assert listed(session_of(stub), "p/") == by_bytes(keys)
