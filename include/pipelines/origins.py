"""What an import is an import of, as it was resolved: the same thing typed in two ways is one origin.

Each origin of a dataset has a base of its own, see `include.custom_labels.merge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.object_store.registered_snapshot import RegisteredSnapshot
from include.object_store.snapshots import read_current
from include.pipelines.dataset_merge import UPLOADS, base_of
from include.pipelines.ground_truth import output_of_job
from include.pipelines.requests import (
    ExistingDatasetRequest,
    GroundTruthRequest,
    LocalComputerRequest,
    S3FolderRequest,
)
from include.pipelines.runs import ImportRun


def origin_of(run: ImportRun, provenance: Mapping[str, Any] | None) -> str:
    """The origin of a run's images.

    :param provenance: what the source's tasks found out about it
    """
    request = run.request
    match request:
        case S3FolderRequest():
            return str(request.location)
        case GroundTruthRequest():
            if request.annotations is not None:
                return str(request.annotations)
            return str(output_of_job(request))
        case ExistingDatasetRequest():
            return dataset_of((provenance or {})["dataset_arn"])
        case LocalComputerRequest():
            return UPLOADS


def dataset_of(arn: str) -> str:
    """Account, Region, project and type of a dataset, which stay when it is replaced."""
    return arn.rpartition("/")[0]


def registered_base(run: ImportRun, provenance: Mapping[str, Any] | None = None) -> RegisteredSnapshot | None:
    """The snapshot that the same import of the dataset was last registered from; None where it never was.

    :param provenance: as for `origin_of`
    :raises DocumentError: it is missing or damaged
    """
    found = read_current(run.s3, run.dataset)
    return base_of(run, found[0], origin_of(run, provenance)) if found else None
