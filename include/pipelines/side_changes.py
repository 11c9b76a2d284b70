"""A person's work on images that a split gives to the project's other dataset than before."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from include.custom_labels.merge import works
from include.custom_labels.moves import find_moves, key_of
from include.object_store.registered_snapshot import RegisteredSnapshot
from include.object_store.registration_journal import read_journal
from include.object_store.snapshots import DatasetType
from include.pipelines.dataset_merge import (
    base_images,
    base_rows,
    our_places,
    pending_digests,
    places,
    read_dataset,
    was_at_source,
    with_export,
    write_works,
)
from include.pipelines.origins import origin_of, registered_base
from include.pipelines.runs import ImportRun

_OTHER: Final[dict[DatasetType, DatasetType]] = {"train": "test", "test": "train"}
# A dataset in one of these states has no entries that could be read.
_WITHOUT_ENTRIES: Final = ("DELETE", "CREATE_FAILED", "CREATE_IN_PROGRESS")

log = logging.getLogger(__name__)


def run_of_type(run: ImportRun, dataset_type: str, **chosen: Any) -> ImportRun:
    """The run as one of this type of dataset alone, with a place of its own for what its tasks hand on.

    :param chosen: values of parameters that were left empty
    """
    request = msgspec.structs.replace(run.request, dataset_type=dataset_type, **chosen)
    return msgspec.structs.replace(run, request=request, slug=f"{run.slug}-{dataset_type}")


def write_arriving_work(run: ImportRun, dataset_type: DatasetType, divided: Mapping[str, Any]) -> str:
    """Find the work on images that this dataset is going to get from the other one; its address, empty for none.

    It is looked for before either dataset is changed: afterwards, the other one has lost it.

    :param divided: bucket and ledger of this dataset
    """
    theirs = run_of_type(run, _OTHER[dataset_type])
    there = registered_base(theirs)
    if there is None:
        return ""
    arrivals = _arrivals(run_of_type(run, dataset_type), divided, there)
    found = [(arrivals[name], line) for name, line in _works_in(theirs, there) if name in arrivals] if arrivals else []
    if not found:
        return ""
    log.info("A person's work on %s images goes to the %s dataset with them.", f"{len(found):,}", dataset_type)
    uri = run.staged(f"arriving/{dataset_type}.jsonl")
    write_works(run, uri, found)
    return str(uri)


def _arrivals(run: ImportRun, divided: Mapping[str, Any], there: RegisteredSnapshot) -> dict[str, str]:
    """Images that are new here and that the other dataset knows: their identity now by that there.

    An image that neither dataset gets, as it is at fault, is not one of them: its entry stays where it is.
    """
    here = {key_of(name) for name, row in base_rows(registered_base(run)) if was_at_source(row)}
    new = [place for place in our_places(run, divided, with_withheld=False) if key_of(place[0]) not in here]
    names = {name for name, _, _ in new}
    known = list(places(base_rows(there)))
    moves = find_moves(known, new) if new else {}
    return {name: moves.get(name, name) for name, _, _ in known if name in names or name in moves}


def _works_in(run: ImportRun, base: RegisteredSnapshot) -> Iterator[tuple[str, bytes]]:
    journal = read_journal(run.s3, run.dataset)
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    has_entries = dataset is not None and not dataset["Status"].startswith(_WITHOUT_ENTRIES)
    entries = read_dataset(run, dataset["DatasetArn"]) if dataset is not None and has_entries else []
    return works(
        [with_export(run, entries, journal), base_images(base), pending_digests(run, journal, origin_of(run, None))]
    )
