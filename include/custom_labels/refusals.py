"""The error of an import that stops because of what it found: codes, counts and first names, and where the rest is."""

from __future__ import annotations

from collections.abc import Collection

from include.custom_labels.advice import advise
from include.custom_labels.errors import ManifestError
from include.custom_labels.ledger import IN_MANIFEST, LedgerSummary, State
from include.custom_labels.reasons import Reason
from include.custom_labels.visible_text import shortened, visible

REASONS_NAMED = 5
NAMES_PER_REASON = 3
_NAME_LENGTH = 100

NOT_IMPORTED = frozenset(State) - IN_MANIFEST


def refused(
    code: str,
    message: str,
    advice: str,
    summary: LedgerSummary,
    *,
    ledger: str,
    parameters: Collection[str],
    states: Collection[State] = NOT_IMPORTED,
) -> ManifestError:
    """The error for an import whose ledger was written.

    :param message: what happened, without the full stop; reasons with counts and names follow it
    :param advice: what to do, in sentences; what the source's parameters can do is added
    :param summary: of the ledger
    :param ledger: address of the ledger
    :param parameters: that the import's source has
    :param states: of the objects that are named
    """
    counts = sorted(
        ((count, state, reason) for (state, reason), count in summary.reasons.items() if state in states),
        key=lambda each: (-each[0], each[1], each[2]),
    )
    named = "; ".join(
        f"{reason} {count:,} ({_names(summary, state, reason, count)})"
        for count, state, reason in counts[:REASONS_NAMED]
    )
    more = f"; {len(counts) - REASONS_NAMED} more reasons" if len(counts) > REASONS_NAMED else ""
    # The most frequent reason says the most about what to do.
    why = [f"{reason}: {advise(reason, reason.explanation, parameters)}" for _, _, reason in counts[:1]]
    return ManifestError(
        code,
        f"{message}{': ' if named else ''}{named}{more}.",
        " ".join([advise(code, advice, parameters), *why, f"The ledger names each object with its reason: {ledger}"]),
        reasons={str(reason): count for count, _, reason in counts},
        ledger=ledger,
        images=summary.images,
        at_fault=summary.at_fault,
        labels=len(summary.images_per_label),
    )


def _names(summary: LedgerSummary, state: State, reason: Reason, count: int) -> str:
    samples = summary.samples[state, reason][:NAMES_PER_REASON]
    names = [shortened(visible(key), _NAME_LENGTH) for key, _ in samples]
    return ", ".join(names) + (", …" if count > len(names) else "")
