"""What a driver tells the crew: one run, or a part of one. Importable without Airflow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from include.custom_labels.risks import Risk
from include.object_store.holders import Holder

DAG_ID = "chaos"
ALL_RISKS = [risk.value for risk in Risk]

PLANNING = "plan_registration"
"""The last task that looks at the dataset before the ones that may write to it."""

CLEARED = (PLANNING, "register", "publish_snapshot")
"""Tasks from which a run may be cleared."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or a part of one.

    :ivar source: tag of the import's request
    :ivar as_of: end of the run's data interval
    :ivar folder: of the history on this machine: XComs, Airflow's runs and asset events are below it
    :ivar cleared_from: a task that is carried out again, and all after it
    """

    source: str
    conf: dict[str, Any]
    run_id: str
    run_type: str
    as_of: datetime
    connection: str
    workspace: str
    folder: str
    cleared_from: str = ""

    @property
    def xcoms(self) -> Path:
        return Path(self.folder, "xcoms", f"{self.run_id}.json")

    @property
    def events(self) -> Path:
        return Path(self.folder, "events.jsonl")


def airflow_state(folder: str, run_id: str) -> Path:
    """The file that says in which state Airflow has a run; it is missing where Airflow does not know the run."""
    return Path(folder, "airflow", run_id)


def has_ended(folder: str, holder: Holder) -> bool:
    """Whether Airflow says so of a run that holds a lease; one that it does not know was deleted.

    Of a save of the gallery, it has nothing to say.
    """
    if holder.dag_id != DAG_ID:
        return False
    state = airflow_state(folder, holder.run_id)
    return not state.exists() or state.read_text() in ("success", "failed")
