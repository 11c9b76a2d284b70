"""Refusals of a run: the ledger is written before the run fails, and the error says where."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from include.custom_labels.errors import ManifestError
from include.custom_labels.ledger import LedgerPage, LedgerSummary, State
from include.custom_labels.refusals import NOT_IMPORTED, refused
from include.object_store.tables import write_ledger
from include.pipelines.runs import ImportRun


def refuse(
    run: ImportRun,
    code: str,
    message: str,
    advice: str,
    pages: Iterable[LedgerPage],
    *,
    states: Collection[State] = NOT_IMPORTED,
) -> ManifestError:
    """The error for an import that stops at this ledger, which is left in the run's staging folder.

    :param message: what happened, without the full stop
    :param advice: what to do, in sentences
    :param states: of the objects that the error names
    :raises AccessError: what S3 answers
    """
    summary = LedgerSummary()

    def counted() -> Iterator[LedgerPage]:
        for page in pages:
            summary.add(page)
            yield page

    ledger = write_ledger(run.s3, run.staged("refused-ledger.parquet"), counted())
    return refused(
        code, message, advice, summary, ledger=str(ledger.uri), parameters=run.request.parameters, states=states
    )
