"""The screen at the end of a run."""

from __future__ import annotations

from typing import Any

from include.pipelines.summaries import render

SUMMARY: dict[str, Any] = {
    "action": "update",
    "dataset_arn": "",
    "as_of": "2026-11-22T20:00:00+00:00",
    "snapshot_id": "20261122T200000Z-0a1b2c3d",
    "manifest_uri": "s3://example-workspace/m",
    "ledger_uri": "s3://example-workspace/l",
    "summary_uri": "s3://example-workspace/s",
    "report_uri": "s3://example-workspace/r",
    "images_per_label": {"echo": 1200, "by a person": 3},
    "findings": {},
    "timings": {},
}


def cells(text: str, first: str) -> list[str]:
    """The cells of the table's row that begins with a text."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    (row,) = [row for row in rows if row[0] == first]
    return row


def test_what_the_source_says_stands_beside_what_the_dataset_has() -> None:
    text = render(SUMMARY | {"images_per_label_of_source": {"echo": 1200, "at the source": 3}}, [])
    assert "source, where it differs" in text
    assert cells(text, "echo") == ["echo", "1,200", ""]
    assert cells(text, "by a person") == ["by a person", "3", "0"]
    assert cells(text, "at the source") == ["at the source", "0", "3"]


def test_the_same_is_not_said_twice() -> None:
    for text in (
        render(SUMMARY, []),
        render(SUMMARY | {"images_per_label_of_source": SUMMARY["images_per_label"]}, []),
    ):
        assert "source, where" not in text
        assert cells(text, "by a person") == ["by a person", "3"]
        assert "gone" not in text


def test_earlier_work_that_gave_way_is_counted() -> None:
    departures = {"removed": 0, "moved": 0, "kept_aside": 0, "gave_way": 1_120}
    text = render(SUMMARY | {"departures": departures}, [])
    assert "gave way  1,120 earlier entries of people to later ones: see entries.manifest" in text
    assert "gave way" not in render(SUMMARY | {"departures": departures | {"gave_way": 0}}, [])


def test_removed_now_and_earlier_are_told_apart() -> None:
    text = render(SUMMARY | {"departures": {"removed": 1_120, "moved": 4, "kept_aside": 7}}, [])
    assert "1,120 removed, 4 moved, 7 removed earlier, with people's work kept aside" in text
