"""The page of a snapshot: whole, by itself, and unmoved by what it shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.codes import Code
from include.custom_labels.visible_text import visible
from include.pipelines.report import label_bars, render_report
from tests.pipelines.snapshot_reports import HOSTILE, snapshot_report

VOID = {"meta", "rect"}


class Page(HTMLParser):
    """Tags in their order, text in its order, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th", "li", "p"):
            self.cells.append("")
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
            if self.cells:
                self.cells[-1] += data

    def structure(self) -> list[str]:
        """The names of the tags, without the marks of what is written out."""
        return [tag for tag, attributes in self.tags if attributes.get("class") != "hidden"]


def test_the_page_needs_nothing_but_itself() -> None:
    html = render_report(snapshot_report())
    page = Page(html)
    assert page.open == []
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "a", "base", "use", "image"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("href", "src", "style", "srcset")}
    assert "url(" not in html
    assert "@import" not in html
    policy = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_headings_and_tables_can_be_read_out() -> None:
    page = Page(render_report(snapshot_report()))
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(next_level <= level + 1 for level, next_level in pairwise(headings))
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    names = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert names <= {attributes.get("id") for tag, attributes in page.tags if tag == "h2"}
    assert all("aria-hidden" in attributes for tag, attributes in page.tags if tag == "svg")
    assert page.tags[0] == ("html", {"lang": "en"})


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render_report(snapshot_report()) == render_report(snapshot_report())


def test_everything_is_said() -> None:
    text = " ".join(Page(render_report(snapshot_report())).text.split())
    for said in (
        "alexa-devices train dataset",
        "The dataset was exported, deleted and created again without the images that are gone.",
        "20261122T200000Z-0a1b2c3d",
        "2026-11-22 20:00:00 UTC",
        "arn:aws:rekognition:us-east-1:111122223333:project/alexa-devices/dataset/train/1",
        "1,240",
        "The largest label has 1,200 images, the smallest 30.",
        "MANY_REMOVED · 1,005",
        "Approve, by echo at 2026-11-22 21:00:00 UTC",
        "changed not known",
        "3 of 1,230",
        Code.WARNING_UNANNOTATED_RECORD.message,
        "18.8%, of 20.0% that were asked for",
        "source.dataset_arn",
        "1,234.50",
    ):
        assert said in text, said


def test_what_there_is_not_is_said_as_well() -> None:
    nothing = {"difference": None, "risks": [], "approval": None, "findings": {}, "images_per_label": {}}
    less = {"images_per_label_before": None, "split": None, "provenance": {}, "timings": {}, "dataset_arn": ""}
    text = " ".join(Page(render_report(snapshot_report(**nothing, **less))).text.split())
    for said in (
        "No risk was found.",
        "Nobody was asked for approval.",
        "No snapshot was registered before.",
        "No image has a label.",
        "The validation found nothing.",
        "not registered",
    ):
        assert said in text, said
    assert "Provenance" not in text
    assert "before change" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str) -> None:
    plain, hostile = Page(render_report(snapshot_report())), Page(render_report(snapshot_report(text)))
    assert hostile.open == []
    assert hostile.structure() == plain.structure()
    assert hostile.cells.count(visible(text)) == plain.cells.count("echo") > 0


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1))
def test_any_text_is_text(text: str) -> None:
    # Two labels must not become one.
    text = f"{text}."
    html = render_report(snapshot_report(text))
    page = Page(html)
    assert page.structure() == Page(render_report(snapshot_report())).structure()
    assert all(line.isprintable() for line in html.split("\n"))
    assert visible(text) in page.cells


def test_bars_compare_both_sides() -> None:
    bars = label_bars({"b": 50, "a": 50, "new": 10}, {"a": 200, "b": 50, "gone": 3})
    assert [tuple(bar) for bar in bars] == [
        ("a", 50, 200, 250, 1000, None),
        ("b", 50, 50, 250, 250, None),
        ("new", 10, 0, 50, 0, None),
        ("gone", 0, 3, 0, 15, None),
    ]
    assert [tuple(bar) for bar in label_bars({"a": 0}, None)] == [("a", 0, None, 0, None, None)]
    assert label_bars({}, None) == []


def test_what_the_source_says_stands_beside_where_it_differs() -> None:
    bars = label_bars({"echo": 10, "by a person": 2}, None, {"echo": 10, "at the source": 2})
    assert [(bar.label, bar.images, bar.of_source) for bar in bars] == [
        ("echo", 10, None),
        ("by a person", 2, 0),
        ("at the source", 0, 2),
    ]
    labels = {"echo": 1200, "by a person": 30}
    page = Page(render_report(snapshot_report(images_per_label=labels, images_per_label_of_source={"echo": 1230})))
    cells = [cell.strip() for cell in page.cells]
    at = cells.index("source") + 1
    assert cells[at : at + 12] == [
        *("echo", "", "1,200", "1,000", "+200", "1,230"),
        *("by a person", "", "30", "0", "+30", "0"),
    ]
    assert "what the source alone says is beside it where it differs" in page.text
    plain = Page(render_report(snapshot_report(images_per_label=labels)))
    assert "source" not in [cell.strip() for cell in plain.cells]


def test_what_left_its_place_is_told_apart() -> None:
    departures = {"removed": 120, "moved": 4, "kept_aside": 7}
    text = " ".join(Page(render_report(snapshot_report(departures=departures))).text.split())
    assert "removed120 moved4 work kept aside earlier7" in text
    assert "The dataset loses 120 by this run." in text
    text = " ".join(Page(render_report(snapshot_report())).text.split())
    assert "removed1,005 moved2 risks2" in text
    assert "kept aside" not in text
    text = " ".join(Page(render_report(snapshot_report(difference=None, departures={"kept_aside": 7}))).text.split())
    assert "removed0 moved0 work kept aside earlier7" in text
    text = " ".join(Page(render_report(snapshot_report(departures={"gave_way": 7}))).text.split())
    assert "removed0 moved0 earlier work that gave way7" in text
