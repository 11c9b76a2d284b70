"""Where an image is now that was elsewhere before."""

from __future__ import annotations

import pytest

from include.custom_labels.moves import find_moves

Place = tuple[str, str]


def places(images: list[Place]) -> list[tuple[str, str, int]]:
    return sorted((f"s3://example-{name}", etag, 1) for name, etag in images)


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        pytest.param([("a/1", "x")], [("a/1", "y")], {}, id="nothing is gone"),
        pytest.param([("a/1", "x")], [("a/2", "x")], {"a/1": "a/2"}, id="the same content"),
        pytest.param([("a/1", "x")], [("a/2", "y")], {}, id="other content under another key"),
        pytest.param([("a/1", "x")], [("a/2", "x"), ("a/3", "x")], {}, id="two with the content"),
        pytest.param([("a/1", "")], [("a/2", "")], {}, id="content that is not known"),
        pytest.param([("a/1", "x")], [("b/1", "y")], {"a/1": "b/1"}, id="the same key in another bucket"),
        pytest.param(
            [("a/1", "x"), ("a/2", "y")],
            [("b/1", "y"), ("b/2", "x")],
            {"a/1": "b/2", "a/2": "b/1"},
            id="content before key",
        ),
        pytest.param(
            [("a/1", "x"), ("a/2", "x")],
            [("b/1", "x"), ("b/2", "x")],
            {"a/1": "b/1", "a/2": "b/2"},
            id="key where the content does not tell",
        ),
        pytest.param([("a/1", "x"), ("c/1", "y")], [("b/1", "z")], {}, id="two of the key"),
        pytest.param([("b/s3://example-a/1", "x")], [("b/1", "y")], {"b/s3://example-a/1": "b/1"}, id="left behind"),
    ],
)
def test_where_an_image_is_now(before: list[Place], after: list[Place], moves: dict[str, str]) -> None:
    found = find_moves(places(before), places(after))
    assert found == {f"s3://example-{old}": f"s3://example-{new}" for old, new in moves.items()}
