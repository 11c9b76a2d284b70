from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from botocore.config import Config

from bench.fixture import contents
from bench.stub import SEVERED, StoredBody, Stub
from include.custom_labels.errors import AccessError
from include.custom_labels.image_headers import ImageFormat, ImageHeader, NotAnImage
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.object_store import probing
from include.object_store.probing import probe_headers
from include.object_store.ranged_reads import read_parts, read_range
from include.object_store.session import S3Session
from tests.object_store.conftest import BUCKET, HOSTILE_NAMES, client_of, session_of

Serve = Callable[[Sequence[str]], Stub]
PNG = contents()[5]
JPEG = contents()[0]
JPEG_BEHIND_METADATA = contents()[9]


def stored(stub: Stub, objects: dict[str, bytes]) -> ObjectPage:
    """Objects put into the stub, as a listing would have them."""
    for at, (key, data) in enumerate(objects.items()):
        stub.objects[key] = StoredBody(data, etag=f"etag{at}")
    size = len(objects)
    return ObjectPage(
        list(objects),
        [len(data) for data in objects.values()],
        [f"etag{at}" for at in range(size)],
        ["2026-11-22T20:00:00"] * size,
    )


def reason(outcome: ImageHeader | NotAnImage | None) -> Reason:
    assert isinstance(outcome, NotAnImage)
    return outcome.reason


def test_headers_come_in_the_order_of_the_keys(serve: Serve) -> None:
    stub = serve([])
    files = [PNG, JPEG, JPEG_BEHIND_METADATA] * 70
    objects = stored(stub, {f"{at:04d}": file.data for at, file in enumerate(files)})
    assert probe_headers(session_of(stub), BUCKET, objects) == [file.header for file in files]


def test_headers_are_read_where_the_bytes_are(serve: Serve) -> None:
    stub = serve([])
    objects = stored(stub, {"a": JPEG.data, "h/b": PNG.data})
    moved = replace(objects, keys=["a", "b"], places=[None, "h/b"])
    assert probe_headers(session_of(stub), BUCKET, moved) == [JPEG.header, PNG.header]


def test_no_more_is_read_than_needed(serve: Serve) -> None:
    stub = serve([])
    objects = stored(stub, {"a": PNG.data, "b": JPEG_BEHIND_METADATA.data, "c": JPEG.data[:200], "d": b""})
    probe_headers(session_of(stub), BUCKET, objects, concurrency=1)
    assert stub.requests == [f"GET /{BUCKET}/{key}" for key in ("a", "b", "b", "c")]


def test_hostile_keys_are_read_raw(serve: Serve) -> None:
    """Those that obstore's paths cannot hold go through boto3; the number of reads shows that each is asked once."""
    stub = serve([])
    keys = [f"photos/{name}" for name in HOSTILE_NAMES] + list(HOSTILE_NAMES)
    png = PNG.data
    # Each key its own width, so that a read of another object would show.
    objects = stored(stub, {key: b"\xff\xd8" + frame(width=100 + at) + png for at, key in enumerate(keys)})
    headers = probe_headers(session_of(stub), BUCKET, objects)
    assert headers == [ImageHeader(ImageFormat.JPEG, 100 + at, 480) for at in range(len(keys))]
    assert len(stub.requests) == len(keys)


def frame(*, width: int) -> bytes:
    return b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 480, width, 3) + bytes(9)


def test_only_wanted_objects_are_read(serve: Serve) -> None:
    stub = serve([])
    objects = stored(stub, {"a": PNG.data, "b": JPEG.data, "c": PNG.data})
    outcomes = probe_headers(session_of(stub), BUCKET, objects, wanted=[True, False, True])
    assert outcomes == [PNG.header, None, PNG.header]
    assert sorted(stub.requests) == [f"GET /{BUCKET}/a", f"GET /{BUCKET}/c"]


@pytest.mark.parametrize("name", ["plain.png", "odd//name.png"], ids=["obstore", "boto3"])
def test_what_happened_to_an_object_since_is_its_outcome(serve: Serve, name: str) -> None:
    stub = serve([])
    objects = stored(stub, {f"{at}-{name}": PNG.data for at in range(3)})
    del stub.objects[f"0-{name}"]
    stub.objects[f"1-{name}"].etag = "another"
    gone, changed, fine = probe_headers(session_of(stub), BUCKET, objects)
    assert (reason(gone), reason(changed), fine) == (Reason.VANISHED, Reason.CHANGED, PNG.header)


