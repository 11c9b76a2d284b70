from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.gallery import fenced_dataset, save_work
from tests.fixtures.existing_datasets import boxed, image_level, make_dataset
from tests.fixtures.places import Place
from tests.gallery.saving import HOSTILE_KEY, Gallery
from tests.gallery.worlds import World, world


@pytest.fixture
def here() -> Iterator[World]:
    """A world without a snapshot."""
    with world() as made:
        yield made


@pytest.fixture
def quick_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves look again at once."""
    monkeypatch.setattr(save_work, "POLL_S", 0.02)
    monkeypatch.setattr(fenced_dataset, "POLL_S", 0.02)


@pytest.fixture
def gallery(place: Place, tmp_path: Path, quick_saves: None) -> Gallery:
    """Four images: two with a label, one with a box, and one with neither."""
    found = Gallery(place, tmp_path / "cache")
    place.put("a.png", "b.png", HOSTILE_KEY, "d.png")
    lines = [
        image_level(found.ref("a.png"), "echo"),
        boxed(found.ref("b.png"), "dot"),
        image_level(found.ref(HOSTILE_KEY)),
        image_level(found.ref("d.png"), "echo"),
    ]
    make_dataset(place, place.project, "train", lines)
    return found
