"""From inspected shards to one manifest with its ledger, checked by AWS's rules before AWS sees it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from include.custom_labels.advice import advise
from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.findings import Finding, FindingReport
from include.custom_labels.ledger import AT_FAULT, IN_MANIFEST, LedgerPage, LedgerSummary, State
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_FINDING_SAMPLES, MAX_INVALID_LINES_PERCENT
from include.custom_labels.refusals import refused
from include.custom_labels.same_content import ContentLabels, SameContent, first_same_content
from include.custom_labels.validation import ManifestValidator
from include.custom_labels.visible_text import visible
from include.object_store.folder_manifest import write_manifest
from include.object_store.streams import put_json, read_chunks
from include.object_store.tables import read_ledger
from include.pipelines.runs import ImportRun
from include.pipelines.steps import step

_SEEN = IN_MANIFEST | AT_FAULT

log = logging.getLogger(__name__)


@step
def build_manifest(run: dict[str, Any], inspected: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Write the Ground Truth manifest, sorted by key, and the ledger of every object that was seen.

    Fails when more than 20 % of the images are at fault, as Rekognition would if it got their lines.
    """
    import_run = ImportRun.from_json(run)
    shards = sorted(inspected, key=lambda shard: shard["shard"])
    bucket = shards[0]["bucket"]
    summary = LedgerSummary()
    objects = hashlib.sha256()
    contents = ContentLabels()

    def pages() -> Iterator[LedgerPage]:
        for shard in shards:
            for page in read_ledger(import_run.s3, S3Uri.parse(shard["ledger"])):
                objects.update(_objects(page))
                contents.add(page)
                yield page

    ledger = import_run.staged("ledger.parquet")
    written = write_manifest(
        import_run.s3,
        import_run.staged(f"{import_run.dataset.name}.manifest"),
        bucket,
        pages(),
        ledger=ledger,
        summary=summary,
    )
    log.info("%s lines in %s", f"{summary.in_manifest:,}", written.manifest.uri)
    if not shards[0].get("is_divided"):
        check_faults(summary, lambda: str(ledger), import_run.request.parameters)
    disputed = contents.disputed()
    same = first_same_content(read_ledger(import_run.s3, ledger), disputed) if disputed else []
    return {
        "bucket": bucket,
        "manifest": str(written.manifest.uri),
        "manifest_sha256": written.manifest.sha256,
        "manifest_size_bytes": written.manifest.size_bytes,
        "objects_sha256": objects.hexdigest(),
        "ledger": str(ledger),
        "lines": summary.in_manifest,
        "images_per_label": dict(summary.images_per_label),
        "is_divided": bool(shards[0].get("is_divided")),
        "arriving_work": shards[0].get("arriving_work", ""),
        "labelled": summary.states[State.LABELLED],
        "images": summary.images,
        "at_fault": summary.at_fault,
        "fault_samples": fault_samples(summary),
        "findings": [*shards[0].get("findings", ()), *_same_content(bucket, len(disputed), same)],
    }


def fault_samples(summary: LedgerSummary) -> list[str]:
    """The keys of the first objects at fault, some for each reason."""
    samples = sorted((pair, rows) for pair, rows in summary.samples.items() if pair[0] in AT_FAULT)
    return [key for _, rows in samples for key, _ in rows][: MAX_FINDING_SAMPLES.value]


def _objects(page: LedgerPage) -> bytes:
    """What tells whether the images of a page, or their bytes, are others; of images at fault, too."""
    rows = zip(page.states, page.objects.keys, page.objects.etags, page.objects.sizes, strict=True)
    return "".join(f"{key}\0{etag}\0{size}\n" for state, key, etag, size in rows if state in _SEEN).encode()


def check_faults(summary: LedgerSummary, ledger: Callable[[], str], parameters: Collection[str]) -> None:
    """Stop an import with more faults than Rekognition takes, or without an image.

    :param ledger: writes the ledger, unless it is written, and says where it is
    :param parameters: that the import's source has
    :raises ManifestError: ERROR_TOO_MANY_RECORDS_IN_ERROR, or ERROR_EMPTY_MANIFEST
    """
    limit = MAX_INVALID_LINES_PERCENT.value
    if summary.at_fault * 100 > summary.images * limit:
        raise refused(
            Code.ERROR_TOO_MANY_RECORDS_IN_ERROR,
            f"{summary.at_fault:,} of {summary.images:,} images are at fault, more than {limit} %",
            "Fix them and run again.",
            summary,
            ledger=ledger(),
            parameters=parameters,
            states=AT_FAULT,
        )
    if not summary.in_manifest:
        raise refused(
            Code.ERROR_EMPTY_MANIFEST,
            f"None of the {summary.objects:,} objects is an image to import",
            "Check where the import looks and what it leaves out.",
            summary,
            ledger=ledger(),
            parameters=parameters,
        )


@step
def validate_manifest(run: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    """Check the manifest as it lies in S3 by AWS's own codes, rules and quotas.

    Fails where Rekognition would refuse it. The findings are in ``findings.json`` beside the manifest.
    """
    import_run = ImportRun.from_json(run)
    validator = ManifestValidator(
        region=import_run.region, dataset_type=import_run.dataset_type, may_be_empty=built["is_divided"]
    )
    for chunk in read_chunks(import_run.s3, S3Uri.parse(built["manifest"])):
        validator.feed(chunk)
    result = validator.finish()
    _add_findings(result.report, built["findings"])
    findings = [finding.as_dict() for finding in result.report]
    totals = {str(code): total for code, total in result.report.totals.items()}
    uri = import_run.staged("findings.json")
    put_json(import_run.s3, uri, {"totals": totals, "findings": findings})
    for finding in findings:
        log.warning("%s line %s: %s %s", finding["code"], finding["line_number"], finding["message"], finding["detail"])
    errors = [f for f in result.report if f.code.severity == "error" and "dataset" in f.code.phases]
    if not result.is_usable or (result.invalid_lines and not import_run.request.keeps_invalid_lines):
        first = errors[0]
        counts = ", ".join(f"{code} {total:,}" for code, total in result.report.totals.items())
        raise ManifestError(
            first.code,
            f"{first.message} {first.detail}".strip(),
            f"{advise(first.code, first.next_step, import_run.request.parameters)} Found: {counts}; all are in {uri}",
            findings=str(uri),
        )
    return {
        "findings": str(uri),
        "totals": totals,
        "labels": len(result.images_per_label),
    }


def _same_content(bucket: str, total: int, same: list[SameContent]) -> list[dict[str, Any]]:
    """The finding that images are the same under different labels, as `validate_manifest` takes it."""
    samples = [{"source_ref": f"s3://{bucket}/{each.key}", "detail": visible("; ".join(each.images))} for each in same]
    return [{"code": str(Code.WARNING_SAME_CONTENT_LABELS), "total": total, "samples": samples}] if samples else []


def _add_findings(report: FindingReport, findings: Iterable[Mapping[str, Any]]) -> None:
    """What the manifest's lines do not say, and the steps before know."""
    for found in findings:
        code = Code[found["code"]]
        for sample in found["samples"]:
            report.add(Finding(code=code, **sample))
        report.totals[code] = found["total"]