@pytest.mark.parametrize("name", ["plain.png", "odd//name.png"], ids=["obstore", "boto3"])
def test_an_object_that_may_not_be_read_is_an_outcome(serve: Serve, name: str) -> None:
    stub = serve([])
    objects = stored(stub, {name: PNG.data})
    stub.denied_keys.add(name)
    assert reason(probe_headers(session_of(stub), BUCKET, objects)[0]) is Reason.UNREADABLE


def test_other_failures_name_the_object(serve: Serve) -> None:
    stub = serve([])
    objects = stored(stub, {f"{at}//x.png": PNG.data for at in range(200)})
    stub.faults.extend([500] * 200)
    with pytest.raises(AccessError, match=r"//x\.png") as caught:
        probe_headers(session_of(stub), BUCKET, objects, concurrency=4)
    assert caught.value.code == "S3_UNAVAILABLE"
    # The others stop with what they have in hand.
    assert len(stub.requests) <= 8


def test_a_missing_bucket_is_no_outcome_of_an_object(serve: Serve) -> None:
    objects = ObjectPage(["a.png"], [10], [""], [""])
    with pytest.raises(AccessError) as caught:
        probe_headers(session_of(serve([])), "example-missing", objects)
    assert caught.value.code == "BUCKET_NOT_FOUND"


@pytest.mark.parametrize("faults", [[503, 0], [SEVERED], [SEVERED, 503]], ids=str)
@pytest.mark.parametrize("name", ["a", "odd//a"])
def test_busy_answers_and_broken_connections_are_repeated(serve: Serve, name: str, faults: list[int]) -> None:
    stub = serve([])
    objects = stored(stub, {name: PNG.data})
    client = client_of(stub, config=Config(proxies={}))
    stub.faults.extend(faults)
    assert probe_headers(S3Session(client), BUCKET, objects) == [PNG.header]


def test_a_share_of_broken_connections_changes_nothing(serve: Serve) -> None:
    stub = serve([])
    objects = stored(stub, {f"{at}.png": PNG.data for at in range(300)})
    stub.busy_share = stub.severed_share = 0.1
    assert probe_headers(session_of(stub), BUCKET, objects) == [PNG.header] * 300


def test_metadata_without_end_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "LARGE_READ_BYTES", probing.FIRST_READ_BYTES)
    stub = serve([])
    segment = b"\xff\xe1" + struct.pack(">H", 5_000) + bytes(4_998)
    objects = stored(stub, {"a.jpg": b"\xff\xd8" + segment * 100})
    assert reason(probe_headers(session_of(stub), BUCKET, objects)[0]) is Reason.DAMAGED_HEADER
    assert len(stub.requests) == probing.MAX_READS


def test_many_small_segments_are_read_in_larger_windows(serve: Serve) -> None:
    stub = serve([])
    segment = b"\xff\xe1" + struct.pack(">H", 5_000) + bytes(4_998)
    objects = stored(stub, {"a.jpg": b"\xff\xd8" + segment * 100 + frame(width=640) + bytes(100)})
    assert probe_headers(session_of(stub), BUCKET, objects) == [JPEG.header]
    assert len(stub.requests) == 1 + probing.MAX_SMALL_READS + 1


def test_nothing_to_probe_asks_nothing(serve: Serve) -> None:
    stub = serve([])
    assert probe_headers(session_of(stub), BUCKET, ObjectPage([], [], [], [])) == []
    assert not stub.requests


@pytest.mark.parametrize("key", ["plain", "odd//name"], ids=["obstore", "boto3"])
def test_ranges_end_with_the_object(serve: Serve, key: str) -> None:
    stub = serve([])
    stored(stub, {key: b"0123456789"})
    session, uri = session_of(stub), S3Uri(BUCKET, key)
    assert read_range(session, uri, 0, 4) == b"0123"
    assert read_range(session, uri, 7, 100, etag="etag0") == b"789"
    assert list(read_parts(session, uri, size_bytes=10, part_bytes=4)) == [b"0123", b"4567", b"89"]


@pytest.mark.parametrize("key", ["plain", "odd//name"], ids=["obstore", "boto3"])
def test_a_range_of_another_state_is_refused(serve: Serve, key: str) -> None:
    stub = serve([])
    stored(stub, {key: b"0123456789"})
    with pytest.raises(AccessError) as caught:
        read_range(session_of(stub), S3Uri(BUCKET, key), 0, 4, etag="other")
    assert caught.value.code == "OBJECT_CHANGED"
