from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.imports import FinishedImport, ImportRecord, project_name, run_url


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("alexa-devices", "alexa-devices"),
        ("My holiday (2026)", "My-holiday-2026"),
        ("食べ物", "images"),
        ("---", "images"),
        ("a" * 300, "a" * 255),
        ("v1.0_final", "v1.0_final"),
    ],
)
def test_a_folder_gives_a_project_name_that_aws_takes(folder: str, expected: str) -> None:
    assert project_name(folder) == expected
    assert re.fullmatch(r"[a-zA-Z0-9_.\-]{1,255}", project_name(folder))


def test_a_run_id_is_one_part_of_the_address() -> None:
    url = run_url("http://127.0.0.1:8080", "import_s3_folder", "manual__2026-11-22T20:00:00+00:00")
    assert url == "http://127.0.0.1:8080/dags/import_s3_folder/runs/manual__2026-11-22T20%3A00%3A00%2B00%3A00"


def test_the_record_keeps_one_import_per_folder(tmp_path: Path) -> None:
    folder = "s3://example-images/食/"
    record = ImportRecord(tmp_path)
    assert record.find(folder) is None
    imported = FinishedImport(dag_id="import_s3_folder", run_url="http://127.0.0.1:8080/1", result={"n": 1})
    record.add(folder, imported)
    assert ImportRecord(tmp_path).find(folder) == imported
    record.forget(folder)
    assert record.find(folder) is None
    record.forget(folder)
