"""Who works on a dataset, or has worked on it."""

from __future__ import annotations

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """The Dag run that works on the dataset, or a save of the gallery, whose ``dag_id`` names the gallery.

    :ivar airflow: names the Airflow installation, which alone knows whether the run has ended
    """

    dag_id: str
    run_id: str
    airflow: str = ""
