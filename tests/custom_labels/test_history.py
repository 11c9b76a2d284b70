"""Where old versions' bytes are, and which image they are all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.history import (
    HISTORY_FOLDER,
    history_key,
    holds_copies,
    identity,
    image_id,
    is_copy,
    version_name,
)

keys = st.text(min_size=1).filter(lambda key: f"/{HISTORY_FOLDER}/" not in f"/{key}")


@pytest.mark.parametrize(
    ("version_id", "name"),
    [("L4kqtJlcpXroDTDmJ_.x", "L4kqtJlcpXroDTDmJ_.x"), ("null", "null-0a1b"), ("3/L4", "3%2FL4")],
)
def test_a_version_is_one_folder(version_id: str, name: str) -> None:
    assert version_name(version_id, "0a1b") == name


@given(
    prefix=st.sampled_from(["", "w/", "a b/c/"]),
    key=keys,
    version_id=st.sampled_from(["null", "3/L4kqt+x", "6714fb3dc4c638b0"]),
)
def test_a_copy_is_the_image_that_it_was_made_of(prefix: str, key: str, version_id: str) -> None:
    copy = history_key(prefix, version_name(version_id, "0a1b"), key)
    assert identity(f"s3://example-images/{copy}") == identity(f"s3://example-images/{key}")
    assert is_copy(copy)
    assert holds_copies([key, copy])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"{HISTORY_FOLDER}/v/a.png", True),
        (f"x/{HISTORY_FOLDER}/", True),
        (f"x/{HISTORY_FOLDER}", False),
        (f"x/my-{HISTORY_FOLDER}/a.png", False),
        (f"x/{HISTORY_FOLDER}-2/a.png", False),
    ],
)
def test_only_what_lies_below_the_history_folder_is_a_copy(key: str, expected: bool) -> None:
    assert is_copy(key) is expected


def test_an_image_has_the_same_id_wherever_its_bytes_lie() -> None:
    id = image_id("s3://example-images/photos/a.png")
    assert id == "0395222122cc091a"
    assert image_id("s3://example-images/x/custom-labels-history/v1/photos/a.png") == id
    assert image_id("s3://example-images/photos/b.png") != id
