"""Pictures of a dataset's images: whose they are, what is drawn, what is kept, and what is refused."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import pytest
from fastapi import FastAPI, Request
from PIL import ExifTags, Image

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.gallery.drawing import NoPictureError
from include.gallery.messages import DatasetType
from include.gallery.pictures import DrawingPool, ImagePlace, PictureFacts, Pictures, read_facts
from include.gallery.routes.pictures import router
from include.object_store.session import S3Session
from tests.fixtures.places import Place, picture
from tests.gallery.placed_services import PlacedServices
from tests.gallery.test_drawing import jpeg_with_two_sizes, png_with_size, saved
from tests.gallery.visitors import ANONYMOUS, EDITOR, RIGHTS, VIEWER, WRITE, gallery_of, visiting

ID = "0123456789abcdef"
OTHER_ID = "fedcba9876543210"
IMAGE = f"/api/datasets/example-project/train/images/{ID}"
KINDS = ("thumbnail", "picture")


class Places:
    """Images by project, type and id, and everything that was looked up."""

    def __init__(self, **images: ImagePlace) -> None:
        self._images = images
        self.asked: list[tuple[str, str, str, str]] = []

    def find_place(
        self, project: str, dataset_type: DatasetType, image_id: str, *, snapshot: str = ""
    ) -> ImagePlace | None:
        self.asked.append((project, dataset_type, image_id, snapshot))
        is_ours = (project, dataset_type) == ("example-project", "train")
        return self._images.get(image_id) if is_ours else None


def no_session() -> S3Session:
    raise AssertionError("nothing is read")


def gallery(places: Places, pictures: Pictures) -> FastAPI:
    return gallery_of(router(RIGHTS, places, pictures))


@pytest.mark.parametrize(
    ("headers", "status"),
    [(ANONYMOUS, 401), ({"authorization": "stranger"}, 403), (VIEWER, 404), (EDITOR, 404)],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_pictures_are_for_those_who_may_look(headers: dict[str, str], status: int, kind: str) -> None:
    places = Places()
    async with visiting(gallery(places, Pictures(no_session)), **headers) as client:
        answer = await client.get(f"{IMAGE}/{kind}")
    assert answer.status_code == status
    assert len(places.asked) == (status == 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_pictures_are_only_read(method: str) -> None:
    async with visiting(gallery(Places(), Pictures(no_session)), **EDITOR) as client:
        assert (await client.request(method, f"{IMAGE}/picture", headers=WRITE)).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        f"/api/datasets/example-project/train/images/{ID}x/picture",
        f"/api/datasets/example-project/train/images/{ID.upper()}/picture",
        f"/api/datasets/example-project/train/images/{ID}%0A/picture",
        "/api/datasets/example-project/train/images/s3%3A%2F%2Fexample-images%2Fa.png/picture",
        "/api/datasets/example-project/train/images/..%2F..%2Fsecret/picture",
        f"/api/datasets/example-project/other/images/{ID}/picture",
        f"/api/datasets/example project/train/images/{ID}/picture",
        f"/api/datasets/..%2F/train/images/{ID}/picture",
        f"/api/datasets/{'p' * 256}/train/images/{ID}/picture",
        f"{IMAGE}/picture?snapshot=..%2F..",
        f"{IMAGE}/picture?v={'v' * 201}",
    ],
)
async def test_nothing_but_an_id_names_an_image(path: str) -> None:
    places = Places()
    async with visiting(gallery(places, Pictures(no_session)), **EDITOR) as client:
        assert (await client.get(path)).status_code in (404, 422)
    assert places.asked == []


@pytest.fixture
def services(place: Place) -> PlacedServices:
    return PlacedServices(place)


def stored(place: Place, key: str, body: bytes, version: str = "") -> ImagePlace:
    """An image whose version and ETag the gallery knows."""
    place.put(key, body=body)
    etag = place.s3.head_object(Bucket=place.images, Key=key)["ETag"].strip('"')
    return ImagePlace(uri=S3Uri(place.images, key), version=version, etag=etag)


@pytest.mark.integration
async def test_an_id_of_another_dataset_reads_nothing(place: Place, services: PlacedServices) -> None:
    places = Places(**{ID: stored(place, "a.png", picture())})
    async with visiting(gallery(places, Pictures(services.s3)), **VIEWER) as client:
        assert (await client.get(f"{IMAGE}/picture")).status_code == 200
        for path in (
            IMAGE.replace(ID, OTHER_ID),
            IMAGE.replace("/train/", "/test/"),
            IMAGE.replace("example-project", "another-project"),
        ):
            answer = await client.get(f"{path}/picture")
            assert (answer.status_code, answer.json()["code"]) == (404, "IMAGE_NOT_IN_DATASET")


@pytest.mark.integration
async def test_thumbnails_are_small_and_pictures_whole_and_both_upright(place: Place, services: PlacedServices) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "somebody"
    body = saved(Image.new("RGB", (1000, 500), "teal"), "JPEG", exif=exif)
    found = stored(place, "folder/<img src=x onerror=alert(1)> \u202egnp.png", body, version="1")
    assert read_facts(services.s3(), found.uri) == PictureFacts(width=1000, height=500, orientation=6)
    places = Places(**{ID: found})
    async with visiting(gallery(places, Pictures(services.s3)), **VIEWER) as client:
        for kind, size in (("thumbnail", (160, 320)), ("picture", (500, 1000))):
            answer = await client.get(f"{IMAGE}/{kind}?v=1")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["content-security-policy"] == "default-src 'none'"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert Image.open(io.BytesIO(answer.content)).size == size
            assert b"somebody" not in answer.content


@pytest.mark.integration
async def test_only_an_address_that_names_these_bytes_is_kept(place: Place, services: PlacedServices) -> None:
    found = stored(place, "a.png", picture(), version="1")
    places = Places(**{ID: found, OTHER_ID: ImagePlace(uri=found.uri)})
    async with visiting(gallery(places, Pictures(services.s3)), **VIEWER) as client:
        first = await client.get(f"{IMAGE}/thumbnail?v=1")
        assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
        for path in (f"{IMAGE}/thumbnail?v=2", f"{IMAGE}/thumbnail", IMAGE.replace(ID, OTHER_ID) + "/thumbnail?v="):
            assert (await client.get(path)).headers["cache-control"] == "private, no-cache"
        again = await client.get(f"{IMAGE}/thumbnail?v=1", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        whole = await client.get(f"{IMAGE}/picture?v=1", headers={"if-none-match": first.headers["etag"]})
        assert whole.status_code == 200
        # What was drawn once is there without S3; other bytes in its place are not taken for it.
        place.put("a.png", body=picture(size=(100, 64)))
        assert (await client.get(f"{IMAGE}/thumbnail?v=1")).content == first.content
        changed = await client.get(IMAGE.replace(ID, OTHER_ID) + "/thumbnail")
        assert Image.open(io.BytesIO(changed.content)).size == (100, 64)
    async with visiting(gallery(places, Pictures(services.s3)), **VIEWER) as client:
        elsewhere = await client.get(f"{IMAGE}/thumbnail?v=1")
        assert elsewhere.headers["cache-control"] == "private, no-cache"


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_image_has_no_picture(place: Place, services: PlacedServices, kind: str) -> None:
    bodies = {
        "bomb": png_with_size(100_000, 100_000),
        "hidden bomb": jpeg_with_two_sizes(),
        "cut off": saved(Image.effect_noise((300, 300), 80), "JPEG")[:5000],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "html": b"<!doctype html><script>alert(1)</script>",
        "empty": b"",
        "too large": picture() + bytes(MAX_IMAGE_FILE_BYTES.value),
    }
    places = Places()
    async with visiting(gallery(places, Pictures(services.s3)), **VIEWER) as client:
        for name, body in bodies.items():
            places._images[ID] = stored(place, f"{name}.png", body)
            answer = await client.get(f"{IMAGE}/{kind}")
            assert (name, answer.status_code, answer.json()["code"]) == (name, 422, "PICTURE_UNREADABLE")
            assert answer.headers["content-type"] == "application/json"
        places._images[ID] = ImagePlace(uri=S3Uri(place.images, "gone.png"))
        gone = await client.get(f"{IMAGE}/{kind}")
        assert (gone.status_code, gone.json()["code"]) == (404, "PICTURE_NOT_FOUND")


@pytest.mark.integration
def test_facts_of_what_has_none(place: Place, services: PlacedServices) -> None:
    place.put("text.png", body=b"text")
    place.put("empty.png", body=b"")
    # Metadata that reach beyond what is read at first.
    long = saved(Image.new("RGB", (80, 70)), "JPEG", icc_profile=bytes(200_000))
    place.put("long.jpg", body=long)
    for key in ("text.png", "empty.png", "gone.png"):
        with pytest.raises(NoPictureError):
            read_facts(services.s3(), S3Uri(place.images, key))
    assert read_facts(services.s3(), S3Uri(place.images, "long.jpg")) == PictureFacts(
        width=80, height=70, orientation=1
    )
    with pytest.raises(NoPictureError):
        read_facts(services.s3(), S3Uri("example-nowhere", "a.png"))


class Browser:
    """A client that stays until it is told to go."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    @property
    def request(self) -> Request:
        async def receive() -> dict[str, Any]:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        return Request({"type": "http", "method": "GET", "headers": []}, receive)


