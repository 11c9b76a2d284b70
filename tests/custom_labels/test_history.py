from __future__ import annotations

import pytest

from include.custom_labels.history import HISTORY_FOLDER, history_key, identity


def test_the_folder_is_part_of_what_is_stored() -> None:
    assert HISTORY_FOLDER == "custom-labels-history"


@pytest.mark.parametrize("prefix", ["", "workspace/", "a/b/"])
@pytest.mark.parametrize("key", ["a.png", "x/echo/a.png", "x//a.png", "/a.png", "x/custom-labels-history/v/a.png"])
def test_a_copy_of_an_earlier_version_is_the_image_itself(prefix: str, key: str) -> None:
    copy = history_key(prefix, "3L4kqtJlcpXro", key)
    assert copy == f"{prefix}custom-labels-history/3L4kqtJlcpXro/{key}"
    assert identity(f"s3://example-images/{copy}") == f"s3://example-images/{key}"


@pytest.mark.parametrize(
    "source_ref",
    [
        "s3://example-images/x/a.png",
        "s3://example-images/my-custom-labels-history/v/a.png",
        "s3://example-images/custom-labels-history-2/v/a.png",
        "s3://example-images/custom-labels-history/v",
        "s3://example-images/custom-labels-history/v/",
        "s3://example-images/custom-labels-history",
        "",
    ],
)
def test_any_other_address_is_its_own(source_ref: str) -> None:
    assert identity(source_ref) == source_ref
