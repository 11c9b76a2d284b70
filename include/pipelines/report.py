"""``report.html`` of a snapshot: one page that needs nothing but itself, to keep, to send and to print.

It has no script and asks no other place for anything; its own Content-Security-Policy says so to the browser. Keys,
labels and details are hostile text: Jinja escapes all of it, and what cannot be seen is written out
(`include.custom_labels.visible_text`). The page has no time of its own: the same report gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from include.custom_labels.codes import Code
from include.custom_labels.visible_text import visible_runs
from include.pipelines.snapshot_report import DIFFERENCES, SnapshotReport

TEMPLATE = "report.html.jinja"

_DONE = {
    "create": "The dataset was created.",
    "recreate": "The dataset had failed to be created; it was deleted and created again.",
    "update": "The dataset was updated; no image was removed from it.",
    "replace": "The dataset was exported, deleted and created again without the images that are gone.",
    "unchanged": "The dataset has this content already; nothing was sent.",
    "build_only": "Manifest and ledger were built and validated; the project was left as it is.",
    "superseded": "The dataset is registered as of a later time already; nothing was sent.",
}
_BAR_WIDTH = 1000
_CODE = re.compile(r"`([^`]+)`")


class LabelBar(NamedTuple):
    """One label of the bar chart.

    :ivar before: images before, None where nothing was registered
    :ivar bar: length, of `_BAR_WIDTH`
    :ivar mark: where the bar ended before
    :ivar of_source: images that the source alone says; None where the dataset has as many
    """

    label: str
    images: int
    before: int | None
    bar: int
    mark: int | None
    of_source: int | None = None


def render_report(report: SnapshotReport) -> str:
    """The report as an HTML page."""
    return _template().render(
        report=report,
        done=_DONE.get(report.action, report.action),
        bars=label_bars(report.images_per_label, report.images_per_label_before, report.images_per_label_of_source),
        differences=DIFFERENCES,
        findings=[(_code(code), code, total) for code, total in report.findings.items()],
        provenance=list(_flat(report.provenance)),
        bar_width=_BAR_WIDTH,
    )


def label_bars(
    images: Mapping[str, int], before: Mapping[str, int] | None, of_source: Mapping[str, int] | None = None
) -> list[LabelBar]:
    """The labels of all sides, those with the most images first; labels that the dataset does not have have none."""
    longest = max([*images.values(), *(before or {}).values(), 1])

    def length(count: int) -> int:
        return round(count * _BAR_WIDTH / longest)

    def bar(label: str) -> LabelBar:
        now, then = images.get(label, 0), None if before is None else before.get(label, 0)
        said = now if of_source is None else of_source.get(label, 0)
        mark = None if then is None else length(then)
        return LabelBar(label, now, then, length(now), mark, None if said == now else said)

    labels = images.keys() | (before or {}).keys() | (of_source or {}).keys()
    return sorted(map(bar, labels), key=lambda each: (-each.images, each.label))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "signed": _signed, "shown": _shown, "words": _words}
    return environment.get_template(TEMPLATE)


def _number(value: float) -> str:
    return f"{value:,}"


def _signed(value: int) -> str:
    return f"{value:+,}".replace("-", "−")


def _shown(text: object) -> Markup:
    """Foreign text; what cannot be seen is written out and set apart, and its direction turns nothing else around."""
    runs = (
        Markup('<span class="hidden">{}</span>').format(run) if is_written_out else escape(run)
        for run, is_written_out in visible_runs(str(text))
    )
    return Markup('<bdi class="text">{}</bdi>').format(Markup("").join(runs))


def _words(text: str) -> Markup:
    """Our own sentences, in which code stands between backticks."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped just now)


def _code(code: str) -> Code | None:
    return Code.__members__.get(code)


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a JSON document with the names on the way to them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{at}" if name else str(at))
    elif value is not None:
        yield name, str(value)
