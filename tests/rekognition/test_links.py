from __future__ import annotations

import pytest

from include.rekognition.links import RekognitionDatasetLink, RekognitionProjectLink


@pytest.mark.parametrize("link_class", [RekognitionProjectLink, RekognitionDatasetLink])
@pytest.mark.parametrize(("partition", "domain"), [("aws", "aws.amazon.com"), ("aws-us-gov", "amazonaws-us-gov.com")])
def test_console_page(link_class: type, partition: str, domain: str) -> None:
    link = link_class()
    assert link.format_link(
        aws_domain=link.get_aws_domain(partition), region_name="eu-west-1", project_name="example-project"
    ) == (f"https://console.{domain}/rekognition/custom-labels?region=eu-west-1#/projects/example-project")


def test_names_and_keys_differ() -> None:
    assert RekognitionProjectLink.name != RekognitionDatasetLink.name
    assert RekognitionProjectLink.key != RekognitionDatasetLink.key
