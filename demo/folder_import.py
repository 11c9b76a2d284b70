"""One run of the Dag `import_s3_folder`, from the trigger to its result."""

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

DAG_ID = "import_s3_folder"
SUMMARY_TASK = "summarize"
PARSE_DEADLINE_S = 120.0
RUN_DEADLINE_S = 3600.0
FINAL_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFolder:
    """A finished import. ``result`` is what the Dag's last task returned."""

    run_url: str
    result: dict[str, Any]


class ImportRecord:
    """The last finished import of each S3 folder, in ``imports.json`` of the demo's folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "imports.json"

    def find(self, s3_folder: str) -> ImportedFolder | None:
        row = self._rows().get(s3_folder)
        return ImportedFolder(**row) if row else None

    def add(self, s3_folder: str, imported: ImportedFolder) -> None:
        self._write({**self._rows(), s3_folder: asdict(imported)})

    def forget(self, s3_folder: str) -> None:
        rows = self._rows()
        if rows.pop(s3_folder, None):
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


def run_url(base_url: str, run_id: str) -> str:
    """The run's page in Airflow."""
    return f"{base_url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"


def import_folder(
    airflow: AirflowApi, conf: Mapping[str, object], *, base_url: str, say: Callable[[str], None]
) -> ImportedFolder:
    """Trigger the Dag with ``conf``, tell of each task as it ends, and return the finished import.

    :raises DemoError: when the Dag cannot be imported, the run is refused, fails or takes over an hour.
    """
    if not wait_until(lambda: airflow.has_dag(DAG_ID), deadline_s=PARSE_DEADLINE_S, interval_s=1.0):
        raise DemoError(f"Airflow did not find the Dag {DAG_ID} within {PARSE_DEADLINE_S:.0f} seconds.")
    airflow.unpause(DAG_ID)
    run_id = airflow.trigger(DAG_ID, conf)
    url = run_url(base_url, run_id)
    say(f"Importing: {url}")
    state = _follow(airflow, run_id, say)
    if state != "success":
        raise DemoError(f"The import did not succeed ({state}). {_reason(airflow, run_id)}\nMore: {url}")
    result = airflow.return_value(DAG_ID, run_id, SUMMARY_TASK)
    return ImportedFolder(run_url=url, result=result)


def _follow(airflow: AirflowApi, run_id: str, say: Callable[[str], None]) -> str:
    told: set[str] = set()

    def ended() -> bool:
        state = airflow.run_state(DAG_ID, run_id)
        instances = airflow.task_instances(DAG_ID, run_id)
        for instance in sorted(instances, key=lambda instance: instance["end_date"] or "9999"):
            if instance["state"] in FINAL_TASK_STATES and instance["id"] not in told:
                told.add(instance["id"])
                shard = f" [{instance['map_index']}]" if instance["map_index"] >= 0 else ""
                took = f"{instance['duration']:.1f} s" if instance["duration"] is not None else ""
                say(f"  {instance['task_id'] + shard:<32} {instance['state']:<16} {took}")
        return state in {"success", "failed"}

    if not wait_until(ended, deadline_s=RUN_DEADLINE_S, interval_s=1.0):
        raise DemoError(f"The run {run_id} still goes on after {RUN_DEADLINE_S / 60:.0f} minutes.")
    return airflow.run_state(DAG_ID, run_id)


def _reason(airflow: AirflowApi, run_id: str) -> str:
    failed = [task for task in airflow.task_instances(DAG_ID, run_id) if task["state"] == "failed"]
    if not failed:
        return "No task says why."
    first = min(failed, key=lambda task: task["end_date"] or "")
    lines = [line for line in airflow.log_lines(DAG_ID, run_id, first) if line.strip()]
    return "\n".join([f"The task {first['task_id']} failed; the end of its log:", *lines[-8:]])
