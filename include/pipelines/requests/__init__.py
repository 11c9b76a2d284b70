"""Import requests, one module a source."""

from include.pipelines.requests.base import (
    AccessNeeds,
    ImportRequest,
    PastNeeds,
    form,
    is_past_run,
    run_as_of,
    run_slug,
)
from include.pipelines.requests.existing_dataset import ExistingDatasetRequest
from include.pipelines.requests.ground_truth import GroundTruthRequest
from include.pipelines.requests.local_computer import LocalComputerRequest
from include.pipelines.requests.s3_folder import S3FolderRequest

__all__ = [
    "AccessNeeds",
    "ExistingDatasetRequest",
    "GroundTruthRequest",
    "ImportRequest",
    "LocalComputerRequest",
    "PastNeeds",
    "S3FolderRequest",
    "form",
    "is_past_run",
    "run_as_of",
    "run_slug",
]
