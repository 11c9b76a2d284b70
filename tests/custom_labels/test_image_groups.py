"""Which images belong together by their keys."""

from __future__ import annotations

import pytest

from include.custom_labels.errors import RequestError
from include.custom_labels.image_groups import ImageGroups


@pytest.mark.parametrize(
    ("group_by", "key", "name"),
    [
        (None, "x/echo/a.png", None),
        ("folder", "x/echo/a.png", "echo"),
        ("folder", "x/echo/deep/a.png", "echo/deep"),
        ("folder", "x/a.png", None),
        ("folder", "x//a.png", None),
        ("folder", "x//b/a.png", "/b"),
        (r"clip-\d+", "x/echo/clip-7/a.png", "clip-7"),
        (r"clip-(\d+)", "x/echo/clip-7/a.png", "7"),
        (r"(\w+)/clip-(\d+)", "x/echo/clip-7/a.png", "echo"),
        (r"^echo/(\w+)", "x/echo/deep/a.png", "deep"),
        (r"^x/", "x/echo/a.png", None),
        (r"(folder)", "x/folder/a.png", "folder"),
        # A group that takes no part, or finds nothing, names nothing.
        (r"clip|(video)", "x/clip/a.png", None),
        (r"(\d*)", "x/echo/a.png", None),
        ("שלום", "x/שלום/a.png", "שלום"),
        (r".*", "x/" + "a" * 1024, "a" * 1024),
        (r".*", "x/" + "a" * 1025, None),
    ],
)
def test_the_name_of_an_images_group(group_by: str | None, key: str, name: str | None) -> None:
    assert ImageGroups(group_by, "x/").name(key) == name


def test_a_key_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        ImageGroups("folder", "x/").name("y/a.png")


@pytest.mark.parametrize("expression", ["(", "a**", "[z-a]", "a{99999999999999999999}"])
def test_what_is_no_expression_is_refused_with_a_code(expression: str) -> None:
    with pytest.raises(RequestError) as caught:
        ImageGroups(expression, "")
    assert caught.value.code == "INVALID_GROUP_BY"
    assert repr(expression) in caught.value.message
