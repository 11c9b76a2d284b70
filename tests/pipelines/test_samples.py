"""Pictures for approval: small, without metadata, of whatever image there may be, and never a reason to fail."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from include.gallery.addresses import MAX_SAMPLES, SampleAddress
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.samples import (
    SIDE_PX,
    NoPictureError,
    choose_samples,
    draw_picture,
    read_picture,
    write_samples,
)
from include.pipelines.snapshot_report import BaseDifference, ImageChange
from tests.fixtures.airflow_database import RunDag
from tests.fixtures.places import HOLDER, Place, picture


def saved(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.load()
    return image


def is_near(found: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), (160, 120)), ((64, 64), (64, 64)), ((100, 1600), (10, 160)), ((4096, 4096), (160, 160))],
)
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_picture_is_small(size: tuple[int, int], small: tuple[int, int], image_format: str) -> None:
    drawn = opened(draw_picture(saved(Image.new("RGB", size, "teal"), image_format)))
    assert max(abs(one - other) for one, other in zip(drawn.size, small, strict=True)) <= 1
    assert is_near(drawn.getpixel((0, 0)), (0, 128, 128))


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (Image.new("RGBA", (64, 64), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (64, 64), (0, 128)), (127, 127, 127)),
        (Image.new("1", (64, 64), 1), (255, 255, 255)),
        (Image.new("L", (64, 64), 100), (100, 100, 100)),
        (Image.new("I;16", (64, 64), 100 * 256), (100, 100, 100)),
        (Image.new("RGB", (64, 64), "navy").quantize(4), (0, 0, 128)),
    ],
    ids=["clear", "grey alpha", "bits", "grey", "16 bits", "palette"],
)
def test_every_kind_of_png_has_its_colours(image: Image.Image, pixel: tuple[int, int, int]) -> None:
    assert is_near(opened(draw_picture(saved(image))).getpixel((30, 30)), pixel)


def test_a_cmyk_jpeg() -> None:
    drawn = opened(draw_picture(saved(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG")))
    assert drawn.mode == "RGB"


def test_nothing_but_the_picture_is_handed_on() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    exif[ExifTags.Base.GPSInfo] = {1: "N", 2: (52.0, 30.0, 0.0)}
    image = Image.new("RGB", (320, 200), "teal")
    jpeg = saved(image, "JPEG", exif=exif, comment=b"a comment", icc_profile=b"a profile", xmp=b"some xmp")
    text = PngInfo()
    text.add_text("Comment", "somebody")
    for original in (jpeg, saved(image, pnginfo=text, exif=exif)):
        drawn = draw_picture(original)
        assert opened(drawn).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not any(word in drawn for word in (b"Exif", b"somebody", b"comment", b"profile", b"xmp"))


def test_a_turned_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.new("RGB", (320, 160), "teal")
    image.paste("white", (0, 0, 160, 160))
    drawn = opened(draw_picture(saved(image, "JPEG", exif=exif)))
    assert drawn.size == (80, 160)
    assert is_near(drawn.getpixel((40, 20)), (255, 255, 255))


def png_with_size(width: int, height: int) -> bytes:
    """A small file that says it is large."""
    body = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", body), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def jpeg_with_two_sizes() -> bytes:
    """A JPEG whose second frame header, which Pillow believes, is larger than its first."""
    data = picture("JPEG")
    at = data.index(b"\xff\xc0")
    length = struct.unpack(">H", data[at + 2 : at + 4])[0]
    frame = data[at : at + 2 + length]
    large = frame[:5] + struct.pack(">HH", 60_000, 60_000) + frame[9:]
    return data[: at + len(frame)] + large + data[at + len(frame) :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "No image that Rekognition reads (EMPTY_OBJECT)."),
        (b"GIF89a" + bytes(100), "No image that Rekognition reads (NOT_PNG_OR_JPEG)."),
        (b"<svg onload=alert(1)>", "No image that Rekognition reads (NOT_PNG_OR_JPEG)."),
        (picture("PNG")[:20], "No image that Rekognition reads (DAMAGED_HEADER)."),
        (png_with_size(100_000, 100_000), "No image that Rekognition reads (SIDE_TOO_LONG)."),
        (png_with_size(4096, 4096), "The image cannot be decoded (OSError)."),
        (picture("JPEG")[:400], "The image cannot be decoded (OSError)."),
    ],
    ids=["empty", "gif", "svg", "cut header", "bomb", "cut pixels", "cut jpeg"],
)
def test_there_is_no_picture_of_something_else(data: bytes, reason: str) -> None:
    with pytest.raises(NoPictureError) as caught:
        draw_picture(data)
    assert str(caught.value) == reason


def test_a_file_with_two_sizes_is_not_decoded() -> None:
    with pytest.raises(NoPictureError):
        draw_picture(jpeg_with_two_sizes())


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([picture("PNG"), picture("JPEG"), saved(Image.effect_noise((80, 80), 50), "JPEG")]),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
)
def test_a_damaged_file_gives_a_picture_or_a_reason(data: bytes, damages: list[tuple[int, bytes]]) -> None:
    broken = bytearray(data)
    for at, damage in damages:
        start = at % len(broken)
        broken[start : start + len(damage)] = damage
    try:
        drawn = draw_picture(bytes(broken))
    except NoPictureError:
        return
    assert max(opened(drawn).size) <= SIDE_PX


def changes(name: str, count: int, after: str = "'echo'") -> tuple[ImageChange, ...]:
    return tuple(ImageChange(image=f"s3://example-images/{name}-{number}.png", after=after) for number in range(count))


def difference(removed: int, added: int, relabelled: int) -> BaseDifference:
    return BaseDifference(
        base_snapshot_id="",
        added=added,
        removed=removed,
        relabelled=relabelled,
        labels_appeared=("echo dot",),
        samples={
            "removed": changes("removed", removed, ""),
            "added": (*changes("added", max(added - 1, 0)), *changes("new", min(added, 1), "'echo dot', 1 box")),
            "relabelled": changes("relabelled", relabelled),
        },
    )


@pytest.mark.parametrize(
    ("counts", "kinds"),
    [
        ((20, 0, 0), {"removed": 12}),
        ((20, 20, 20), {"removed": 6, "added": 6}),
        ((20, 2, 1), {"removed": 9, "added": 2, "relabelled": 1}),
        ((2, 3, 20), {"removed": 2, "added": 3, "relabelled": 7}),
        ((0, 0, 0), {}),
    ],
)
def test_removed_images_are_chosen_first(counts: tuple[int, int, int], kinds: dict[str, int]) -> None:
    chosen = choose_samples(difference(*counts))
    found = [what for what, _ in chosen]
    assert {what: found.count(what) for what in found} == kinds
    assert found == sorted(found, key=["removed", "added", "relabelled"].index)


def test_images_of_new_labels_come_before_others_that_were_added() -> None:
    chosen = choose_samples(difference(20, 20, 0))
    assert [change.image for _, change in chosen][6] == "s3://example-images/new-0.png"


@pytest.mark.integration
def test_pictures_are_written_and_reasons_given(place: Place) -> None:
    place.put("echo/a.png", "echo/b c#?.png")
    place.put("echo/empty.png", body=b"")
    place.put("echo/text.png", body=b"text")
    run = ImportRun(
        request=S3FolderRequest.parse(place.conf()), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="x", holder=HOLDER
    )
    images = [f"s3://{place.images}/echo/{name}.png" for name in ("a", "gone", "b c#?", "empty", "text")]
    images += ["s3://example-nowhere/a.png", "no address", *images[:1] * 20]
    samples = write_samples(run, [("removed", ImageChange(image=image)) for image in images])
    assert len(samples) == MAX_SAMPLES
    assert [(bool(sample.url), sample.missing) for sample in samples[:7]] == [
        (True, ""),
        (False, "The object is gone."),
        (True, ""),
        (False, "The object cannot be read (S3_REQUEST_FAILED)."),
        (False, "No image that Rekognition reads (NOT_PNG_OR_JPEG)."),
        (False, "The object is gone."),
        (False, "The entry names no object of S3."),
    ]
    assert samples[2].url == "custom-labels/samples/import_s3_folder/run-1/train/2"
    key = "custom-labels/staging/import_s3_folder.run-1/samples/import_s3_folder/train/2.jpg"
    stored = place.s3.get_object(Bucket=place.workspace, Key=key)
    assert stored["ContentType"] == "image/jpeg"
    assert opened(stored["Body"].read()).size == (64, 64)


@pytest.mark.integration
def test_a_workspace_that_cannot_be_written_is_no_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("a.png")
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE", "s3://example-nowhere/")
    run = ImportRun(
        request=S3FolderRequest.parse(place.conf()), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="x", holder=HOLDER
    )
    (sample,) = write_samples(run, [("added", ImageChange(image=f"s3://{place.images}/a.png"))])
    assert (sample.url, sample.missing) == ("", "BUCKET_NOT_FOUND while it was stored")


@pytest.mark.integration
def test_the_api_server_finds_the_pictures_of_a_run(
    place: Place, run_dag: RunDag, return_value: Callable[..., Any]
) -> None:
    from include.custom_labels.errors import RequestError
    from include.pipelines.gallery_runs import find_run
    from include.pipelines.gallery_services import AirflowServices

    place.put("a.png")
    # Its second task fails, and the first one has left what there is to know.
    dag_run = run_dag("import_s3_folder", place.conf(s3_folder="s3://example-nowhere/x"))
    run = ImportRun.from_json(return_value(dag_run, "validate_request"))
    (sample,) = write_samples(run, [("added", ImageChange(image=f"s3://{place.images}/a.png"))])
    address = run.sample_address(0)
    assert address.url == sample.url
    store = AirflowServices().runs()
    assert store.sample(address) == place.read(str(run.sample_place(address)))
    for other in (
        SampleAddress(dag_id=address.dag_id, run_id=address.run_id, dataset_type="train", number=1),
        SampleAddress(dag_id=address.dag_id, run_id=address.run_id, dataset_type="test", number=0),
        SampleAddress(dag_id=address.dag_id, run_id="another", dataset_type="train", number=0),
        SampleAddress(dag_id="import_ground_truth", run_id=address.run_id, dataset_type="train", number=0),
    ):
        assert store.sample(other) is None
    assert find_run(address.dag_id, address.run_id) == run
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE")
        with pytest.raises(RequestError) as caught:
            store.sample(address)
        assert caught.value.code == "WORKSPACE_NOT_SET"


def test_dags_whose_runs_have_one_slug_have_pictures_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE", "s3://example-workspace/")
    run = ImportRun(request=S3FolderRequest(), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="x", holder=HOLDER)
    one = SampleAddress(dag_id="a.b", run_id="c", dataset_type="train", number=0)
    other = SampleAddress(dag_id="a", run_id="b.c", dataset_type="train", number=0)
    assert str(run.sample_place(one)) == "s3://example-workspace/staging/a.b.c/samples/a.b/train/0.jpg"
    assert str(run.sample_place(other)) == "s3://example-workspace/staging/a.b.c/samples/a/train/0.jpg"


@pytest.mark.integration
def test_an_object_that_is_too_large_is_not_read_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES

    place.put("large.png", body=picture() + bytes(MAX_IMAGE_FILE_BYTES.value + 10))
    run = ImportRun(
        request=S3FolderRequest.parse(place.conf()), as_of=datetime(2026, 11, 22, tzinfo=UTC), slug="x", holder=HOLDER
    )
    with pytest.raises(NoPictureError, match="FILE_TOO_LARGE"):
        read_picture(run.s3, f"s3://{place.images}/large.png")
