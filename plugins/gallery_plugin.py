"""Registers the gallery with Airflow; everything else is in `include/gallery`.

Airflow executes this file in every task process as well, so that it imports nothing that takes time.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.gallery.addresses import MOUNT
from include.gallery.lazy_app import AsgiApp, LazyApp


def build_gallery() -> AsgiApp:
    """The gallery with Airflow's own rights: who may read what a run of the Dag asks people sees its pictures too."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag

    from include.gallery.app import create_app
    from include.pipelines.sample_store import RunSamples

    # `param_dag_id` would be the id itself; without it, the id is taken from the path.
    may_read_dag = requires_access_dag(method="GET", access_entity=DagAccessEntity.HITL_DETAIL)
    return create_app(samples=RunSamples(), may_read_dag=may_read_dag)


class GalleryPlugin(AirflowPlugin):
    """The web application of this project."""

    name = "custom_labels_gallery"
    fastapi_apps = [{"app": LazyApp(build_gallery), "name": "Custom Labels datasets", "url_prefix": MOUNT}]  # noqa: RUF012
