"""What has to hold after every step, whatever happened; each is one function that raises `BrokenPromiseError`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.contents import Said, read_line
from tests.chaos.model import Expectation, Import, Listing, Source, Truth, differences
from tests.chaos.places import Place, View

_IN_DATASET = ("registered", "unlabelled")
_GONE = ("held", "removed", "aside")


class BrokenPromiseError(Exception):
    """A promise of docs/refreshes.md that was not kept.

    :ivar promise: its name, the same for all ways to break it
    """

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(promise, detail)
        self.promise = promise
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.promise}: {self.detail}"


def no_image_is_touched(place: Place, bucket: Listing) -> None:
    """The bucket holds what people have put there."""
    listed = {key: each.etag for key, each in place.listing().items()}
    expected = {key: each.etag for key, each in bucket.items()}
    if listed != expected:
        lost = sorted(expected.items() ^ listed.items())
        raise BrokenPromiseError("no image is touched", f"the bucket differs in {lost}")


def what_was_brought_is_there(place: Place, source: Source) -> None:
    """A green run has copied or sent its images, and their bytes are those of the source."""
    there = place.listing()
    wrong = [key for key in source.images if key in source.brings and key not in there]
    if wrong:
        raise BrokenPromiseError("images that a run brings are there", ", ".join(wrong))


def no_work_is_lost(place: Place, truth: Truth, views: Sequence[View]) -> None:
    """People's work is in the dataset, in a current ledger, in the journal's export, or in a save's record.

    :param views: of the dataset, and of the project's other one, to which a split may have given the image
    """
    missing = {
        key: said
        for key, said in truth.work.items()
        if all(said not in (view.entries.get(key), view.export.get(key)) for view in views)
    }
    if missing:
        kept = [each for view in views for rows in view.ledgers.values() for each in entries_of(place, rows)]
        missing = {key: said for key, said in missing.items() if (key, said) not in kept}
    if missing:
        edited = list(place.edited())
        missing = {key: said for key, said in missing.items() if said not in (each.get(key) for each in edited)}
    if missing:
        raise BrokenPromiseError("no person's work is lost", ", ".join(f"{key} said {missing[key]}" for key in missing))


def entries_of(place: Place, rows: list[dict[str, Any]]) -> list[tuple[str, Said]]:
    """Key and content of the entries that a ledger keeps."""
    found = []
    for row in rows:
        if row["entry"]:
            source_ref, said = read_line(row["entry"])
            found.append((place.key(source_ref), said))
    return found


def current_names_a_whole_snapshot(view: View) -> None:
    """Manifest, ledger and summary are there, and are what the digests say."""
    current = view.current
    if not current:
        return
    snapshot_id = current["snapshot_id"]
    objects = {
        "manifest": view.manifest(snapshot_id),
        "ledger.parquet": view.snapshot(snapshot_id, "ledger.parquet"),
        "summary.json": view.snapshot(snapshot_id, "summary.json"),
    }
    if absent := [name for name, data in objects.items() if data is None]:
        raise BrokenPromiseError("current.json names a whole snapshot", f"{snapshot_id} has no {absent}")
    manifest, ledger, summary = (hashlib.sha256(data or b"").hexdigest() for data in objects.values())
    said = json.loads(objects["summary.json"] or b"")
    pairs = [
        ("manifest", manifest, current["manifest_sha256"]),
        ("manifest", manifest, said["manifest_sha256"]),
        ("ledger", ledger, said.get("ledger_sha256", ledger)),
        ("summary", summary, current.get("summary_sha256", summary)),
    ]
    if wrong := [name for name, found, told in pairs if found != told]:
        raise BrokenPromiseError("current.json names a whole snapshot", f"{snapshot_id}: {wrong} is another one")


def ledger_partitions_the_listing(rows: list[dict[str, Any]], asked: Import, source: Source) -> None:
    """Each object of the folder is in the ledger once, as it was; other rows are of images that are gone."""
    promise = "the ledger partitions the listing"
    keys = Counter(row["key"] for row in rows)
    if repeated := [key for key, count in keys.items() if count > 1]:
        raise BrokenPromiseError(promise, f"more than once: {repeated}")
    wanted = set(source.listed) if asked.lists_folder else {*source.images, *source.unsettled, *source.refused}
    if absent := sorted(wanted - keys.keys()):
        raise BrokenPromiseError(promise, f"not there: {absent}")
    for row in rows:
        listed = source.listed.get(row["key"])
        is_another = row["key"] in source.refused or asked.only_adds
        if listed is None and not is_another and row["state"] not in _GONE:
            raise BrokenPromiseError(promise, f"{row['key']} is {row['state']}, and is not in the bucket")
        if listed is not None and row["etag"] not in ("", listed.etag):
            raise BrokenPromiseError(promise, f"{row['key']} has another ETag")


def dataset_equals_the_model(truth: Truth, expected: Expectation, actual: Mapping[str, Said]) -> None:
    """After a green run the dataset holds what it has to hold."""
    wrong = [
        f"{key} says {found if found is not None else 'nothing at all'}, and not "
        + " or ".join(sorted(str(each) if each is not None else "no entry" for each in accepted))
        for key, accepted, found in differences(truth, expected, actual)
    ]
    if wrong:
        raise BrokenPromiseError("after a green run the dataset equals the model", "; ".join(wrong))


def what_is_trusted_is_true(view: View) -> None:
    """While the dataset's time of last change is the registered one, its entries are those of the snapshot."""
    current = view.current
    if not current or current.get("dataset_updated_at") != view.updated_at:
        return
    rows = view.ledgers[current["snapshot_id"]]
    manifest = view.said_in(view.manifest(current["snapshot_id"]) or b"")
    wrong: list[str] = []
    for row in rows:
        key = row["key"]
        if row["state"] in _IN_DATASET:
            is_kept = row["reason"] == "KEPT_DATASET_ENTRY"
            if is_kept and not row["entry"]:
                continue
            told = read_line(row["entry"])[1] if is_kept else manifest.get(key)
        elif row["state"] == "held" and row["entry"]:
            told = read_line(row["entry"])[1]
        else:
            continue
        if told != view.entries.get(key):
            wrong.append(f"{key} says {view.entries.get(key)}, and the snapshot {told}")
    if wrong:
        raise BrokenPromiseError("a registered time of last change is a promise", "; ".join(wrong))


