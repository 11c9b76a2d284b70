"""What the person sees at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.folder_import import ImportedFolder
from demo.settings import PROJECT_ROOT

LOG_TAIL_LINES = 15


def print_import(console: Console, imported: ImportedFolder) -> None:
    """Images per label, states of the ledger, samples of what was found, and where everything is."""
    result = imported.result
    console.print()
    _print_counts(console, "Images per label", "label", result.get("images_per_label"))
    _print_counts(console, "Objects by state", "state", result.get("states"))
    for finding in result.get("findings") or ():
        console.print(f"  {_finding(finding)}", markup=False, highlight=False, soft_wrap=True)
    places = Table(box=None, show_header=False, title="Where it is", title_justify="left")
    places.add_column(no_wrap=True)
    places.add_column(overflow="fold")
    rows = {
        "S3 folder": imported.s3_folder,
        "Dataset": result.get("dataset_arn"),
        "Manifest": result.get("manifest_uri"),
        "Ledger": result.get("ledger_uri"),
        "Summary": result.get("summary_uri"),
        "Run in Airflow": imported.run_url,
    }
    for name, value in rows.items():
        if value:
            places.add_row(name, str(value))
    console.print(places, highlight=False, soft_wrap=True)


def print_log_tail(console: Console, log: Path) -> None:
    """The last lines of a service's log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    except FileNotFoundError:
        return
    console.print(f"The end of {shown_path(log)}:")
    for line in lines:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def shown_path(path: Path) -> str:
    """The path as short as it can be said from the project's folder."""
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def _print_counts(console: Console, title: str, column: str, counts: dict[str, int] | None) -> None:
    if not counts:
        return
    table = Table(title=title, title_justify="left")
    table.add_column(column, overflow="fold")
    table.add_column("images" if column == "label" else "objects", justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    console.print(table)


def _finding(finding: Any) -> str:
    if not isinstance(finding, dict):
        return str(finding)
    return "  ".join(str(value) for value in finding.values() if value not in (None, ""))
