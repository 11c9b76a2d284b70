"""What a driver tells the crew: one run, or a part of one. Importable without Airflow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from include.custom_labels.risks import Risk
from include.object_store.holders import Holder

DAG_ID = "chaos"
ALL_RISKS = [risk.value for risk in Risk]

DatasetType = Literal["train", "test"]

DATASET_TYPES: Final[tuple[DatasetType, ...]] = ("train", "test")

PLANNING = "plan_registration"
"""The last task that looks at the dataset before the ones that may write to it."""

LAST = "summarize"

CLEARED = (PLANNING, "register", "publish_snapshot")
"""Tasks from which a run may be cleared."""

PART_TASKS = ("of_type", "built", "validated", PLANNING, "check_gate", "register", "publish_snapshot", LAST)
"""Tasks that a run has for each dataset that gets images, in their order."""


def task_id(dataset_type: str, task: str) -> str:
    """How a task of one dataset is called among all tasks of a run."""
    return f"{dataset_type}.{task}"


MINUTE_S = 0.05
"""How long a minute is for a run that waits for others."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or a part of one.

    :ivar source: tag of the import's request
    :ivar as_of: end of the run's data interval
    :ivar folder: of the history on this machine: XComs, Airflow's runs and asset events are below it
    :ivar dataset_types: in the order in which their tasks are carried out
    """

    source: str
    conf: dict[str, Any]
    run_id: str
    run_type: str
    as_of: datetime
    connection: str
    workspace: str
    folder: str
    dataset_types: tuple[DatasetType, ...] = ("train",)

    @property
    def xcoms(self) -> Path:
        return Path(self.folder, "xcoms", f"{self.run_id}.json")

    @property
    def events(self) -> Path:
        return Path(self.folder, "events.jsonl")


def airflow_state(folder: str, run_id: str) -> Path:
    """The file that says in which state Airflow has a run; it is missing where Airflow does not know the run."""
    return Path(folder, "airflow", run_id)


def waiting_file(folder: str, run_id: str) -> Path:
    """The file that says, once it is there, that a run waits for others."""
    return Path(folder, "waiting", run_id)


def has_ended(folder: str, holder: Holder) -> bool:
    """Whether Airflow says so of a run that holds a lease; one that it does not know was deleted.

    Of a save of the gallery, it has nothing to say.
    """
    if holder.dag_id != DAG_ID:
        return False
    state = airflow_state(folder, holder.run_id)
    return not state.exists() or state.read_text() in ("success", "failed")
