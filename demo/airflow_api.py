"""The few calls of Airflow's REST API that the demo and the end-to-end tests make."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from demo.errors import DemoError

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def unhealthy_components(base_url: str) -> list[str]:
    """Components that do not report ``healthy``; ``api_server`` alone while nothing answers."""
    try:
        answer = httpx.get(f"{base_url}/api/v2/monitor/health", timeout=5, trust_env=False)
        health = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return ["api_server"]
    return [name for name in COMPONENTS if (health.get(name) or {}).get("status") != "healthy"]


class AirflowApi:
    """A logged-in client. Every method raises `DemoError` with Airflow's own text when a call is refused."""

    def __init__(self, base_url: str, *, username: str, password: str) -> None:
        # Proxy settings are for the world outside; Airflow is on this machine.
        self._http = httpx.Client(base_url=base_url, timeout=60, trust_env=False)
        token = self._call("POST", "/auth/token", json={"username": username, "password": password})
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has parsed the Dag; raises `DemoError` when its file cannot be imported."""
        for failure in self._call("GET", "/api/v2/importErrors")["import_errors"]:
            if failure["filename"].endswith(f"{dag_id}.py"):
                raise DemoError(f"Airflow cannot import {failure['filename']}:\n{failure['stack_trace']}")
        return self._http.get(f"/api/v2/dags/{quote(dag_id)}").status_code == httpx.codes.OK

    def unpause(self, dag_id: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{quote(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> str:
        """Trigger a run as of now; its run id."""
        body = {"logical_date": None, "conf": dict(conf)}
        return str(self._call("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", json=body)["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task of a run and all that come after it, whatever their states, as the page of a run does."""
        body = {
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
            "dry_run": False,
        }
        self._call("POST", f"/api/v2/dags/{quote(dag_id)}/clearTaskInstances", json=body)

    def mark_failed(self, dag_id: str, run_id: str) -> None:
        """Set the state of a run, and of its tasks that have not ended, to ``failed``."""
        self._call("PATCH", self._run_path(dag_id, run_id), json={"state": "failed"})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run; Airflow refuses it for one that is running."""
        self._call("DELETE", self._run_path(dag_id, run_id))

    def add_connection(self, connection_id: str, fields: Mapping[str, object]) -> None:
        """Store a connection; ``fields`` are Airflow's, with ``extra`` as JSON."""
        self._call("POST", "/api/v2/connections", json={"connection_id": connection_id, **fields})

    def run_ids(self, dag_id: str) -> list[str]:
        """The newest hundred runs of the Dag, newest first."""
        parameters = {"limit": 100, "order_by": "-run_after"}
        page = self._call("GET", f"/api/v2/dags/{quote(dag_id)}/dagRuns", params=parameters)
        return [run["dag_run_id"] for run in page["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self._call("GET", self._run_path(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of the run, mapped ones included."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances"
        instances: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={"limit": 100, "offset": len(instances)})
            instances += page["task_instances"]
            if not page["task_instances"] or len(instances) >= page["total_entries"]:
                return instances

    def return_value(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What the task returned."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/return_value"
        return self._call("GET", path)["value"]

    def pool(self, name: str) -> dict[str, Any]:
        """A pool: its ``slots`` and whether deferred tasks keep theirs (``include_deferred``)."""
        return dict(self._call("GET", f"/api/v2/pools/{quote(name)}"))

    def question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a task that waits for a person asks."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/-1/hitlDetails"
        return dict(self._call("GET", path))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer what a task asks: ``Approve`` or ``Reject``."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/-1/hitlDetails"
        self._call("PATCH", path, json={"chosen_options": [option], "params_input": {}})

    def picture(self, path: str) -> bytes:
        """What Airflow shows at a path of its own, with the rights of whoever is logged in."""
        answer = self._http.get(path)
        answer.raise_for_status()
        return answer.content

    def log_lines(self, dag_id: str, run_id: str, instance: Mapping[str, Any]) -> list[str]:
        """The task instance's log, one message a line, with the text of its errors."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(instance['task_id'])}/logs"
        parameters = {"map_index": instance["map_index"], "full_content": True}
        content = self._call("GET", f"{path}/{instance['try_number']}", params=parameters)["content"]
        lines: list[str] = []
        for event in content:
            lines.append(event["event"] if isinstance(event, dict) else str(event))
            for error in (event.get("error_detail") or []) if isinstance(event, dict) else []:
                lines.append(f"{error['exc_type']}: {error['exc_value']}")
        return lines

    def _run_path(self, dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DemoError(f"Airflow did not answer {method} {path}: {error}") from error
        if answer.is_error:
            raise DemoError(f"Airflow refused {method} {path} ({answer.status_code}): {_reason(answer)}")
        return answer.json() if answer.content else None


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:2000]
    return detail if isinstance(detail, str) else str(detail)
