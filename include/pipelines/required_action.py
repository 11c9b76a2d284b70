"""What a person reads in Airflow's Required Actions before a dataset changes: a headline, and a page of Markdown.

Airflow renders GitHub's Markdown without HTML, and without addresses other than web addresses. Keys, labels and
details are hostile text: they stand in code spans, in which Markdown knows no markup and makes no links by itself.
The page is short enough for a database column and for a person: totals are true, samples are the first few, and
those that would make it longer than `MAX_BODY_BYTES` are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from include.custom_labels.visible_text import shortened, visible
from include.pipelines.snapshot_report import (
    DIFFERENCES,
    MOVED,
    BaseDifference,
    ImageChange,
    RiskRow,
    SampleImage,
    SnapshotReport,
)

MAX_BODY_BYTES = 20_000

_SHOWN_CHARACTERS = 120
_DETAIL_CHARACTERS = 240
_ADDRESS_CHARACTERS = 1200
_SAMPLES_PER_RISK = 5
_SAMPLES_PER_KIND = 8
_LABELS_SHOWN = 10
_PICTURES_PER_ROW = 3
# Code does not break within a cell.
_CAPTION_CHARACTERS = 40

_VERBS = {"create": "Create", "recreate": "Create", "update": "Update", "replace": "Replace"}
_INTENTIONS = {
    "create": "The dataset would be created.",
    "recreate": "The dataset failed to be created before; it would be deleted and created again.",
    "update": "The dataset would be updated; no image would be removed from it.",
    "replace": (
        "The dataset would be replaced: exported, deleted and created again without the images that are gone, "
        "since Rekognition cannot remove entries."
    ),
}
# What Markdown would take for markup within a line.
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~$^]")
# What GitHub's Markdown makes a link of, escaped or not.
_LINK_LIKE = re.compile(r"www\.|://|@", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\x00-\x20\x7f]+")


def approval_subject(report: SnapshotReport) -> str:
    """The question in one line of plain text."""
    verb = _VERBS.get(report.action, "Register")
    question = f"{verb} the {report.dataset_type} dataset of {report.project}?"
    return visible(f"{question} {_totals(report)}; {_number_of_risks(report.risks)}")


def approval_body(
    report: SnapshotReport, images: Sequence[SampleImage] = (), places: Mapping[str, str] | None = None
) -> str:
    """The question as Markdown, of at most `MAX_BODY_BYTES` bytes of UTF-8.

    :param images: to look at, as `include.pipelines.samples.write_samples` returned them
    :param places: addresses by name, such as that of the report; web addresses become links
    """
    page = _Page(MAX_BODY_BYTES)
    ending = _places(places or {})
    page.reserve(ending)
    page.add(_introduction(report))
    if report.difference:
        page.add(_totals_table(report))
    page.add(_departures(report))
    _add_risks(page, report.risks)
    _add_images(page, images)
    if report.difference:
        _add_difference(page, report.difference)
    page.add_reserved(ending)
    return page.text()


class _Page:
    """Blocks of Markdown, as far as they fit.

    :param size_bytes: that the page may have
    """

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._blocks: list[str] = []

    def reserve(self, block: str) -> None:
        """Keep room for a block that has to be there."""
        self._left -= _size(block)

    def add_reserved(self, block: str, lines: Sequence[str] = (), total: int = 0) -> None:
        """Add a block that room was kept for."""
        self._left += _size(block)
        self.add(self._with_lines(block, lines, total))

    def add(self, block: str) -> None:
        """Add a block, where it has room."""
        if _size(block) <= self._left:
            self._left -= _size(block)
            self._blocks.append(block)

    def add_list(self, head: str, lines: Sequence[str], total: int = 0) -> None:
        """Add a block of a head and as many lines as have room; nothing where there are none.

        :param total: how many there are of what the lines are the first of, to say how many more
        """
        block = self._with_lines(head, lines, total)
        if block != head:
            self.add(block)

    def _with_lines(self, head: str, lines: Sequence[str], total: int) -> str:
        block = head
        for number, line in enumerate(lines, start=1):
            rest = f"\n- … and {total - number:,} more" if total > number else ""
            if _size(f"{block}\n{line}{rest}") > self._left:
                shown = number - 1
                return f"{block}\n- … and {total - shown:,} more" if shown and total > shown else block
            block = f"{block}\n{line}"
        return f"{block}\n- … and {total - len(lines):,} more" if lines and total > len(lines) else block

    def text(self) -> str:
        return "\n\n".join(filter(None, self._blocks)) + "\n"


def _size(block: str) -> int:
    return len(block.encode()) + 2


def _introduction(report: SnapshotReport) -> str:
    what = _INTENTIONS.get(report.action, "The dataset would be registered.")
    return (
        f"**{_plain(report.project)}**, {report.dataset_type} dataset, as of {report.as_of:%Y-%m-%d %H:%M:%S %Z}: "
        f"{_totals(report)}.\n\n{what} **Approve** does exactly this; **Reject** leaves the dataset as it is."
    )


def _totals(report: SnapshotReport) -> str:
    if report.difference is None:
        return f"{report.images:,} images, {len(report.images_per_label):,} labels"
    totals = ((kind, report.total(kind)) for kind in DIFFERENCES)
    return ", ".join(f"{total:,} {kind}" for kind, total in totals if total) or "no difference"


def _totals_table(report: SnapshotReport) -> str:
    totals = [report.total(kind) for kind in DIFFERENCES]
    return "\n".join(
        (
            f"| {' | '.join(DIFFERENCES)} |",
            "|" + "---:|" * len(DIFFERENCES),
            f"| {' | '.join('not known' if total is None else f'{total:,}' for total in totals)} |",
        )
    )


def _departures(report: SnapshotReport) -> str:
    """What becomes of people's work on images that are not where they were."""
    sentences = []
    if moved := report.total(MOVED):
        sentences.append(f"Moved images keep their labels and boxes, and are not among the others: {moved:,}.")
    if report.kept_aside:
        sentences.append(
            f"Images that earlier runs removed, and people's work on which the ledger keeps: {report.kept_aside:,}."
        )
    if report.gave_way:
        sentences.append(
            "People's earlier entries that give way to later ones of theirs; the snapshot's `entries.manifest` keeps "
            f"them: {report.gave_way:,}."
        )
    return " ".join(sentences)


