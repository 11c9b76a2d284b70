from __future__ import annotations

import pytest

from include.custom_labels import quotas
from include.custom_labels.quotas import ALL_QUOTAS, Quota, regional_quotas


@pytest.mark.parametrize("region", ["ap-south-1", "eu-west-2"])
def test_mumbai_and_london_have_fixed_lower_image_quotas(region: str) -> None:
    limits = regional_quotas(region)
    assert (limits.images("TRAIN"), limits.images("TEST")) == (28_000, 7_000)
    assert (limits.train_images_on_request, limits.test_images_on_request) == (28_000, 7_000)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-2"])
def test_other_regions_have_the_general_image_quotas(region: str) -> None:
    limits = regional_quotas(region)
    assert (limits.images("TRAIN"), limits.images("TEST")) == (250_000, 250_000)
    assert (limits.train_images_on_request, limits.test_images_on_request) == (500_000, 500_000)


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("max_image_file_bytes", 15 * 1024 * 1024, "bytes"),
        ("image_file_warning_bytes", 15_000_000, "bytes"),
        ("min_image_side_px", 64, "pixels"),
        ("max_image_side_px", 4096, "pixels"),
        ("max_aspect_ratio", 20, "longer side / shorter side"),
        ("max_boxes_per_image", 50, "bounding boxes"),
        ("max_labels_per_image", 50, "labels"),
        ("min_labels_image_level", 2, "labels"),
        ("min_labels_localization", 1, "labels"),
        ("max_labels", 250, "labels"),
        ("max_label_name_length", 255, "characters"),
        ("max_json_line_length", 100_000, "characters"),
        ("max_update_blob_bytes", 5_242_880, "bytes"),
        ("max_manifest_bytes", 1024**3, "bytes"),
        ("max_page_size", 100, "entries a page"),
    ],
)
def test_documented_values(name: str, value: int, unit: str) -> None:
    assert (ALL_QUOTAS[name].value, ALL_QUOTAS[name].unit) == (value, unit)


def test_every_constant_is_listed_under_its_own_name_with_unit_and_source() -> None:
    constants = {name.lower(): value for name, value in vars(quotas).items() if isinstance(value, Quota)}
    assert constants == ALL_QUOTAS
    for name, quota in ALL_QUOTAS.items():
        assert quota.name == name
        assert quota.value > 0
        assert quota.unit
        assert quota.source
