"""Pictures for the documentation are taken when a page has its content, and never blank."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser

from tests.fixtures.pictures import Pictures, is_blank

TEXT = "".join(f"<p>Line {number} of a page that has its content.</p>" for number in range(20))


def png(*, text: str = "", fill: str = "white") -> bytes:
    image = Image.new("RGB", (640, 400), fill)
    ImageDraw.Draw(image).multiline_text((20, 20), text, fill="black", font_size=20)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("fill", ["white", "black", "#fdfdfd"])
def test_an_empty_page_is_blank_in_any_colour(fill: str) -> None:
    assert is_blank(png(fill=fill))


def test_a_heading_without_content_is_blank() -> None:
    assert is_blank(png(text="Custom Labels"))


def test_a_page_of_text_is_not_blank() -> None:
    assert not is_blank(png(text="\n".join(["What a page of text says, line by line, from side to side"] * 14)))


def test_a_picture_waits_for_late_content(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 640, "height": 480})
    page.set_content(f"<body><script>setTimeout(() => document.body.innerHTML = `{TEXT}`, 300)</script>")
    Pictures(tmp_path).take("late", page, shows=page.get_by_text("Line 1 of"))
    assert not is_blank((tmp_path / "late.png").read_bytes())


def test_a_picture_waits_for_what_covers_the_content(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 640, "height": 480})
    cover = '<div style="position: fixed; inset: 0; background: white"></div>'
    page.set_content(f"{TEXT}{cover}<script>setTimeout(() => document.querySelector('div').remove(), 300)</script>")
    Pictures(tmp_path).take("covered", page, shows=page.get_by_text("Line 1 of"))
    assert not is_blank((tmp_path / "covered.png").read_bytes())


@pytest.mark.parametrize("content", ["", TEXT.replace("<p", '<p style="color: white"')], ids=["nothing", "invisible"])
def test_a_page_without_content_is_refused(browser: Browser, tmp_path: Path, content: str) -> None:
    page = browser.new_page(viewport={"width": 640, "height": 480})
    page.set_content(content)
    with pytest.raises(AssertionError):
        Pictures(tmp_path, deadline_s=0.5).take("blank", page, shows=page.get_by_text("Line 1 of"))
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_still_loading_is_waited_for(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 640, "height": 480})
    asked = []
    page.route("**/slow.png", lambda route: asked.append(route))
    page.set_content(
        f'{TEXT}<img src="http://localhost/slow.png" width="9" height="9" style="position: fixed; top: 0">',
        wait_until="domcontentloaded",
    )
    taking = Pictures(tmp_path, deadline_s=0.5)
    with pytest.raises(Exception, match="Timeout"):
        taking.take("slow", page, shows=page.get_by_text("Line 1 of"))
    asked[0].fulfill(body=png(), content_type="image/png")
    taking.take("slow", page, shows=page.get_by_text("Line 1 of"))
    assert [path.name for path in tmp_path.iterdir()] == ["slow.png"]
