from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from demo.pictures import draw_sample_tree


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_tree_has_the_folders_of_the_page(tmp_path: Path) -> None:
    root = draw_sample_tree(tmp_path)
    names = contents(root)
    assert root.name == "alexa-devices"
    assert sum(name.startswith("echo/") for name in names) == 13
    assert sum(name.startswith("echo-dot/") for name in names) == 16
    assert sum(name.startswith("echo-dot/white-echo-dot/") for name in names) == 6
    assert sorted(name for name in names if "/" not in name) == [
        "alexa-devices-image-1.png",
        "alexa-devices-image-2.png",
        "note.txt",
    ]


def test_drawn_twice_it_has_the_same_bytes(tmp_path: Path) -> None:
    first = contents(draw_sample_tree(tmp_path / "one"))
    assert first == contents(draw_sample_tree(tmp_path / "two"))
    pictures = [data for name, data in first.items() if name != "note.txt"]
    assert len(set(pictures)) == len(pictures)


def test_every_picture_but_the_broken_one_can_be_decoded(tmp_path: Path) -> None:
    root = draw_sample_tree(tmp_path)
    for path in [*root.rglob("*.png"), *root.rglob("*.jpg")]:
        if path.name == "echo-image-broken.png":
            with pytest.raises(UnidentifiedImageError):
                Image.open(path)
            continue
        with Image.open(path) as image:
            image.load()
            assert image.size == (320, 240)
            assert image.format == {".png": "PNG", ".jpg": "JPEG"}[path.suffix]
