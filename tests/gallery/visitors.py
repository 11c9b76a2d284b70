"""People who come to the gallery, and the gallery in front of which they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, HTTPException, Request

from include.gallery.guard import Guard
from include.gallery.messages import ImportSource
from include.gallery.problems import answer_problems
from include.gallery.services import Rights

ORIGIN = "http://gallery"
ANONYMOUS: dict[str, str] = {}
VIEWER = {"authorization": "viewer"}
EDITOR = {"authorization": "editor"}
WRITE = {"origin": ORIGIN, "x-custom-labels": "1", "content-type": "application/json"}
"""What the gallery's own page sends with what changes something."""

SOURCE = ImportSource(dag_id="import_s3_folder", title="Amazon S3 bucket", description="", can_trigger=True)


def user(request: Request) -> str:
    """The header names the caller, as a cookie would."""
    name = request.headers.get("authorization", "")
    if not name:
        raise HTTPException(401)
    return name


def read(request: Request) -> None:
    if user(request).partition("-")[0] not in ("viewer", "editor"):
        raise HTTPException(403)


def can_write(request: Request) -> bool:
    return user(request).partition("-")[0] == "editor"


def write(request: Request) -> None:
    if not can_write(request):
        raise HTTPException(403)


def sources(request: Request) -> list[ImportSource]:
    return [SOURCE] if can_write(request) else []


RIGHTS = Rights(read=read, write=write, read_run=read, user=user, can_write=can_write, sources=sources)


def gallery_of(*routers: APIRouter, origins: Collection[str] = ()) -> FastAPI:
    """An application of some of the gallery's routers."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, origins=lambda: origins)
    answer_problems(app)
    for router in routers:
        app.include_router(router)
    return app


@asynccontextmanager
async def visiting(app: FastAPI, **headers: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that sends these headers, with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=named) as client:
        yield client
