"""Hostile text is shown whole, on one line, and without doing anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.visible_text import shortened, visible, visible_runs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("echo/image 1.png", "echo/image 1.png"),
        ("שלום/画像.png", "שלום/画像.png"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("no\u00a0break\u2028", r"no\xa0break\u2028"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\U000e0001tag", r"\U000e0001tag"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_runs_tell_what_is_written_out_from_what_was_there() -> None:
    assert list(visible_runs("a\\n\nb")) == [("a\\n", False), (r"\n", True), ("b", False)]


@given(st.text())
def test_nothing_unprintable_is_left(text: str) -> None:
    assert visible(text).isprintable()


@pytest.mark.parametrize(
    ("text", "characters", "short"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "ab…efg"), ("abcdefg", 5, "ab…fg"), ("abc", 1, "…")],
)
def test_start_and_end_of_a_long_text_are_left(text: str, characters: int, short: str) -> None:
    assert shortened(text, characters) == short
    assert len(short) <= characters
