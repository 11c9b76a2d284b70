"""The gallery's reading side over real S3 and our Rekognition service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.processes import wait_until
from include.custom_labels.history import image_id
from include.gallery import live_entries
from include.gallery.datasets import Datasets
from include.gallery.messages import View
from include.gallery.snapshots import DatasetName
from tests.fixtures.places import Place
from tests.gallery.placed_services import PlacedServices
from tests.gallery.worlds import entry

pytestmark = pytest.mark.integration


def create(place: Place, *lines: bytes) -> str:
    """A dataset as the console would make it; its ARN."""
    place.s3.put_object(Bucket=place.images, Key="x.manifest", Body=b"\n".join(lines))
    arn = place.rekognition.create_project(ProjectName=place.project)["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": place.images, "Name": "x.manifest"}}}
    found: str = place.rekognition.create_dataset(ProjectArn=arn, DatasetType="TRAIN", DatasetSource=source)[
        "DatasetArn"
    ]
    assert place.wait_until_ready(found)["Status"] == "CREATE_COMPLETE"
    return found


def labels(datasets: Datasets, name: DatasetName) -> dict[str, Any]:
    catalog = datasets.catalog(name)
    return {each.key: each.labels for each in catalog.rows(datasets.views.numbers(catalog, View()))}


def test_entries_of_the_service_and_what_is_saved_into_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_entries, "CHECK_S", 0.0)
    services = PlacedServices(place)
    keys = ("a.png", "b.png", "c.png")
    place.put(*keys)
    arn = create(place, *(entry(key, "echo", bucket=place.images) for key in keys))
    name = DatasetName(project=place.project, dataset_type="train")
    datasets = Datasets(services, tmp_path / "cache")
    known = datasets.live(name).ensure_current(20)
    assert (known.snapshot_id, services.datasets().listings) == ("", 1)
    page = datasets.page(name)
    assert (page.freshness.state, page.shown_images, page.card.dataset_arn) == ("current", 3, arn)
    line = entry("b.png", "dot", bucket=place.images)
    datasets.live(name).put([line], **services.datasets().save(arn, line + b"\n"))
    assert labels(datasets, name) == {"a.png": ["echo"], "b.png": ["dot"], "c.png": ["echo"]}
    assert datasets.page(name).freshness.state == "current"
    # Somebody else's change is noticed, and everything is read once more.
    services.datasets().save(arn, entry("c.png", "spot", bucket=place.images))
    assert datasets.page(name).freshness.state in ("behind", "reading", "current")
    datasets.live(name).ensure_current(20)
    # What was shown before is shown until the new index is made.
    assert wait_until(lambda: datasets.page(name).freshness.state == "current", deadline_s=20, interval_s=0.1)
    assert labels(datasets, name) == {"a.png": ["echo"], "b.png": ["dot"], "c.png": ["spot"]}
    assert services.datasets().listings == 2
    id = image_id(f"s3://{place.images}/b.png")
    (image,) = datasets.catalog(name).find([id])
    assert image.line is not None
    assert json.loads(image.line)["label-0-metadata"]["class-name"] == "dot"