def counts_are_the_datasets(view: View) -> None:
    """What `current.json` says of the dataset's size is so, right after a green run."""
    current = view.current
    labelled = sum(bool(said.labels or said.boxes) for said in view.entries.values())
    told = (current.get("entries", len(view.entries)), current.get("labelled", labelled))
    if told != (len(view.entries), labelled):
        raise BrokenPromiseError(
            "green only over a verified dataset", f"{told} counted, {(len(view.entries), labelled)} there"
        )


def journal_is_closed(view: View, run_id: str, *, has_written: bool) -> None:
    """A run that has ended well has nothing under way any more, and holds nothing.

    :param has_written: whether it wrote to the dataset, and so has taken over what dead runs had left
    """
    left = {name: value for name in ("lease", "registration", "replacement") if (value := view.journal.get(name))}
    if left.get("replacement", {}).get("is_remainder"):
        # Entries whose images do not exist are for the imports that brought them.
        del left["replacement"]
    own = {name: value for name, value in left.items() if value.get("holder", {}).get("run_id") == run_id}
    if found := left if has_written else own:
        raise BrokenPromiseError("the journal is closed after a run that ended well", f"{run_id} leaves {found}")


def entries_name_images_as_they_were(place: Place, source: Source) -> None:
    """Rekognition reads an image's bytes of the run's time, at its key or in a copy of them."""
    there = {**place.listing(), **place.listing(place.history_prefix)}
    wrong = []
    for key, ref in place.refs().items():
        found = there.get(ref.removeprefix(place.ref("")))
        if key in source.images and (found is None or found.etag != source.listed[key].etag):
            wrong.append(f"{ref} {'is another image' if found else 'is not there'}")
    if wrong:
        raise BrokenPromiseError("entries name images as they were", ", ".join(wrong))


def what_is_overwritten_is_kept(place: Place, view: View, snapshot_id: str, overwritten: Mapping[str, Said]) -> None:
    """Work that gave way to `human_edits: overwrite` is in the snapshot."""
    if not overwritten:
        return
    before = view.said_in(view.snapshot(snapshot_id, "entries.manifest") or b"")
    kept = entries_of(place, view.ledger(snapshot_id))
    missing = [
        f"{key} said {said}" for key, said in overwritten.items() if before.get(key) != said and (key, said) not in kept
    ]
    if missing:
        raise BrokenPromiseError("what is overwritten is in the snapshot", "; ".join(missing))
