"""The last move of each ledger row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.ledger import LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.merge import Outcome
from include.custom_labels.outcomes import (
    OutcomeRow,
    SentColumn,
    aside_of_row,
    close_pages,
    close_rows,
    is_withheld,
    ledger_key,
    outcome_of_row,
    remembered_work,
)
from include.custom_labels.reasons import Reason

LABELLED = LedgerRow("x/a.png", 9, "e", "2026-11-22T20:00:00", State.LABELLED, "echo", Reason.IN_FOLDER, "", 64, 64)
SKIPPED = LABELLED._replace(state=State.SKIPPED, label=None, reason=Reason.SYSTEM_FILE)
FAULTY = LABELLED._replace(state=State.QUARANTINED, reason=Reason.SIDE_TOO_SHORT, detail="10×10 pixels", entry=b"{}")
ERRORS = Entry(b"", is_labelled=True, errors=("ERROR_INVALID_IMAGE",))
IN_TRAIN_LEDGER = SKIPPED._replace(reason=Reason.IN_TRAIN_LEDGER)
SENT = b"0123456789abcdef"


def close(row: LedgerRow, outcome: OutcomeRow | None = None, **service: dict[str, Entry] | None) -> list[LedgerRow]:
    entries, errors = service.get("entries"), service.get("errors") or {}
    return list(close_rows([row], [outcome] if outcome else [], entries, errors, "example-images"))


def outcome(kind: Outcome, key: str = "x/a.png", **more: object) -> OutcomeRow:
    return OutcomeRow(key=key, outcome=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ("s3://example-images/x/a.png", "x/a.png"),
        ("s3://example-other/x/a.png", "s3://example-other/x/a.png"),
        ("s3://example-images/s3://example-other/x/a.png", "s3://example-other/x/a.png"),
        ("s3://example-new/s3://example-other/x/a.png", "s3://example-other/x/a.png"),
    ],
)
def test_the_ledger_names_an_image_of_another_bucket_by_its_address(identity: str, key: str) -> None:
    assert ledger_key(identity, "example-images") == key


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
            outcome(Outcome.WITHHELD, detail="the dataset's entry stays as it is"),
            State.QUARANTINED,
            Reason.SIDE_TOO_SHORT,
            "10×10 pixels; the dataset's entry stays as it is",
        ),
        (
            SKIPPED._replace(reason=Reason.EXCLUDED),
            outcome(Outcome.REMOVED, entry="{}"),
            State.SKIPPED,
            Reason.EXCLUDED,
            "therefore removed from the dataset",
        ),
        (
            SKIPPED._replace(reason=Reason.EXCLUDED),
            outcome(Outcome.ASIDE, entry="{}"),
            State.SKIPPED,
            Reason.EXCLUDED,
            "a person's entry is kept aside",
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


WORK = '{"source-ref": "s3://example-images/x/a.png"}'
OURS = WORK.replace("}", ', "cl-metadata": {}}')


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        *((LABELLED, kind) for kind in (Outcome.KEPT, Outcome.MISFIT)),
        *((row, kind) for row in (FAULTY, SKIPPED, None) for kind in (Outcome.HELD, Outcome.REMOVED, Outcome.ASIDE)),
    ],
)
def test_a_closed_ledger_remembers_a_persons_entry_in_whichever_state_its_image_is(
    row: LedgerRow | None, kind: Outcome
) -> None:
    said = outcome(kind, entry=WORK, sent=SENT)
    closed, *_ = close_rows([row] if row else [], [said], None, {}, "example-images")
    assert remembered_work(closed) == WORK.encode()
    assert closed.sent == SENT
    # And so does the next ledger, where nothing has changed since.
    again = outcome_of_row(closed)
    assert again is not None
    carried, *_ = close_rows([row] if row else [], [again], None, {}, "example-images")
    assert (remembered_work(carried), carried.sent) == (WORK.encode(), SENT)


def test_a_withheld_image_remembers_its_entry_and_what_was_sent() -> None:
    for entry in (WORK, None):
        (closed,) = close(FAULTY, outcome(Outcome.WITHHELD, entry=entry, sent=SENT))
        assert remembered_work(closed) == (entry and entry.encode())
        again = outcome_of_row(closed)
        assert again is not None
        assert (again.outcome, again.sent) == (Outcome.WITHHELD, SENT)


def test_a_held_entry_of_ours_is_no_ones_work() -> None:
    (held,) = close_rows([], [outcome(Outcome.HELD, entry=OURS, sent=digest(OURS))], None, {}, "example-images")
    assert held.entry == OURS.encode()
    assert remembered_work(held) is None


def test_the_service_drops_an_image_and_not_the_work_on_it() -> None:
    (dropped,) = close(LABELLED, outcome(Outcome.KEPT, entry=WORK, sent=SENT), entries={})
    assert dropped.state is State.DROPPED
    assert remembered_work(dropped) == WORK.encode()
    (ours,) = close(LABELLED._replace(entry=OURS.encode(), sent=digest(OURS)), entries={})
    assert remembered_work(ours) is None


def digest(line: str) -> bytes:
    return read_entry(line.encode())[1].content


@pytest.mark.parametrize(
    ("row", "is_there"),
    [
        (FAULTY, True),
        (FAULTY._replace(reason=Reason.COPY_CONFLICT), True),
        (FAULTY._replace(reason=Reason.UNREADABLE), True),
        (FAULTY._replace(state=State.REJECTED, reason=Reason.LABEL_TOO_LONG), True),
        (FAULTY._replace(state=State.DROPPED, reason=Reason.ENTRY_ERROR), True),
        (FAULTY._replace(reason=Reason.IMAGE_NOT_FOUND), False),
        (FAULTY._replace(state=State.REJECTED, reason=Reason.REPEATED_IMAGE), False),
        (SKIPPED._replace(reason=Reason.EXCLUDED), False),
        (SKIPPED._replace(reason=Reason.IN_TEST_DATASET), False),
        (IN_TRAIN_LEDGER._replace(detail=f"{State.QUARANTINED}: {Reason.UNREADABLE}"), True),
        (IN_TRAIN_LEDGER._replace(detail=f"{State.QUARANTINED}: {Reason.IMAGE_NOT_FOUND}"), False),
        (IN_TRAIN_LEDGER._replace(detail=f"{State.SKIPPED}: {Reason.EXCLUDED}"), False),
        (IN_TRAIN_LEDGER, False),
    ],
)
def test_an_image_at_fault_is_withheld_and_only_one_that_is_gone_is_removed(row: LedgerRow, is_there: bool) -> None:
    assert is_withheld(row) == is_there


KINDS = st.sampled_from(
    [
        Outcome.KEPT,
        Outcome.OVERWRITTEN,
        Outcome.MISFIT,
        Outcome.HELD,
        Outcome.WITHHELD,
        Outcome.REMOVED,
        Outcome.ASIDE,
    ]
)
GONE = (Outcome.HELD, Outcome.REMOVED, Outcome.ASIDE)


@given(
    keys=st.sets(st.sampled_from("abcdef")),
    outcomes=st.dictionaries(st.sampled_from("abcdef"), st.tuples(KINDS, st.sampled_from([WORK, None]))),
)
def test_every_object_and_every_outcome_has_one_row(
    keys: set[str], outcomes: dict[str, tuple[Outcome, str | None]]
) -> None:
    # An image that the source does not have was removed, or is held; a withheld one is at fault.
    made = {
        key: (kind if (key in keys) != (kind in GONE) else Outcome.WITHHELD if key in keys else Outcome.REMOVED, entry)
        for key, (kind, entry) in outcomes.items()
    }
    rows = list(
        close_rows(
            [
                (FAULTY if key in made and made[key][0] is Outcome.WITHHELD else LABELLED)._replace(key=key)
                for key in sorted(keys)
            ],
            [outcome(kind, key, entry=entry, sent=SENT) for key, (kind, entry) in sorted(made.items())],
            None,
            {},
            "example-images",
        )
    )
    assert [row.key for row in rows] == sorted(keys | made.keys())
    for row in rows:
        again = outcome_of_row(row)
        if row.key not in made:
            assert again is None
            continue
        kind, entry = made[row.key]
        if kind in (Outcome.REMOVED, Outcome.ASIDE):
            # Of an image that is gone, only a person's work is carried on.
            assert (again and again.outcome) == (Outcome.ASIDE if entry else None)
        else:
            assert again is not None
            assert again.outcome is kind
        if again is not None and kind is not Outcome.OVERWRITTEN:
            assert (again.entry, again.sent) == (entry, SENT)


@given(
    states=st.lists(st.sampled_from([State.LABELLED, State.UNLABELLED, State.SKIPPED, State.QUARANTINED]), max_size=9),
    said=st.dictionaries(st.integers(0, 12), st.sampled_from([Outcome.KEPT, Outcome.REMOVED])),
    digests=st.sets(st.integers(0, 12)),
    erroneous=st.booleans(),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_whole_pages_are_closed_like_rows(
    states: list[State], said: dict[int, Outcome], digests: set[int], erroneous: bool, sizes: tuple[int, int]
) -> None:
    rows = [
        LABELLED._replace(key=f"x/{at:02}.png", state=state, entry=b"{}" if at % 2 else None)
        for at, state in enumerate(states)
    ]
    sent = {f"x/{at:02}.png": bytes([at]) * 16 for at in sorted(digests)}
    outcomes = [
        outcome(kind, f"x/{at:02}.png", sent=sent.get(f"x/{at:02}.png"))
        for at, kind in sorted(said.items())
        if (kind is Outcome.REMOVED) == (at >= len(rows))
    ]
    errors = {"s3://example-images/x/00.png": ERRORS} if erroneous else {}
    expected = close_rows(
        [row._replace(sent=sent.get(row.key)) for row in rows], outcomes, None, errors, "example-images"
    )
    size, sent_size = sizes
    pages = [each for start in range(0, len(rows), size) for each in ledger_pages(rows[start : start + size])]
    keys = sorted(sent)
    column = SentColumn(
        (some, [sent[key] for key in some])
        for some in (keys[start : start + sent_size] for start in range(0, len(keys), sent_size))
    )
    closed = close_pages(pages, outcomes, column, None, errors, "example-images")
    assert [row for each in closed for row in ledger_rows(each)] == list(expected)
