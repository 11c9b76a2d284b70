"""The last task's one screen: what came of the import, what needs a person, and where everything is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from airflow.sdk import get_current_context
from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.ledger import AT_FAULT, State
from include.custom_labels.visible_text import visible
from include.pipelines.access import AccessRow
from include.pipelines.publication import acknowledge
from include.pipelines.registration import Plan
from include.pipelines.reporting import departures_of
from include.pipelines.runs import ImportRun
from include.pipelines.steps import seconds_of, step

_WIDTH = 118
_LABELS_SHOWN = 20
_SAMPLES_SHOWN = 2

log = logging.getLogger(__name__)


@step
def summarize(
    run: dict[str, Any],
    built: dict[str, Any],
    validated: dict[str, Any],
    reconciled: dict[str, Any],
    published: dict[str, Any],
) -> dict[str, Any]:
    """Show the outcome on one screen of the task's log, and leave it as this task's XCom.

    Fails where the service dropped images that were sent to it, once everything about them has been said.
    """
    import_run = ImportRun.from_json(run)
    summary = {
        "project": import_run.request.project,
        "dataset_type": import_run.request.dataset_type,
        "action": reconciled["plan"]["action"],
        "dataset_arn": reconciled["dataset_arn"],
        "as_of": import_run.as_of.isoformat(),
        **published,
        "images_per_label": reconciled["images_per_label"],
        "images_per_label_of_source": reconciled["images_per_label_of_source"],
        "states": reconciled["states"],
        "problems": [row for row in reconciled["reasons"] if row["state"] in AT_FAULT],
        "findings": validated["totals"],
        "departures": msgspec.to_builtins(departures_of(msgspec.convert(reconciled["plan"], Plan))),
        # What publishing it knew, and what has ended since.
        "timings": published["timings"] | seconds_of(sorted(get_current_context()["task"].upstream_task_ids)),
    }
    log.info("\n%s", render(summary, reconciled["reasons"]))
    # The event of the task before is on its way now.
    acknowledge(import_run, published["snapshot_id"])
    dropped = reconciled["states"].get(State.DROPPED, 0)
    if dropped:
        raise DatasetConflictError(
            "IMAGES_DROPPED",
            f"{dropped:,} of the {built['lines']:,} images that were sent are not usable in the dataset.",
            f"The ledger names each: {published['ledger_uri']}. Mend them and run again.",
            dropped=dropped,
        )
    return summary


def render(summary: Mapping[str, Any], reasons: Iterable[Mapping[str, Any]]) -> str:
    """The summary as text tables."""
    images, of_source = summary["images_per_label"], summary.get("images_per_label_of_source")
    if of_source == images:
        of_source = None
    names = images.keys() | (of_source or {}).keys()
    labels = sorted(((name, images.get(name, 0)) for name in names), key=lambda item: (-item[1], item[0]))
    per_label = Table(title="Images per label", title_justify="left")
    per_label.add_column("label", overflow="ellipsis", max_width=60)
    per_label.add_column("images", justify="right")
    if of_source is not None:
        per_label.add_column("source, where it differs", justify="right")
    for label, count in labels[:_LABELS_SHOWN]:
        said = count if of_source is None else of_source.get(label, 0)
        per_label.add_row(
            Text(label), f"{count:,}", *([] if of_source is None else [f"{said:,}" if said != count else ""])
        )
    if len(labels) > _LABELS_SHOWN:
        rest = labels[_LABELS_SHOWN:]
        per_label.add_row(f"… and {len(rest)} more", f"{sum(count for _, count in rest):,}")
    states = Table(title="Ledger", title_justify="left")
    for name in ("state", "reason"):
        states.add_column(name, no_wrap=True)
    states.add_column("objects", justify="right")
    states.add_column("first of them", overflow="fold")
    for row in reasons:
        samples = ", ".join(_sample(sample) for sample in row["samples"][:_SAMPLES_SHOWN])
        states.add_row(row["state"], row["reason"], f"{row['count']:,}", Text(samples))
    places = [
        ("action", summary["action"]),
        ("dataset", summary["dataset_arn"] or "not registered"),
        ("as of", summary["as_of"]),
        ("snapshot", summary["snapshot_id"]),
        ("manifest", summary["manifest_uri"]),
        ("ledger", summary["ledger_uri"]),
        ("summary", summary["summary_uri"]),
        ("report", summary["report_uri"]),
        ("findings", ", ".join(f"{code} {total:,}" for code, total in summary["findings"].items()) or "none"),
        *_departures(summary.get("departures")),
        ("seconds", ", ".join(f"{name} {seconds:g}" for name, seconds in summary["timings"].items())),
    ]
    # Lines and not a table: an address that is broken up cannot be copied.
    lines = "".join(f"{name:>9}  {value}\n" for name, value in places)
    return _text(per_label, states) + lines


def _departures(departures: Mapping[str, int] | None) -> list[tuple[str, str]]:
    """What is not where it was, of an `include.pipelines.snapshot_report.Departures` as JSON."""
    if departures is None:
        return []
    said = (
        ("removed", "removed"),
        ("moved", "moved"),
        ("kept_aside", "removed earlier, with people's work kept aside"),
    )
    lines = [("gone", ", ".join(f"{departures[name]:,} {words}" for name, words in said))]
    if gave_way := departures.get("gave_way"):
        lines.append(("gave way", f"{gave_way:,} earlier entries of people to later ones: see entries.manifest"))
    return lines


def _sample(sample: Mapping[str, str]) -> str:
    key = visible(sample["key"])
    return f"{key} ({visible(sample['detail'])})" if sample["detail"] else key


def render_access(rows: Iterable[AccessRow]) -> str:
    """The access table as text."""
    table = Table(title="Access check", title_justify="left")
    for name in ("check", "outcome"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("found", overflow="fold")
    for row in rows:
        table.add_row(row.check, row.outcome, Text(row.subject), Text(row.detail))
    return _text(table)


def _text(*tables: Table) -> str:
    console = Console(width=_WIDTH, no_color=True, legacy_windows=False, force_terminal=False)
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    return captured.get()
