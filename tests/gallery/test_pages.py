"""The web application's files: for those who may look, and nothing beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.gallery.pages import router
from tests.gallery.visitors import ANONYMOUS, EDITOR, RIGHTS, VIEWER, gallery_of, visiting

SCRIPT = "index-DhGx2a_b.js"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """What the bundler makes, beside things that it does not."""
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html><script src=./assets/x.js></script>")
    (assets / SCRIPT).write_text("export {}")
    (assets / "plain.css").write_text("a{}")
    (assets / "notes.txt").write_text("no")
    (assets / ".hidden.js").write_text("no")
    (assets / "folder.js").mkdir()
    (tmp_path / "secret.js").write_text("secret")
    (assets / "link.js").symlink_to(tmp_path / "secret.js")
    return tmp_path / "dist"


@pytest.mark.parametrize(
    ("headers", "status"), [(ANONYMOUS, 401), ({"authorization": "stranger"}, 403), (VIEWER, 200), (EDITOR, 200)]
)
@pytest.mark.parametrize("path", ["/", f"/assets/{SCRIPT}", "/assets/plain.css"])
async def test_static_files_are_for_those_who_may_look(
    web: Path, headers: dict[str, str], status: int, path: str
) -> None:
    async with visiting(gallery_of(router(RIGHTS, web)), **headers) as client:
        assert (await client.get(path)).status_code == status


async def test_pages_are_asked_for_anew_and_hashed_files_are_kept(web: Path) -> None:
    async with visiting(gallery_of(router(RIGHTS, web)), **VIEWER) as client:
        page = await client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        script = await client.get(f"/assets/{SCRIPT}")
        assert (script.text, script.headers["content-type"]) == ("export {}", "text/javascript; charset=utf-8")
        assert script.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert (await client.get("/assets/plain.css")).headers["cache-control"] == "no-cache"
        # A build that comes later is found.
        (web / "assets" / "late-12345678.js").write_text("late")
        assert (await client.get("/assets/late-12345678.js")).text == "late"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "notes.txt",
        ".hidden.js",
        "folder.js",
        "link.js",
        "..%2Findex.html",
        "..%2f..%2fsecret.js",
        "%2e%2e/%2e%2e/secret.js",
        "....//secret.js",
        "%2Fetc%2Fpasswd",
        "x%00.js",
        "x%0A.js",
        "",
    ],
)
async def test_nothing_else_is_read(web: Path, name: str) -> None:
    async with visiting(gallery_of(router(RIGHTS, web)), **EDITOR) as client:
        answer = await client.get(f"/assets/{name}")
        assert answer.status_code in (404, 422)
        assert "secret" not in answer.text


@pytest.mark.parametrize("missing", ["dist", "nothing"])
async def test_a_page_says_that_the_pages_were_not_built(tmp_path: Path, missing: str) -> None:
    async with visiting(gallery_of(router(RIGHTS, tmp_path / missing)), **VIEWER) as client:
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "make web" in answer.text
        assert "style" not in answer.text
        assert (await client.get("/assets/index.js")).status_code == 404
    async with visiting(gallery_of(router(RIGHTS, tmp_path / missing))) as client:
        assert (await client.get("/")).status_code == 401
