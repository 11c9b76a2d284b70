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
from include.pipelines.requests.split import SplitRequest

REQUEST_TYPES: dict[str, type[ImportRequest]] = {
    "s3_folder": S3FolderRequest,
    "local_computer": LocalComputerRequest,
    "ground_truth": GroundTruthRequest,
    "existing_dataset": ExistingDatasetRequest,
}
"""By the tag of the source."""

__all__ = [
    "REQUEST_TYPES",
    "AccessNeeds",
    "ExistingDatasetRequest",
    "GroundTruthRequest",
    "ImportRequest",
    "LocalComputerRequest",
    "PastNeeds",
    "S3FolderRequest",
    "SplitRequest",
    "form",
    "is_past_run",
    "run_as_of",
    "run_slug",
]