async def test_more_than_the_queue_holds_is_refused() -> None:
    pool = DrawingPool("test", threads=1, waiting=1)
    go_on, browser = threading.Event(), Browser()
    tasks = [asyncio.ensure_future(pool.run(browser.request, go_on.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as caught:
        await pool.run(browser.request, go_on.wait)
    assert (caught.value.code, caught.value.details) == ("PICTURES_BUSY", {"retry_after_s": 2.0})
    go_on.set()
    assert await asyncio.gather(*tasks) == [True, True]
    assert await pool.run(browser.request, lambda: 7) == 7


async def test_nothing_is_begun_for_a_client_that_has_gone() -> None:
    pool = DrawingPool("test", threads=1, waiting=5)
    go_on, staying, leaving = threading.Event(), Browser(), Browser()
    begun: list[int] = []
    first = asyncio.ensure_future(pool.run(staying.request, go_on.wait))
    second = asyncio.ensure_future(pool.run(leaving.request, lambda: begun.append(2)))
    leaving.gone.set()
    assert await second is None
    go_on.set()
    assert await first is True
    assert await pool.run(staying.request, lambda: "free") == "free"
    assert begun == []


async def test_a_failure_is_handed_on() -> None:
    def fail() -> None:
        raise AccessError("ACCESS_DENIED", "S3 denies access.", "Allow it.")

    pool = DrawingPool("test", threads=1, waiting=0)
    for _ in range(3):
        with pytest.raises(AccessError):
            await pool.run(Browser().request, fail)
