from __future__ import annotations

import json

from include.custom_labels.codes import Code
from include.custom_labels.findings import Finding, FindingReport


def finding(code: Code, line_number: int = 1) -> Finding:
    return Finding(code=code, line_number=line_number, source_ref="s3://example-bucket/a.png")


def test_totals_are_true_and_samples_are_capped() -> None:
    report = FindingReport()
    for line_number in range(1, 101):
        report.add(finding(Code.ERROR_INVALID_IMAGE, line_number))
    report.add(finding(Code.WARNING_UNANNOTATED_RECORD))
    assert report.totals == {Code.ERROR_INVALID_IMAGE: 100, Code.WARNING_UNANNOTATED_RECORD: 1}
    assert [each.line_number for each in report.samples(Code.ERROR_INVALID_IMAGE)] == list(range(1, 21))
    assert not report.has_room(Code.ERROR_INVALID_IMAGE)
    assert report.has_room(Code.WARNING_UNANNOTATED_RECORD)
    assert (report.errors, report.warnings) == (100, 1)


def test_kept_findings_come_by_code() -> None:
    report = FindingReport(samples_per_code=1)
    for code in (Code.WARNING_NO_ANNOTATIONS, Code.ERROR_EMPTY_MANIFEST, Code.WARNING_NO_ANNOTATIONS):
        report.add(finding(code))
    assert [each.code for each in report] == [Code.ERROR_EMPTY_MANIFEST, Code.WARNING_NO_ANNOTATIONS]


def test_a_finding_says_what_where_and_what_to_do() -> None:
    found = Finding(
        code=Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, line_number=3, attribute="bounding-box", detail="x" * 1000
    )
    as_json = json.loads(json.dumps(found.as_dict()))
    assert as_json["code"] == "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"
    assert as_json["severity"] == "error"
    assert as_json["line_number"] == 3
    assert as_json["source_ref"] is None
    assert as_json["message"] == "The format of the label attribute bounding-box is invalid."
    assert as_json["next_step"]
    assert len(as_json["detail"]) == 300
