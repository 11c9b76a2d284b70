"""Links from a task to the Rekognition Custom Labels console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink

# The console's route to a project is public; the ones to the gallery below it are not, and have changed before.
PROJECT_PAGE = BASE_AWS_CONSOLE_LINK + "/rekognition/custom-labels?region={region_name}#/projects/{project_name}"


class RekognitionProjectLink(BaseAwsLink):
    """Helper class for constructing the console link of a Custom Labels project."""

    name = "Rekognition Project"
    key = "rekognition_project"
    format_str = PROJECT_PAGE


class RekognitionDatasetLink(BaseAwsLink):
    """Helper class for constructing the console link of the project page that leads to a dataset's gallery."""

    name = "Rekognition Dataset"
    key = "rekognition_dataset"
    format_str = PROJECT_PAGE
