"""Registers the gallery with Airflow; everything else is in `include/gallery`.

Airflow executes this file in every task process as well, so that it imports nothing that takes time.
"""

from __future__ import annotations

from pathlib import Path

from airflow.plugins_manager import AirflowPlugin

from include.gallery.addresses import MOUNT, PAGES, RUN_PAGE
from include.gallery.lazy_app import AsgiApp, LazyApp


def build_gallery() -> AsgiApp:
    """The gallery with Airflow's own rights, connections and runs."""
    from airflow.configuration import AIRFLOW_HOME

    from include.gallery.app import create_app
    from include.pipelines.gallery_rights import airflow_origins, airflow_rights
    from include.pipelines.gallery_services import AirflowServices

    folder = Path(AIRFLOW_HOME) / "custom_labels_gallery"
    return create_app(services=AirflowServices(), rights=airflow_rights(), folder=folder, origins=airflow_origins)


class GalleryPlugin(AirflowPlugin):
    """The web application of this project, an entry of the menu, and a tab on every Dag run.

    Addresses are relative to Airflow's own, whatever path it has; Airflow puts the ids into them.
    """

    name = "custom_labels_gallery"
    fastapi_apps = [{"app": LazyApp(build_gallery), "name": "Custom Labels datasets", "url_prefix": MOUNT}]
    external_views = [
        {
            "name": "Custom Labels",
            "href": PAGES,
            "destination": "nav",
            "url_route": "custom-labels",
            "icon": f"{PAGES}assets/custom-labels-light.svg",
            "icon_dark_mode": f"{PAGES}assets/custom-labels-dark.svg",
            "nav_top_level": True,
        },
        {
            "name": "Dataset changes",
            "href": RUN_PAGE,
            "destination": "dag_run",
            "url_route": "dataset-changes",
        },
    ]
