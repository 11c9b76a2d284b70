"""The first two steps of every import: check the request, then what it needs."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.sdk import get_current_context

from include.pipelines.access import AccessCheck, Outcome, raise_on_failure
from include.pipelines.requests import REQUEST_TYPES
from include.pipelines.runs import ImportRun, read_workspace
from include.pipelines.shard_size import seconds_per_shard
from include.pipelines.steps import step
from include.pipelines.summaries import render_access

ACCESS_KEY = "access"
"""XCom key of the access table, which is there also when the check fails."""

log = logging.getLogger(__name__)


@step
def validate_request(source: str) -> dict[str, Any]:
    """Check the parameters, unknown ones included, and fix the time that the run is as of."""
    context = get_current_context()
    run = ImportRun.of(REQUEST_TYPES[source], context["params"], context)
    # What is set wrong fails here, and not three tasks later.
    read_workspace()
    seconds_per_shard()
    place = "the source as it was then" if run.is_past else "the source as it is"
    log.info("Import from %s as of %s: %s", source, run.as_of.isoformat(), place)
    return run.to_json()


@step
def check_access(run: dict[str, Any]) -> dict[str, Any]:
    """Try with the smallest harmless calls what the run needs, before anything is read or written.

    Shows one table; each failure comes with the policy statement to paste.
    """
    import_run = ImportRun.from_json(run)
    check = AccessCheck(
        import_run.s3,
        import_run.rekognition,
        needs=import_run.access_needs,
        workspace=import_run.workspace.folder,
        project=import_run.request.project,
    )
    rows = list(check.rows())
    log.info("\n%s", render_access(rows))
    for row in rows:
        if row.outcome is Outcome.FAIL:
            statements = "".join(f"\n{json.dumps(statement, indent=2)}" for statement in row.statements)
            log.error("%s (%s): %s %s%s", row.check, row.code, row.detail, row.next_step, statements)
    get_current_context()["ti"].xcom_push(key=ACCESS_KEY, value=[row.to_json() for row in rows])
    raise_on_failure(rows)
    return {row.check: row.detail for row in rows}
