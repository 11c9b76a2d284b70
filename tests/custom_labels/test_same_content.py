"""The same bytes under two labels are found, and nothing else is taken for that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.ledger import LedgerPage, LedgerRow, State, ledger_pages
from include.custom_labels.quotas import MAX_FINDING_SAMPLES
from include.custom_labels.same_content import ContentLabels, SameContent, first_same_content


def image(key: str, etag: str, label: str | None, *, state: State = State.LABELLED, size_bytes: int = 9) -> LedgerRow:
    return LedgerRow(key=key, size_bytes=size_bytes, etag=etag, label=label, state=state)


def found(*rows: LedgerRow) -> tuple[int, list[SameContent]]:
    pages: Sequence[LedgerPage] = list(ledger_pages(rows))
    contents = ContentLabels()
    for page in pages:
        contents.add(page)
    disputed = contents.disputed()
    return len(disputed), first_same_content(pages, disputed)


def test_one_content_under_two_labels() -> None:
    count, samples = found(
        image("dot/1.png", "a", "dot"),
        image("dot/2.png", "b", "dot"),
        image("echo/1.png", "a", "echo"),
        image("echo/2.png", "a", "echo"),
        image("spot/1.png", "a", "spot\nwhite"),
    )
    assert count == 1
    assert samples == [
        SameContent(key="dot/1.png", images=("dot/1.png (dot)", "echo/1.png (echo)", "spot/1.png (spot, white)"))
    ]


@pytest.mark.parametrize(
    "other",
    [
        image("echo/1.png", "a", "dot"),
        image("echo/1.png", "b", "echo"),
        image("echo/1.png", "a", None, state=State.UNLABELLED),
        image("echo/1.png", "a", "echo", state=State.QUARANTINED),
    ],
)
def test_what_is_no_dispute(other: LedgerRow) -> None:
    assert found(image("dot/1.png", "a", "dot"), other) == (0, [])


def test_images_without_an_etag_are_not_compared() -> None:
    assert found(image("dot/1.png", "", "dot"), image("echo/1.png", "", "echo")) == (0, [])


def test_images_of_another_size_have_another_content() -> None:
    assert found(image("dot/1.png", "a-2", "dot"), image("echo/1.png", "a-2", "echo", size_bytes=8))[1] == []


def test_of_many_the_first_are_named() -> None:
    rows = [image(f"{label}/{n:03}.png", f"{n}", label) for label in ("dot", "echo") for n in range(300)]
    count, samples = found(*rows)
    assert count == 300
    assert [sample.key for sample in samples] == [f"dot/{n:03}.png" for n in range(MAX_FINDING_SAMPLES.value)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from([None, "dot", "echo", "dot\necho"]),
            st.sampled_from([State.LABELLED, State.REJECTED]),
        ),
        max_size=30,
    )
)
def test_as_many_as_a_table_of_labels_by_content_says(rows: list[tuple[str, str | None, State]]) -> None:
    labels: dict[str, set[str]] = {}
    for etag, label, state in rows:
        if label is not None and state is State.LABELLED:
            labels.setdefault(etag, set()).add(label)
    expected = sum(len(each) > 1 for each in labels.values())
    count, samples = found(*(image(f"{at}.png", *row[:2], state=row[2]) for at, row in enumerate(rows)))
    assert (count, len(samples)) == (expected, expected)
