from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gallery.worlds import World, world


@pytest.fixture
def here() -> Iterator[World]:
    """A world without a snapshot."""
    with world() as made:
        yield made
