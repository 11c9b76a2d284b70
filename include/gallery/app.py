"""The gallery: a web application that Airflow's API server mounts, and that knows no Airflow.

Airflow does not ask who calls a mounted application. Every route therefore depends on one of the `Rights`, which come
from whoever mounts the gallery, and which answer before anything is read; `include.gallery.guard` stands before all of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from include.gallery import pages
from include.gallery.datasets import Datasets
from include.gallery.guard import Guard, WriteLimits
from include.gallery.image_places import CatalogPlaces
from include.gallery.pictures import Pictures
from include.gallery.problems import answer_problems
from include.gallery.routes import (
    comparison,
    datasets,
    downloads,
    images,
    pictures,
    runs,
    samples,
    saves,
    session,
    uploads,
)
from include.gallery.saves import Saves
from include.gallery.services import Rights, Services

WEB: Final = Path(__file__).parent / "web" / "dist"
"""The pages, as ``make web`` builds them."""


def create_app(
    *,
    services: Services,
    rights: Rights,
    folder: Path,
    origins: Callable[[], Collection[str]] = tuple,
    web: Path = WEB,
) -> FastAPI:
    """The gallery as an application to mount at `include.gallery.addresses.MOUNT`.

    :param folder: on local disk, for indexes of datasets; may be shared by the processes of one machine
    :param origins: other origins at which browsers reach it, such as ``https://airflow.example.com`` behind a proxy
    :param web: the folder of the built pages
    """
    # The pages of an API's description would be open to everybody.
    app = FastAPI(title="Custom Labels datasets", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, origins=origins)
    answer_problems(app)

    known = Datasets(services, folder)
    places = CatalogPlaces(known)
    drawn = Pictures(services.s3)
    limits = WriteLimits(rights)
    for router in (
        pages.router(rights, web),
        session.router(rights),
        datasets.router(known, rights),
        images.router(known, rights, places.orientation_of),
        pictures.router(rights, places, drawn),
        comparison.router(known, rights),
        downloads.router(known, rights),
        runs.router(services, rights),
        samples.router(services, rights),
        saves.router(rights, Saves(known), limits),
        uploads.router(services, rights, drawn, limits),
    ):
        app.include_router(router)
    return app
