"""Mapped over shards: where each image is, in a run as of the past, and what it is, by its first bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from include.custom_labels.images import inspect, unread
from include.custom_labels.ledger import LedgerPage, LedgerSummary
from include.custom_labels.locations import S3Uri
from include.object_store.probing import probe_headers
from include.object_store.tables import read_ledger, write_ledger
from include.pipelines.past_folder import bring_versions
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress, step

log = logging.getLogger(__name__)


@step
def inspect_images(run: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Read format and size of each image from its first bytes, and quarantine what Rekognition would not read.

    In a run as of the past, images that have been overwritten or deleted since are first copied from their versions to
    the history folder.
    """
    described = {"shard": shard["shard"], "bucket": shard["bucket"]}
    if shard["old_versions"]:
        shard = bring_versions(ImportRun.from_json(run), shard)
    if not shard["unread"]:
        log.info("Shard %s: nothing has to be read of %s images.", shard["shard"], f"{shard['images']:,}")
        return {**described, "ledger": shard["ledger"]}
    import_run = ImportRun.from_json(run)
    bucket = shard["bucket"]
    progress = Progress("images inspected", shard["unread"])
    summary = LedgerSummary()

    def inspected() -> Iterator[LedgerPage]:
        done = 0
        for page in read_ledger(import_run.s3, S3Uri.parse(shard["ledger"])):
            wanted = unread(page)
            outcomes = probe_headers(import_run.s3, bucket, page.objects, wanted=wanted)
            moved = inspect(page, outcomes)
            summary.add(moved)
            done += sum(wanted)
            progress(done)
            yield moved

    stored = write_ledger(import_run.s3, import_run.staged(f"inspected/{shard['shard']:04}.parquet"), inspected())
    states = {str(state): count for state, count in summary.states.items()}
    log.info("Shard %s: %s", shard["shard"], states)
    return {**described, "ledger": str(stored.uri)}
