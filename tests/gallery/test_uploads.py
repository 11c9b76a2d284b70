"""Uploads: who may send what, under which names it is stored, and that the import takes it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from include.custom_labels.errors import ManifestError, RequestError
from include.gallery.guard import WriteLimits
from include.gallery.pictures import Pictures
from include.gallery.routes.uploads import router
from include.gallery.uploads import check_folder, check_image
from include.object_store.uploads import StagedUpload
from tests.fixtures.places import Place, picture
from tests.gallery.placed_services import PlacedServices
from tests.gallery.test_drawing import jpeg_with_two_sizes, png_with_size, saved
from tests.gallery.visitors import ANONYMOUS, EDITOR, ORIGIN, RIGHTS, VIEWER, WRITE, gallery_of

UPLOAD_ID = "20261124T180000Z-0123456789abcdef"
OCTETS = WRITE | {"content-type": "application/octet-stream"}
HOSTILE = "../<img src=x onerror=alert(1)>\u202egnp\r\n\"'%2F.svg"


@pytest.mark.parametrize("folder", ["", "echo", "echo dot", "<img onerror=alert(1)>", "源", "a\\b", "\u202egnp", "%2F"])
def test_a_folder_may_be_any_label(folder: str) -> None:
    check_folder(folder)


@pytest.mark.parametrize(
    "folder", ["/", "a/b", "..", ".", ".hidden", "a\nb", "a\rb", "a\0b", "a\u2028b", "\ud800", "a" * 256, "源" * 400]
)
def test_a_folder_stays_one_folder(folder: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_folder(folder)
    assert caught.value.code == "UPLOAD_NAME_REFUSED"
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        picture("PNG")[:20],
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        png_with_size(100_000, 100_000),
        saved(Image.new("RGB", (63, 64))),
        saved(Image.new("RGB", (64, 64 * 21))),
    ],
)
def test_what_is_no_image_is_refused_by_its_content(data: bytes) -> None:
    with pytest.raises(ManifestError, match="UPLOAD_NOT_AN_IMAGE"):
        check_image(data)


class Uploading:
    """A browser that uploads to a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.services = PlacedServices(place)
        pictures = Pictures(self.services.s3)
        self.app = gallery_of(router(self.services, RIGHTS, pictures, WriteLimits(RIGHTS)))

    @asynccontextmanager
    async def by(self, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
            yield client

    async def put(
        self, data: bytes, number: int = 0, headers: dict[str, str] = EDITOR, **params: Any
    ) -> httpx.Response:
        async with self.by(OCTETS | headers) as client:
            return await client.put(f"/api/uploads/{UPLOAD_ID}/images/{number}", content=data, params=params)

    def stored(self) -> list[str]:
        return [key for key in self.place.workspace_keys() if "/uploads/" in key]


@pytest.fixture
def uploading(place: Place) -> Uploading:
    return Uploading(place)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        (ANONYMOUS, (401, 401, 401)),
        (VIEWER, (403, 403, 403)),
        ({"authorization": "stranger"}, (403, 403, 403)),
        (EDITOR, (201, 200, 200)),
    ],
)
async def test_only_editors_upload(uploading: Uploading, headers: dict[str, str], statuses: tuple[int, ...]) -> None:
    async with uploading.by(WRITE | headers) as client:
        begun = await client.post("/api/uploads", json={})
        sent = await uploading.put(picture(), headers=headers)
        read = await client.get(f"/api/uploads/{UPLOAD_ID}")
    assert (begun.status_code, sent.status_code, read.status_code) == statuses
    assert len(uploading.stored()) == (statuses[1] == 200)


