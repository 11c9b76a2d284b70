"""Pictures for approval: chosen, written and found again, and never a reason to fail."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image

from include.gallery.addresses import MAX_SAMPLES, SampleAddress
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.samples import (
    NoPictureError,
    choose_samples,
    read_picture,
    write_samples,
)
from include.pipelines.snapshot_report import BaseDifference, ImageChange
from tests.fixtures.airflow_database import RunDag
from tests.fixtures.places import HOLDER, Place, picture


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
    assert Image.open(io.BytesIO(stored["Body"].read())).size == (64, 64)


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
