"""The sample tree of the demo, drawn on the spot: the folders of AWS's own example, `alexa-devices`."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 320, 240


def draw_sample_tree(parent: Path) -> Path:
    """Draw `alexa-devices` below ``parent``, the same bytes each time; the folder.

    30 images, of which 2 lie loose at the folder's level, a text file, and a file that only its name calls a picture.
    """
    root = parent / "alexa-devices"
    for number in range(1, 3):
        _draw(root / f"alexa-devices-image-{number}.png", number, devices=("echo", "echo-dot"))
    for number in range(1, 13):
        suffix = "jpg" if number % 3 == 0 else "png"
        _draw(root / "echo" / f"echo-image-{number}.{suffix}", number, devices=("echo",))
    for number in range(1, 11):
        _draw(root / "echo-dot" / f"echo-dot-image-{number}.png", number, devices=("echo-dot",))
    for number in range(1, 7):
        name = f"white-echo-dot-image-{number}.png"
        _draw(root / "echo-dot" / "white-echo-dot" / name, number, devices=("white-echo-dot",))
    (root / "note.txt").write_text("Not a picture: the import skips it and says so.\n")
    (root / "echo" / "echo-image-broken.png").write_bytes(b"Only the name of this file is a picture's.\n")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a device stands in a picture, in pixels from the top left corner."""

    label: str
    left: int
    top: int
    width: int
    height: int


def loose_pictures() -> dict[str, list[Box]]:
    """The pictures at the folder's level, which no folder labels, with a box around each device."""
    devices = ("echo", "echo-dot")
    return {
        f"alexa-devices-image-{number}.png": [_box(device, x) for device, x in _places(number, devices)]
        for number in range(1, 3)
    }


def _places(number: int, devices: tuple[str, ...]) -> list[tuple[str, int]]:
    step = WIDTH // (len(devices) + 1)
    return [(device, place * step + (number * 17) % 41 - 20) for place, device in enumerate(devices, start=1)]


def _size(device: str) -> tuple[int, int, int]:
    radius, tall = (34, 120) if device == "echo" else (58, 34)
    bottom = HEIGHT * 5 // 6
    return radius, bottom - tall, bottom


def _box(device: str, x: int) -> Box:
    radius, top, bottom = _size(device)
    top, bottom = top - radius // 3, bottom + radius // 3
    return Box(label=device, left=x - radius, top=top, width=2 * radius, height=bottom - top)


def _draw(file: Path, number: int, *, devices: tuple[str, ...]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (WIDTH, HEIGHT), _colour(number / 13, 0.25, 0.95))
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((0, HEIGHT * 2 // 3, WIDTH, HEIGHT), fill=_colour(number / 13, 0.35, 0.7))
    for device, x in _places(number, devices):
        _draw_device(canvas, device, x)
    image.save(file, quality=85)


def _draw_device(canvas: ImageDraw.ImageDraw, device: str, x: int) -> None:
    body, ring = ("white", "#9fd8ef") if device.startswith("white") else ("#2b2f36", "#2aa7de")
    radius, top, bottom = _size(device)
    canvas.ellipse((x - radius, bottom - radius // 3, x + radius, bottom + radius // 3), fill=body)
    canvas.rectangle((x - radius, top, x + radius, bottom), fill=body)
    canvas.ellipse((x - radius, top - radius // 3, x + radius, top + radius // 3), fill=body, outline=ring, width=4)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
