"""Import requests, one module a source."""

from include.pipelines.requests.base import AccessNeeds, ImportRequest, form, run_as_of, run_slug
from include.pipelines.requests.s3_folder import S3FolderRequest

__all__ = ["AccessNeeds", "ImportRequest", "S3FolderRequest", "form", "run_as_of", "run_slug"]
