"""The difference between two snapshots, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.custom_labels.diff import DIFFERENCES, Difference, DiffSample, SnapshotDiff
from include.custom_labels.visible_text import visible

_WIDTH: Final = 118
_LABELS_SHOWN: Final = 20
_SAMPLES_SHOWN: Final = 5
_NOT_KNOWN: Final = "not known"


def render(diff: SnapshotDiff) -> str:
    """Totals, the labels whose number of images is another, and the first images of each kind of difference.

    Keys and labels are printed with their control characters escaped.
    """
    return _tables(diff) + "".join(f"{line}\n" for line in _lines(diff))


def _totals(diff: SnapshotDiff) -> dict[Difference, int | None]:
    totals = (diff.added, diff.removed, diff.changed, diff.relabelled, diff.moved)
    return dict(zip(DIFFERENCES, totals, strict=True))


def _tables(diff: SnapshotDiff) -> str:
    images = Table("", title="Images", title_justify="left")
    images.add_column("images", justify="right")
    images.add_row("before", f"{diff.images_before:,}")
    images.add_row("after", f"{diff.images_after:,}", end_section=True)
    for difference, total in _totals(diff).items():
        images.add_row(difference, _NOT_KNOWN if total is None else f"{total:,}")
    labels = Table("label", title="Images per label", title_justify="left")
    labels.columns[0].overflow, labels.columns[0].max_width = "ellipsis", 60
    for name in ("before", "after"):
        labels.add_column(name, justify="right")
    moved = [(label, count) for label, count in diff.labels.items() if count.before != count.after]
    moved.sort(key=lambda item: (-abs(item[1].after - item[1].before), item[0]))
    for label, count in moved[:_LABELS_SHOWN]:
        labels.add_row(Text(visible(label)), f"{count.before:,}", f"{count.after:,}")
    if len(moved) > _LABELS_SHOWN:
        labels.add_row(f"… and {len(moved) - _LABELS_SHOWN} more", "", "")
    console = Console(width=_WIDTH, no_color=True, legacy_windows=False, force_terminal=False)
    with console.capture() as captured:
        console.print(images)
        if moved:
            console.print(labels)
    return captured.get()


def _lines(diff: SnapshotDiff) -> Iterator[str]:
    """Lines and not a table: an address that is broken up cannot be copied."""
    if diff.not_compared:
        yield f"{diff.not_compared:,} images could not be compared by their bytes: a ledger does not have their ETag."
    for name, labels in (("appeared", diff.labels_appeared), ("vanished", diff.labels_vanished)):
        if labels:
            more = f" and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
            yield f"labels {name}: {', '.join(repr(label) for label in labels[:_LABELS_SHOWN])}{more}"
    for difference, total in _totals(diff).items():
        samples = diff.samples[difference][:_SAMPLES_SHOWN]
        if not total:
            continue
        yield f"{difference}:"
        yield from (f"  {_sample(difference, sample)}" for sample in samples)
        if total > len(samples):
            yield f"  … {total - len(samples):,} more"


def _sample(difference: Difference, sample: DiffSample) -> str:
    before, after = visible(sample.before), visible(sample.after)
    if difference == "moved":
        return f"{before} → {after}"
    said = " → ".join(filter(None, (before, after)))
    return f"{visible(sample.image)}  {said}"
