"""What the person sees at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.imports import FinishedImport
from demo.settings import PROJECT_ROOT

LOG_TAIL_LINES = 15


def print_import(console: Console, s3_folder: str, imported: FinishedImport) -> None:
    """Images per label, states of the ledger, samples of what needs a person, and where everything is."""
    result = imported.result
    console.print()
    _print_counts(console, "Images per label", "label", result["images_per_label"])
    _print_counts(console, "Objects by state", "state", result["states"])
    for problem in result["problems"]:
        samples = ", ".join(sample["key"] for sample in problem["samples"])
        _print_line(console, f"{problem['state']} {problem['reason']} ({problem['count']:,}): {samples}")
        _print_line(console, f"  {problem['what_to_do']}")
    if result["findings"]:
        findings = ", ".join(f"{code} {count:,}" for code, count in result["findings"].items())
        _print_line(console, f"Findings in the manifest: {findings}")
    console.print()
    places = {
        "S3 folder": s3_folder,
        "Dataset": result["dataset_arn"],
        "Manifest": result["manifest_uri"],
        "Ledger": result["ledger_uri"],
        "Summary": result["summary_uri"],
        "Run": imported.run_url,
    }
    for name, value in places.items():
        _print_line(console, f"{name:<12} {value}")


def print_other_imports(console: Console, imports: Mapping[str, FinishedImport]) -> None:
    """One line for each of the other import sources, and where its run is."""
    table = Table(title="The other import sources", title_justify="left")
    table.add_column("source")
    table.add_column("project")
    for name in ("images", "labels"):
        table.add_column(name, justify="right")
    table.add_column("states", overflow="fold")
    for source, imported in imports.items():
        result = imported.result
        states = ", ".join(f"{state} {count:,}" for state, count in result["states"].items())
        images = sum(count for state, count in result["states"].items() if state in ("registered", "unlabelled"))
        table.add_row(source, result["project"], f"{images:,}", f"{len(result['images_per_label']):,}", states)
    console.print()
    console.print(table)
    for source, imported in imports.items():
        _print_line(console, f"{source}: {imported.run_url}")


def print_log_tail(console: Console, log: Path) -> None:
    """The last lines of a service's log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    except FileNotFoundError:
        return
    console.print(f"The end of {shown_path(log)}:")
    for line in lines:
        _print_line(console, f"  {line}")


def shown_path(path: Path) -> str:
    """The path as short as it can be said from the project's folder."""
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def _print_counts(console: Console, title: str, column: str, counts: dict[str, int]) -> None:
    if not counts:
        return
    table = Table(title=title, title_justify="left")
    table.add_column(column, overflow="fold")
    table.add_column("images" if column == "label" else "objects", justify="right")
    for name, count in counts.items():
        table.add_row(Text(name), f"{count:,}")
    console.print(table)


def _print_line(console: Console, text: str) -> None:
    # A terminal's width must not cut an address in two, nor a key be taken for markup.
    console.print(text, markup=False, highlight=False, soft_wrap=True)
