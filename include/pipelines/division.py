"""From one import to the datasets of a project that get its images: one of them, or both, split by content."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.history import identity
from include.custom_labels.ledger import IN_MANIFEST, LedgerSummary
from include.custom_labels.sides import PreviousSides, Side
from include.custom_labels.split import SplitRules, Splitter
from include.custom_labels.split_ledger import ledger_of
from include.object_store.registered_snapshot import RegisteredSnapshot, nearest_whole_snapshot
from include.object_store.registration_journal import read_journal
from include.object_store.snapshots import DatasetType
from include.object_store.tables import write_ledger
from include.pipelines.manifests import check_faults
from include.pipelines.origins import origin_of, registered_base
from include.pipelines.requests import SplitRequest
from include.pipelines.runs import ImportRun
from include.pipelines.shards import pages_of
from include.pipelines.side_changes import run_of_type, write_arriving_work
from include.pipelines.steps import step

DATASET_TYPES: tuple[DatasetType, ...] = ("train", "test")
_SIDES: dict[DatasetType, Side] = {"train": Side.TRAIN, "test": Side.TEST}

log = logging.getLogger(__name__)


@step
def divide_images(run: dict[str, Any], inspected: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Give each image to the training or the test dataset, where both are asked for; else all to the one.

    An image stays on the side where it was; copies of an image and groups stay together. See `docs/split.md`.
    The result has the shards of each dataset that gets images, or that loses all that it had of this import, by its
    type, and the report of the split.
    """
    import_run = ImportRun.from_json(run)
    request = import_run.request
    shards = sorted((dict(shard) for shard in inspected), key=lambda shard: shard["shard"])
    if not isinstance(request, SplitRequest) or request.dataset_type != "train+test":
        return {request.dataset_type: shards, "report": None}
    bucket = shards[0]["bucket"]
    summary = LedgerSummary()
    summary.add_all(pages_of(import_run, shards))

    def whole_ledger() -> str:
        uri = import_run.staged("refused-ledger.parquet")
        return str(write_ledger(import_run.s3, uri, pages_of(import_run, shards)).uri)

    # All faults are in the training dataset's ledger; their share is a matter of the whole import.
    check_faults(summary, whole_ledger, request.parameters)
    if request.distribution == "rekognition":
        sides, report = _service_sides(import_run, shards), None
    else:
        sides, report = _content_sides(import_run, request, bucket, shards)
    divided: dict[str, Any] = {"report": report}
    for dataset_type in DATASET_TYPES:
        side = _SIDES[dataset_type]
        if sides.count(side) or _may_have_lost_images(run_of_type(import_run, dataset_type)):
            pages = ledger_of(side, pages_of(import_run, shards), sides)
            stored = write_ledger(import_run.s3, import_run.staged(f"divided/{dataset_type}.parquet"), pages)
            shard = {"shard": 0, "bucket": bucket, "ledger": str(stored.uri), "is_divided": True}
            work = write_arriving_work(import_run, dataset_type, shard) if request.register else ""
            divided[dataset_type] = [shard | {"arriving_work": work, "findings": _findings(report)}]
        log.info("The %s dataset gets %s images.", dataset_type, f"{sides.count(side):,}")
    return divided


def _may_have_lost_images(run: ImportRun) -> bool:
    """Whether a dataset that gets no image may hold some of this import, which are gone then."""
    journal = read_journal(run.s3, run.dataset)
    if registered_base(run) is None and origin_of(run, None) not in journal.sent:
        return False
    # One that somebody deleted is not made again for nothing; one that a run of ours deleted is.
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    return dataset is not None or journal.replacement is not None


def _findings(report: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What the summaries have to say of a dataset that gets no image, and may have none."""
    return [
        {"code": violation["code"], "total": 1, "samples": [{"detail": violation["detail"]}]}
        for violation in (report or {}).get("violations", ())
        if violation["code"] == Code.WARNING_EMPTY_SIDE
    ]


def first_tasks(divided: dict[str, Any]) -> list[str]:
    """The tasks that the datasets go on with which get or lose images; the other one is skipped."""
    return [f"{dataset_type}.choose_dataset" for dataset_type in DATASET_TYPES if dataset_type in divided]


@step
def choose_dataset(run: dict[str, Any], dataset_type: str, chosen: dict[str, Any] | None = None) -> dict[str, Any]:
    """The run as one of this type of dataset alone, with a place of its own for what its tasks hand on.

    Values that the source's tasks chose for parameters which were left empty become the request's: the snapshot says
    what was done, and the next run can go by it.
    """
    import_run = ImportRun.from_json(run)
    return run_of_type(import_run, dataset_type, **(chosen or {})).to_json()


def _content_sides(
    run: ImportRun, request: SplitRequest, bucket: str, shards: list[dict[str, Any]]
) -> tuple[bytes, dict[str, Any]]:
    previous = PreviousSides()
    for dataset_type in DATASET_TYPES:
        if snapshot := _snapshot_before(run_of_type(run, dataset_type)):
            for page in snapshot.ledger_pages():
                # Images that have moved to another bucket, which they do all together, stay on their sides.
                previous.add(_SIDES[dataset_type], bucket, page)
    rules = SplitRules(
        prefix=request.folder_prefix,
        test_share=request.test_share,
        group_by=request.group_by,
        freeze_test=request.freeze_test,
    )
    splitter = Splitter(rules, bucket, previous)
    for page in pages_of(run, shards):
        splitter.add(page)
    split = splitter.split()
    report: dict[str, Any] = msgspec.to_builtins(split.report)
    for violation in split.report.violations:
        log.warning("%s: %s %s %s", violation.code, violation.message, violation.detail, violation.next_step)
    if split.report.leakage.units:
        log.warning("%s sets of images that belong together are on both sides.", split.report.leakage.units)
    return split.sides, report


def _snapshot_before(run: ImportRun) -> RegisteredSnapshot | None:
    """The snapshot that says on which side images were before: of the same import, as it was last registered.

    A run of a time before that sees only earlier ones: a backfill that is repeated sees what it saw the first time.
    What a dry run has split binds no run that registers.
    """
    base = registered_base(run)
    if base is not None and base.summary.as_of <= run.as_of:
        return base
    return nearest_whole_snapshot(run.s3, run.dataset, run.as_of, is_registered=run.request.register)


def _service_sides(run: ImportRun, shards: list[dict[str, Any]]) -> bytes:
    """Where Rekognition's own distribution put each image; all are training images until it has made one."""
    dataset = run.rekognition.find_dataset(run.request.project, "TEST")
    is_ready = dataset is not None and dataset["Status"].endswith("_COMPLETE")
    entries = run.rekognition.iterate_dataset_entries(dataset["DatasetArn"]) if dataset and is_ready else iter(())
    # By key: images that move to another bucket, which they do all together, stay where they are.
    tested = {identity(read_entry(entry.encode())[0]).split("/", 3)[3] for entry in entries}
    sides = bytearray()
    for page in pages_of(run, shards):
        for key, state in zip(page.objects.keys, page.states, strict=True):
            if state in IN_MANIFEST:
                sides.append(Side.TEST if key in tested else Side.TRAIN)
    return bytes(sides)