@pytest.mark.integration
async def test_images_are_stored_under_names_of_ours(uploading: Uploading) -> None:
    async with uploading.by(WRITE | EDITOR) as client:
        ids = {(await client.post("/api/uploads", json={})).json()["upload_id"] for _ in range(3)}
        assert len(ids) == 3
        png, jpeg = picture(size=(80, 70)), saved(Image.new("RGB", (64, 90)), "JPEG")
        first = await uploading.put(png, 0, name=HOSTILE, folder="<img onerror=alert(1)>")
        assert first.status_code == 200
        # Whatever the name says, the content says what it is.
        assert (await uploading.put(jpeg, 29, name="photo.png")).json()["key"].endswith(f"{UPLOAD_ID}-29.jpg")
        found = (await client.get(f"/api/uploads/{UPLOAD_ID}")).json()
    prefix = f"custom-labels/uploads/{UPLOAD_ID}/"
    assert uploading.stored() == [
        f"{prefix}{UPLOAD_ID}-29.jpg",
        f"{prefix}<img onerror=alert(1)>/{UPLOAD_ID}-00.png",
    ]
    assert found["images"][0] == first.json()
    assert first.json() == {
        "number": 0,
        "name": HOSTILE,
        "folder": "<img onerror=alert(1)>",
        "key": f"{prefix}<img onerror=alert(1)>/{UPLOAD_ID}-00.png",
        "width": 80,
        "height": 70,
        "size_bytes": len(png),
    }
    assert found["images"][1]["name"] == "photo.png"
    # The import finds images and nothing else.
    staged = StagedUpload(uploading.services.s3(), uploading.services.workspace(), UPLOAD_ID).staged("images/")
    assert [(file.name, file.reason) for file in staged] == [
        (f"{UPLOAD_ID}-29.jpg", None),
        (f"<img onerror=alert(1)>/{UPLOAD_ID}-00.png", None),
    ]


@pytest.mark.integration
async def test_a_second_image_of_a_number_takes_the_first_ones_place(uploading: Uploading) -> None:
    await uploading.put(picture(), 3, folder="echo")
    await uploading.put(picture(), 4, folder="echo")
    await uploading.put(picture("JPEG"), 3, folder="dot")
    assert [key.rpartition(f"{UPLOAD_ID}/")[2] for key in uploading.stored()] == [
        f"dot/{UPLOAD_ID}-03.jpg",
        f"echo/{UPLOAD_ID}-04.png",
    ]


@pytest.mark.integration
async def test_what_cannot_be_imported_is_not_stored(uploading: Uploading) -> None:
    refused = {
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "html": b"<!doctype html><script>alert(1)</script>",
        "bomb": png_with_size(4096, 4096),
        "two sizes": jpeg_with_two_sizes(),
        "cut png": saved(Image.effect_noise((300, 300), 80), "PNG")[:20_000],
        "cut jpeg": saved(Image.effect_noise((300, 300), 80), "JPEG")[:5_000],
        "nothing": b"",
    }
    for name, data in refused.items():
        answer = await uploading.put(data, name=f"{name}.png")
        assert (name, answer.status_code, answer.json()["code"]) == (name, 422, "UPLOAD_NOT_AN_IMAGE")
    assert (await uploading.put(picture(), 30)).json()["code"] == "TOO_MANY_IMAGES"
    assert (await uploading.put(picture(), folder="../..")).json()["code"] == "UPLOAD_NAME_REFUSED"
    assert (await uploading.put(picture(), name="n" * 1025)).status_code == 422
    async with uploading.by(OCTETS | EDITOR) as client:
        for path in (
            f"/api/uploads/{UPLOAD_ID}x/images/0",
            "/api/uploads/..%2F..%2Fdatasets/images/0",
            "/api/uploads/%2e%2e/images/0",
            f"/api/uploads/{UPLOAD_ID}/images/-1",
            f"/api/uploads/{UPLOAD_ID}/images/00",
            f"/api/uploads/{UPLOAD_ID}/images/100",
        ):
            assert (await client.put(path, content=picture())).status_code in (404, 415, 422)
    assert uploading.stored() == []


@pytest.mark.integration
async def test_an_upload_that_is_not_there(uploading: Uploading) -> None:
    async with uploading.by(EDITOR) as client:
        answer = await client.get(f"/api/uploads/{UPLOAD_ID}")
    assert (answer.status_code, answer.json()["code"]) == (404, "UPLOAD_NOT_FOUND")


@pytest.mark.integration
async def test_uploads_of_one_person_are_limited(uploading: Uploading) -> None:
    async with uploading.by(WRITE | EDITOR) as client:
        statuses = [(await client.post("/api/uploads", json={})).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]


@pytest.mark.integration
async def test_a_large_photo_is_taken_as_it_is(uploading: Uploading) -> None:
    data = saved(Image.effect_noise((2600, 2600), 90), "JPEG", quality=95)
    answer = await uploading.put(data, name="large.jpg")
    assert answer.status_code == 200
    stored = uploading.place.s3.get_object(Bucket=uploading.place.workspace, Key=answer.json()["key"])["Body"].read()
    assert stored == data
    assert Image.open(io.BytesIO(stored)).size == (2600, 2600)