def _number_of_risks(risks: Sequence[RiskRow]) -> str:
    return f"{len(risks):,} {'risk' if len(risks) == 1 else 'risks'}"


def _add_risks(page: _Page, risks: Sequence[RiskRow]) -> None:
    if not risks:
        page.add("No risk was found.")
        return
    page.add(f"### {_number_of_risks(risks).capitalize()}")
    heads = [_risk_head(risk) for risk in risks]
    # A sample of one risk must never take the place of another risk.
    for head in heads:
        page.reserve(head)
    for risk, head in zip(risks, heads, strict=True):
        page.add_reserved(head, [f"- {_code(sample)}" for sample in risk.samples[:_SAMPLES_PER_RISK]], risk.count)


def _risk_head(risk: RiskRow) -> str:
    said = risk.detail or (f"{risk.count:,}" if risk.count else "")
    detail = f" {_plain(said.removesuffix('.'))}." if said else ""
    return f"**{_code(risk.code)}**{detail} {risk.explanation}\n"


def _add_images(page: _Page, images: Sequence[SampleImage]) -> None:
    """Pictures side by side, with what they are below them."""
    rows = []
    for start in range(0, len(images), _PICTURES_PER_ROW):
        row = images[start : start + _PICTURES_PER_ROW]
        pictures = [_picture(image, number) for number, image in enumerate(row, start=start + 1)]
        captions = [_caption(image) for image in row]
        rows.append(f"{_table_row(pictures)}\n{_table_row(captions)}")
    page.add_list(f"### Images\n\n{_table_row([])}\n{'|---' * _PICTURES_PER_ROW}|", rows)


def _picture(image: SampleImage, number: int) -> str:
    return f"![{image.what} {number}]({image.url})" if image.url else _plain(image.missing)


def _caption(image: SampleImage) -> str:
    key = _code(_key(image.change.image), _CAPTION_CHARACTERS)
    return f"{image.what} {key}{_says(image.change, _CAPTION_CHARACTERS)}"


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join([*cells, *[''] * (_PICTURES_PER_ROW - len(cells))])} |"


def _add_difference(page: _Page, difference: BaseDifference) -> None:
    for title, labels in (("New labels", difference.labels_appeared), ("Labels gone", difference.labels_vanished)):
        page.add_list(f"### {title}\n", [f"- {_code(label)}" for label in labels[:_LABELS_SHOWN]], len(labels))
    for kind in DIFFERENCES:
        changes = difference.samples.get(kind, ())[:_SAMPLES_PER_KIND]
        lines = [f"- {_code(_key(change.image))}{_says(change)}" for change in changes]
        page.add_list(f"### {kind.capitalize()}\n", lines, difference.total(kind) or 0)


def _says(change: ImageChange, characters: int = _SHOWN_CHARACTERS) -> str:
    said = " → ".join(_code(text, characters) for text in (change.before, change.after) if text)
    return f": {said}" if said else ""


def _places(places: Mapping[str, str]) -> str:
    lines = [f"- {_plain(name)}: {_address(address)}" for name, address in places.items()]
    return "\n".join(["### Where everything is\n", *lines]) if lines else ""


def _address(address: str) -> str:
    return f"<{address}>" if _WEB_ADDRESS.fullmatch(address) else _code(address, _ADDRESS_CHARACTERS)


def _key(image: str) -> str:
    """The key of an ``s3://`` address, which says more than its beginning."""
    return image.split("/", 3)[-1] or image


def _code(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """Foreign text as code; a pipe, which would end the cell of a table even there, stands between two spans."""
    pieces = (shortened(visible(text), characters) or "(empty)").split("|")
    return "&#124;".join(_span(piece) if piece else "" for piece in pieces)


def _span(text: str) -> str:
    """A code span with a fence that the text does not have."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    # Markdown takes one space off either side, where there is one on both.
    is_padded = text.startswith("`") or text.endswith("`") or (text.startswith(" ") and text.endswith(" "))
    padding = " " if is_padded and text.strip() else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _plain(text: str) -> str:
    """A sentence that may hold foreign text, on one line."""
    if _LINK_LIKE.search(text):
        return _code(text, _DETAIL_CHARACTERS)
    return _MARKUP.sub(r"\\\g<0>", shortened(visible(text), _DETAIL_CHARACTERS))
