from __future__ import annotations

from pathlib import Path

import pytest

from include.custom_labels.codes import Code, codes_as_markdown, codes_in_status_message

DOCUMENT = Path(__file__).parents[2] / "docs" / "error-codes.md"

# Every code of the Developer Guide's pages on dataset errors and training errors.
_NAMES = """
    ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT ERROR_MANIFEST_SIZE_TOO_LARGE
    ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM ERROR_INVALID_PERMISSIONS_MANIFEST_S3_BUCKET
    ERROR_TOO_MANY_RECORDS_IN_ERROR ERROR_MANIFEST_TOO_MANY_LABELS
    ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_DISTRIBUTE ERROR_EMPTY_MANIFEST ERROR_CANNOT_WRITE_OUTPUT_S3_BUCKET
    ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
    ERROR_INVALID_PERMISSIONS_IMAGES_S3_BUCKET ERROR_INVALID_IMAGES_S3_BUCKET_OWNER
    ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_AUTOSPLIT ERROR_MANIFEST_TOO_FEW_LABELS
    ERROR_INSUFFICIENT_LABEL_OVERLAP ERROR_MANIFEST_TOO_FEW_USABLE_LABELS
    ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP ERROR_FAILED_IMAGES_S3_COPY
    ERROR_MISSING_SOURCE_REF ERROR_INVALID_SOURCE_REF_FORMAT ERROR_NO_LABEL_ATTRIBUTES
    ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT
    ERROR_NO_VALID_LABEL_ATTRIBUTES ERROR_MISSING_BOUNDING_BOX_CONFIDENCE ERROR_MISSING_CLASS_MAP_ID
    ERROR_INVALID_JSON_LINE ERROR_INVALID_IMAGE ERROR_INVALID_IMAGE_DIMENSION ERROR_INVALID_BOUNDING_BOX
    ERROR_BOUNDING_BOX_TOO_SMALL ERROR_TOO_MANY_BOUNDING_BOXES ERROR_NO_VALID_ANNOTATIONS
    ERROR_UNSUPPORTED_USE_CASE_TYPE ERROR_INVALID_LABEL_NAME_LENGTH
    WARNING_UNANNOTATED_RECORD WARNING_NO_ANNOTATIONS WARNING_NO_ATTRIBUTE_ANNOTATIONS
"""
AWS_CODES = sorted(_NAMES.split())


def test_aws_codes_are_exactly_those_of_the_guide() -> None:
    assert sorted(code for code in Code if code.is_aws) == AWS_CODES


def test_every_code_says_what_is_wrong_and_what_to_do() -> None:
    for code in Code:
        assert code == code.name
        assert code.message
        assert code.next_step.endswith(".")
        assert code.phases
        assert code.severity == ("warning" if code.startswith("WARNING_") else "error")


@pytest.mark.parametrize("code", [code for code in Code if code.is_aws])
def test_a_code_is_found_by_its_message_and_by_its_name(code: Code) -> None:
    message = code.message.replace("{}", "bounding-box")
    assert code in codes_in_status_message(f"Dataset update failed. {message}")
    assert codes_in_status_message(f"failed with {code}") == [code]


def test_a_message_of_another_matter_has_no_code() -> None:
    assert codes_in_status_message("The dataset is ready.") == []


def test_the_documentation_holds_the_generated_tables() -> None:
    assert codes_as_markdown() in DOCUMENT.read_text(encoding="utf-8"), (
        "run `python -m include.custom_labels codes --markdown` and paste its output into docs/error-codes.md"
    )
