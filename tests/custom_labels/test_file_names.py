from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.file_names import skip_reason, skip_reasons
from include.custom_labels.reasons import Reason

NAMES = [
    ("x/a.png", None),
    ("x/a.PNG", None),
    ("x/a.jpg", None),
    ("x/a.JpEg", None),
    ("x/a.jfif", None),
    ("x/no-extension", None),
    ("x/photo.2024-05", None),
    ("x/ends-with-dot.", None),
    ("x.txt/y", None),
    ("x/.hidden", None),
    ("x/.png", None),
    ("x/", Reason.FOLDER_MARKER),
    ("x/a.png/", Reason.FOLDER_MARKER),
    ("x/.DS_Store", Reason.SYSTEM_FILE),
    (".DS_Store", Reason.SYSTEM_FILE),
    ("x/Thumbs.db", Reason.SYSTEM_FILE),
    ("x/._a.png", Reason.SYSTEM_FILE),
    ("._a.png", Reason.SYSTEM_FILE),
    ("x/a.txt", Reason.NOT_AN_IMAGE_NAME),
    ("x/a.OGG", Reason.NOT_AN_IMAGE_NAME),
    ("x/a.png.txt", Reason.NOT_AN_IMAGE_NAME),
    ("x/a.png\nb.txt", Reason.NOT_AN_IMAGE_NAME),
    ("x/a.txt\nb.png", None),
    ("x/a.tar.gz", Reason.NOT_AN_IMAGE_NAME),
    ("x/a.gif", Reason.OTHER_IMAGE_NAME),
    ("x/a.HEIC", Reason.OTHER_IMAGE_NAME),
    ("x/a.svg", Reason.OTHER_IMAGE_NAME),
]


@pytest.mark.parametrize(("key", "reason"), NAMES)
def test_skip_reason(key: str, reason: Reason | None) -> None:
    assert skip_reason(key) is reason


@given(st.lists(st.sampled_from([key for key, _ in NAMES])))
def test_pages_say_the_same_as_single_names(keys: list[str]) -> None:
    expected = [skip_reason(key) for key in keys]
    assert (skip_reasons(keys) or [None] * len(keys)) == expected
