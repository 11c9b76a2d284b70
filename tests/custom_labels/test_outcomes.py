"""The last move of each ledger row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_entries import Entry
from include.custom_labels.ledger import LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.merge import Outcome
from include.custom_labels.outcomes import OutcomeRow, aside_of_row, close_pages, close_rows, outcome_of_row
from include.custom_labels.reasons import Reason

LABELLED = LedgerRow("x/a.png", 9, "e", "2026-11-22T20:00:00", State.LABELLED, "echo", Reason.IN_FOLDER, "", 64, 64)
SKIPPED = LABELLED._replace(state=State.SKIPPED, label=None, reason=Reason.SYSTEM_FILE)
FAULTY = LABELLED._replace(state=State.QUARANTINED, reason=Reason.SIDE_TOO_SHORT, detail="10×10 pixels", entry=b"{}")
ERRORS = Entry(b"", is_labelled=True, errors=("ERROR_INVALID_IMAGE",))


def close(row: LedgerRow, outcome: OutcomeRow | None = None, **service: dict[str, Entry] | None) -> list[LedgerRow]:
    entries, errors = service.get("entries"), service.get("errors") or {}
    return list(close_rows([row], [outcome] if outcome else [], entries, errors, "example-images"))


def outcome(kind: Outcome, key: str = "x/a.png", **more: object) -> OutcomeRow:
    return OutcomeRow(key=key, outcome=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "made", "state", "reason", "detail"),
    [
        (LABELLED, None, State.REGISTERED, Reason.IN_FOLDER, ""),
        (SKIPPED, None, State.SKIPPED, Reason.SYSTEM_FILE, ""),
        (
            LABELLED._replace(detail="LARGE_FILE: 15,000,001 bytes"),
            outcome(Outcome.KEPT, is_labelled=True, detail="the source says 'echo'"),
            State.REGISTERED,
            Reason.KEPT_DATASET_ENTRY,
            "the source says 'echo'; LARGE_FILE: 15,000,001 bytes",
        ),
        (LABELLED, outcome(Outcome.KEPT), State.UNLABELLED, Reason.KEPT_DATASET_ENTRY, ""),
        (
            LABELLED,
            outcome(Outcome.OVERWRITTEN, is_labelled=True, detail="x"),
            State.REGISTERED,
            Reason.OVERWRITTEN_DATASET_ENTRY,
            "x",
        ),
        (LABELLED, outcome(Outcome.MISFIT, entry="{}"), State.QUARANTINED, Reason.BOXES_DO_NOT_FIT, ""),
        (
            FAULTY,
            outcome(Outcome.REMOVED, entry="{}"),
            State.QUARANTINED,
            Reason.SIDE_TOO_SHORT,
            "10×10 pixels; REMOVED_AT_SOURCE",
        ),
        (
            FAULTY,
            outcome(Outcome.HELD, entry="{}"),
            State.HELD,
            Reason.HELD_UNTIL_REPLACED,
            "in this import: SIDE_TOO_SHORT; 10×10 pixels",
        ),
    ],
)
def test_the_last_state_of_a_row(
    row: LedgerRow, made: OutcomeRow | None, state: State, reason: Reason, detail: str
) -> None:
    (closed,) = close(row, made)
    assert (closed.state, closed.reason, closed.detail) == (state, reason, detail)


def test_what_the_service_did_not_keep() -> None:
    (dropped,) = close(LABELLED, entries={})
    assert (dropped.state, dropped.reason) == (State.DROPPED, Reason.DROPPED_BY_SERVICE)
    (faulty,) = close(LABELLED, errors={"s3://example-images/x/a.png": ERRORS})
    assert (faulty.state, faulty.reason, faulty.detail) == (State.DROPPED, Reason.ENTRY_ERROR, "ERROR_INVALID_IMAGE")
    (known,) = close(LABELLED._replace(reason=Reason.ERRORS_AT_SOURCE), errors={"s3://example-images/x/a.png": ERRORS})
    assert known.state is State.REGISTERED


def test_images_that_are_gone_have_rows_in_their_places() -> None:
    gone = [outcome(Outcome.REMOVED, "x/0.png", entry="{}", etag="o"), outcome(Outcome.HELD, "x/b.png", entry="{}")]
    rows = list(close_rows([LABELLED], gone, None, {}, "example-images"))
    assert [(row.key, row.state) for row in rows] == [
        ("x/0.png", State.REMOVED),
        ("x/a.png", State.REGISTERED),
        ("x/b.png", State.HELD),
    ]
    assert (rows[0].etag, rows[0].entry) == ("o", b"{}")


def test_only_a_persons_entry_is_kept_aside() -> None:
    """A row that is not in the manifest may have brought an entry of its source's; that is no one's work."""
    (closed,) = close(FAULTY)
    assert aside_of_row(closed) is None
    (misfit,) = close(LABELLED, outcome(Outcome.MISFIT, entry="{}"))
    assert aside_of_row(misfit) == b"{}"
    (held,) = close(LABELLED._replace(state=State.SKIPPED), outcome(Outcome.HELD, entry="{}"))
    assert aside_of_row(held) is None


KINDS = st.sampled_from([Outcome.KEPT, Outcome.OVERWRITTEN, Outcome.MISFIT, Outcome.HELD, Outcome.REMOVED])


@given(
    keys=st.sets(st.sampled_from("abcdef")),
    outcomes=st.dictionaries(st.sampled_from("abcdef"), KINDS),
)
def test_every_object_and_every_outcome_has_one_row(keys: set[str], outcomes: dict[str, Outcome]) -> None:
    # An image that the source does not have was removed, or is held.
    made = {key: kind if key in keys else Outcome.REMOVED for key, kind in outcomes.items()}
    rows = list(
        close_rows(
            [LABELLED._replace(key=key) for key in sorted(keys)],
            [outcome(kind, key) for key, kind in sorted(made.items()) if kind is not Outcome.HELD or key not in keys],
            None,
            {},
            "example-images",
        )
    )
    assert [row.key for row in rows] == sorted(keys | {key for key in made if key not in keys})
    for row in rows:
        again = outcome_of_row(row)
        assert (again is None) == (row.reason in (Reason.IN_FOLDER, Reason.REMOVED_AT_SOURCE))
        if again is not None:
            assert again.outcome is made[row.key]


@given(
    states=st.lists(st.sampled_from([State.LABELLED, State.UNLABELLED, State.SKIPPED, State.QUARANTINED]), max_size=9),
    said=st.dictionaries(st.integers(0, 12), st.sampled_from([Outcome.KEPT, Outcome.REMOVED])),
    erroneous=st.booleans(),
    size=st.integers(1, 4),
)
def test_whole_pages_are_closed_like_rows(
    states: list[State], said: dict[int, Outcome], erroneous: bool, size: int
) -> None:
    rows = [
        LABELLED._replace(key=f"x/{at:02}.png", state=state, entry=b"{}" if at % 2 else None)
        for at, state in enumerate(states)
    ]
    outcomes = [
        outcome(kind, f"x/{at:02}.png")
        for at, kind in sorted(said.items())
        if (kind is Outcome.REMOVED) == (at >= len(rows))
    ]
    errors = {"s3://example-images/x/00.png": ERRORS} if erroneous else {}
    expected = close_rows(rows, outcomes, None, errors, "example-images")
    pages = [each for start in range(0, len(rows), size) for each in ledger_pages(rows[start : start + size])]
    closed = close_pages(pages, outcomes, None, errors, "example-images")
    assert [row for each in closed for row in ledger_rows(each)] == list(expected)
