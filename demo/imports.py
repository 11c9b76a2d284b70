"""One run of an import Dag, from the trigger to its result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from demo.airflow_api import AirflowApi
from demo.errors import DemoError
from demo.processes import wait_until

PARSE_DEADLINE_S = 120.0
RUN_DEADLINE_S = 3600.0
SUMMARY_TASK = "train.summarize"
WAITING_TASK_STATE = "awaiting_input"
FINAL_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What to trigger."""

    dag_id: str
    conf: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedImport:
    """A finished import. ``result`` is what the Dag's last task returned."""

    dag_id: str
    run_url: str
    result: dict[str, Any]


class ImportRecord:
    """The last finished import of each source and place, in ``imports.json`` of the demo's folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "imports.json"

    def find(self, place: str) -> FinishedImport | None:
        row = self._rows().get(place)
        return FinishedImport(**row) if row else None

    def add(self, place: str, imported: FinishedImport) -> None:
        self._write({**self._rows(), place: asdict(imported)})

    def forget(self, place: str) -> None:
        rows = self._rows()
        if rows.pop(place, None):
            self._write(rows)

    def _rows(self) -> dict[str, dict[str, Any]]:
        try:
            return dict(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            return {}

    def _write(self, rows: Mapping[str, dict[str, Any]]) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(rows, indent=2, ensure_ascii=False))
        draft.replace(self._file)


def project_name(folder_name: str) -> str:
    """The nearest project name AWS allows: letters, digits, ``_``, ``.`` and ``-``, at most 255 of them."""
    return re.sub(r"[^a-zA-Z0-9_.\-]+", "-", folder_name)[:255].strip("-") or "images"


def run_url(base_url: str, dag_id: str, run_id: str) -> str:
    """The run's page in Airflow."""
    return f"{base_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def run_import(airflow: AirflowApi, wanted: Import, *, base_url: str, say: Callable[[str], None]) -> FinishedImport:
    """Trigger an import, tell of each task as it ends, and return the finished import.

    :raises DemoError: when the Dag cannot be imported, the run is refused, fails or takes over an hour.
    """
    return follow_import(airflow, wanted, trigger_import(airflow, wanted), base_url=base_url, say=say)


def trigger_import(airflow: AirflowApi, wanted: Import) -> str:
    """Trigger an import; its run id.

    :raises DemoError: when the Dag cannot be imported, or the run is refused.
    """
    dag_id = wanted.dag_id
    if not wait_until(lambda: airflow.has_dag(dag_id), deadline_s=PARSE_DEADLINE_S, interval_s=1.0):
        raise DemoError(f"Airflow did not find the Dag {dag_id} within {PARSE_DEADLINE_S:.0f} seconds.")
    airflow.unpause(dag_id)
    return airflow.trigger(dag_id, wanted.conf)


def follow_import(
    airflow: AirflowApi, wanted: Import, run_id: str, *, base_url: str, say: Callable[[str], None]
) -> FinishedImport:
    """Tell of each task of a run as it ends, and return the finished import.

    :raises DemoError: when the run fails or takes over an hour.
    """
    url = run_url(base_url, wanted.dag_id, run_id)
    say(f"Importing: {url}")
    state = _follow(airflow, wanted.dag_id, run_id, url, say)
    if state != "success":
        raise DemoError(f"The import did not succeed ({state}). {_reason(airflow, wanted.dag_id, run_id)}\nMore: {url}")
    result = airflow.return_value(wanted.dag_id, run_id, SUMMARY_TASK)
    return FinishedImport(dag_id=wanted.dag_id, run_url=url, result=result)


def _follow(airflow: AirflowApi, dag_id: str, run_id: str, url: str, say: Callable[[str], None]) -> str:
    told: set[str] = set()
    asked: set[str] = set()

    def ended() -> bool:
        state = airflow.run_state(dag_id, run_id)
        instances = airflow.task_instances(dag_id, run_id)
        for instance in sorted(instances, key=lambda instance: instance["end_date"] or "9999"):
            if instance["state"] in FINAL_TASK_STATES and instance["id"] not in told:
                told.add(instance["id"])
                shard = f" [{instance['map_index']}]" if instance["map_index"] >= 0 else ""
                took = f"{instance['duration']:.1f} s" if instance["duration"] is not None else ""
                say(f"  {instance['task_id'] + shard:<32} {instance['state']:<16} {took}")
            if instance["state"] == WAITING_TASK_STATE and instance["id"] not in asked:
                asked.add(instance["id"])
                say(f"  {instance['task_id']} waits for you: {url}/tasks/{instance['task_id']}/required_actions")
        return state in {"success", "failed"}

    if not wait_until(ended, deadline_s=RUN_DEADLINE_S, interval_s=1.0):
        raise DemoError(f"The run {run_id} still goes on after {RUN_DEADLINE_S / 60:.0f} minutes.")
    return airflow.run_state(dag_id, run_id)


def _reason(airflow: AirflowApi, dag_id: str, run_id: str) -> str:
    failed = [task for task in airflow.task_instances(dag_id, run_id) if task["state"] == "failed"]
    if not failed:
        return "No task says why."
    first = min(failed, key=lambda task: task["end_date"] or "")
    lines = [line for line in airflow.log_lines(dag_id, run_id, first) if line.strip()]
    return "\n".join([f"The task {first['task_id']} failed; the end of its log:", *lines[-8:]])
