"""The web application itself: files that `make web` builds, for those who may look at datasets and nobody else."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi import Path as InPath

from include.gallery.services import Rights

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
# The bundler puts the digest of a file's content into its name.
_HASHED: Final = re.compile(r".+-[\w\-]{8}\.\w+", re.ASCII)
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Custom Labels datasets</title></head>
<body><h1>The gallery&#8217;s pages were not built</h1>
<p>Run <code>make web</code> in the project, then reload this page.</p></body></html>
"""

AssetName = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=200)]


def router(rights: Rights, web: Path) -> APIRouter:
    """Routes ``/`` and ``/assets/{name}``.

    :param web: the folder of built files, which may be missing
    """
    pages = APIRouter(dependencies=[Depends(rights.read)])

    @pages.get("/")
    def index() -> Response:
        page = _read(web / "index.html")
        headers = {"Cache-Control": "no-store"}
        if page is None:
            return Response(_NOT_BUILT, 503, headers, media_type=_MEDIA_TYPES[".html"])
        return Response(page, 200, headers, media_type=_MEDIA_TYPES[".html"])

    @pages.get("/assets/{name}")
    def asset(name: AssetName) -> Response:
        media_type = _MEDIA_TYPES.get(Path(name).suffix)
        content = _read(web / "assets" / name) if media_type else None
        if content is None:
            raise HTTPException(404)
        kept = "private, max-age=31536000, immutable" if _HASHED.fullmatch(name) else "no-cache"
        return Response(content, 200, {"Cache-Control": kept}, media_type=media_type)

    return pages


def _read(path: Path) -> bytes | None:
    """A regular file's content; nothing is read through a symbolic link."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
