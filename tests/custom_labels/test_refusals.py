"""An import that stops says which reasons stand for how many objects, names the first, and says where the rest is."""

from __future__ import annotations

import copy

import pytest

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.ledger import AT_FAULT, LedgerRow, LedgerSummary, State, ledger_pages
from include.custom_labels.reasons import Reason
from include.custom_labels.refusals import refused

LEDGER = "s3://example-workspace/staging/run-1/ledger.parquet"


def error_of(*rows: tuple[str, State, Reason], parameters: tuple[str, ...] = ()) -> ManifestError:
    summary = LedgerSummary()
    made = [LedgerRow(key=key, size_bytes=1, state=state, reason=reason) for key, state, reason in rows]
    summary.add_all(ledger_pages(made))
    return refused(
        Code.ERROR_TOO_MANY_RECORDS_IN_ERROR,
        "Too many",
        "Fix them.",
        summary,
        ledger=LEDGER,
        parameters=parameters,
        states=AT_FAULT,
    )


def test_codes_counts_and_first_names_of_what_is_at_fault() -> None:
    error = error_of(
        *((f"{number}.png", State.QUARANTINED, Reason.EMPTY_OBJECT) for number in range(1200)),
        ("taken.png", State.REJECTED, Reason.NAME_TAKEN),
        ("good.png", State.LABELLED, Reason.IN_FOLDER),
        ("notes.txt", State.SKIPPED, Reason.NOT_AN_IMAGE_NAME),
    )
    assert error.message == "Too many: EMPTY_OBJECT 1,200 (0.png, 1.png, 2.png, …); NAME_TAKEN 1 (taken.png)."
    assert error.next_step == (
        f"Fix them. EMPTY_OBJECT: {Reason.EMPTY_OBJECT.explanation} "
        f"The ledger names each object with its reason: {LEDGER}"
    )
    assert error.details["reasons"] == {"EMPTY_OBJECT": 1200, "NAME_TAKEN": 1}
    assert error.details["ledger"] == LEDGER
    assert str(copy.deepcopy(error)) == str(error)


@pytest.mark.parametrize("parameter", ["exclude", "repairs"])
def test_what_the_parameters_of_the_source_can_do_is_said(parameter: str) -> None:
    row = ("a.png", State.QUARANTINED, Reason.EMPTY_OBJECT)
    assert f"`{parameter}`" in error_of(row, parameters=(parameter,)).next_step
    assert f"`{parameter}`" not in error_of(row).next_step


def test_of_many_reasons_the_most_frequent_are_named() -> None:
    quarantined = [
        Reason.EMPTY_OBJECT,
        Reason.UNREADABLE,
        Reason.VANISHED,
        Reason.CHANGED,
        Reason.SIDE_TOO_LONG,
        Reason.SIDE_TOO_SHORT,
        Reason.DAMAGED_HEADER,
    ]
    rows = [(f"{at}-{n}", State.QUARANTINED, reason) for at, reason in enumerate(quarantined) for n in range(at + 1)]
    message = error_of(*rows).message
    assert message.startswith("Too many: DAMAGED_HEADER 7 (")
    assert message.endswith("VANISHED 3 (2-0, 2-1, 2-2); 2 more reasons.")


def test_hostile_and_long_names_stay_on_one_line() -> None:
    message = error_of((f"{'x' * 500}\n\u2028end.png", State.QUARANTINED, Reason.EMPTY_OBJECT)).message
    assert message.isprintable()
    assert len(message) < 200
    assert r"\n\u2028end.png" in message


def test_where_nothing_was_found_there_is_nothing_to_name() -> None:
    assert error_of().message == "Too many."
