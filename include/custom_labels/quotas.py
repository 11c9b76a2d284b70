"""Every limit of Custom Labels datasets, once: value, unit and where it is written.

What the documentation leaves open is decided here: *15 MB* and *1 GB* are binary for the hard limit, so that
nothing is refused which Amazon Rekognition might accept, and images above the decimal figure get a warning.
Both kinds of dataset have the same default of 250,000 images; only the image-level one can be raised, on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DatasetType = Literal["TRAIN", "TEST"]

_GUIDE: Final = "Custom Labels Developer Guide, Guidelines and quotas"
_RULES: Final = "Custom Labels Developer Guide, Validation rules for manifest files"
_ERRORS: Final = "Custom Labels Developer Guide, Non-terminal JSON line validation errors"
_MODEL: Final = "Rekognition API model 2016-06-27"
_GENERAL: Final = "AWS General Reference, Amazon Rekognition endpoints and quotas"
_GROUND_TRUTH: Final = "SageMaker Developer Guide, Ground Truth input data"
_OURS: Final = "this project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One limit. ``value`` counts ``unit``; ``source`` names the page or model that states it."""

    name: str
    value: int
    unit: str
    source: str


ALL_QUOTAS: Final[dict[str, Quota]] = {}


def _quota(name: str, value: int, unit: str, source: str) -> Quota:
    quota = Quota(name=name, value=value, unit=unit, source=source)
    ALL_QUOTAS[name] = quota
    return quota


MIN_IMAGE_SIDE_PX = _quota("min_image_side_px", 64, "pixels", _GUIDE)
MAX_IMAGE_SIDE_PX = _quota("max_image_side_px", 4096, "pixels", _GUIDE)
MAX_ASPECT_RATIO = _quota("max_aspect_ratio", 20, "longer side / shorter side", _GUIDE)
MAX_IMAGE_FILE_BYTES = _quota("max_image_file_bytes", 15 * 1024**2, "bytes", f"{_GUIDE}: 15 MB, read as binary")
IMAGE_FILE_WARNING_BYTES = _quota("image_file_warning_bytes", 15 * 10**6, "bytes", f"{_GUIDE}: 15 MB, read as decimal")

MAX_BOXES_PER_IMAGE = _quota("max_boxes_per_image", 50, "bounding boxes", _GUIDE)
BOX_SCALING_SIDE_PX = _quota("box_scaling_side_px", 1280, "pixels", f"{_ERRORS}: ERROR_BOUNDING_BOX_TOO_SMALL")
BOX_SIDE_OVER_PX = _quota("box_side_over_px", 1, "pixels after scaling", f"{_ERRORS}: ERROR_BOUNDING_BOX_TOO_SMALL")

MAX_LABELS_PER_IMAGE = _quota("max_labels_per_image", 50, "labels", _GUIDE)
MIN_LABELS_IMAGE_LEVEL = _quota("min_labels_image_level", 2, "labels", _GUIDE)
MIN_LABELS_LOCALIZATION = _quota("min_labels_localization", 1, "labels", _GUIDE)
MAX_LABELS = _quota("max_labels", 250, "labels", _GUIDE)
MAX_LABEL_NAME_LENGTH = _quota("max_label_name_length", 255, "characters", f"{_MODEL}: DatasetLabel")
MIN_TRAIN_IMAGES_PER_LABEL = _quota("min_train_images_per_label", 1, "images", _GUIDE)
MAX_TEST_IMAGES_PER_LABEL = _quota("max_test_images_per_label", 1000, "images", _GUIDE)
MIN_LABEL_OVERLAP_PERCENT = _quota("min_label_overlap_percent", 50, "percent of the training labels", _RULES)

MAX_MANIFEST_BYTES = _quota("max_manifest_bytes", 1024**3, "bytes", f"{_GUIDE}: 1 GB, read as binary")
MAX_INVALID_LINES_PERCENT = _quota("max_invalid_lines_percent", 20, "percent of all lines; more is refused", _RULES)
MAX_JSON_LINE_LENGTH = _quota("max_json_line_length", 100_000, "characters", f"{_MODEL}: DatasetEntry")
MAX_ATTRIBUTE_LENGTH = _quota("max_attribute_length", 20_000, "characters", f"{_GROUND_TRUTH}; not enforced")

MAX_IMAGES = _quota("max_images", 250_000, "images", _GUIDE)
MAX_IMAGES_ON_REQUEST = _quota("max_images_on_request", 500_000, "images, image-level labels only", _GUIDE)
MAX_TRAIN_IMAGES_SMALL_REGION = _quota("max_train_images_small_region", 28_000, "images, Mumbai and London", _GUIDE)
MAX_TEST_IMAGES_SMALL_REGION = _quota("max_test_images_small_region", 7_000, "images, Mumbai and London", _GUIDE)
MAX_DATASETS_PER_TYPE = _quota("max_datasets_per_type", 1, "datasets", _GUIDE)
MAX_PROJECTS = _quota("max_projects", 100, "projects an account and Region", _GENERAL)
DISTRIBUTED_PERCENT = _quota("distributed_percent", 20, "percent moved from train to test", _GUIDE)

REQUESTS_PER_SECOND = _quota(
    "requests_per_second", 5, "requests a second, for each operation, account and Region", _GENERAL
)
TAG_REQUESTS_PER_SECOND = _quota(
    "tag_requests_per_second", 10, "requests a second, for each operation, account and Region", _GENERAL
)
MAX_PAGE_SIZE = _quota("max_page_size", 100, "entries a page", f"{_MODEL}: ListDatasetEntriesPageSize")
MAX_UPDATE_BLOB_BYTES = _quota("max_update_blob_bytes", 5_242_880, "bytes", f"{_MODEL}: GroundTruthBlob")
SAFE_UPDATE_BYTES: Final = 3_700_000
"""Bytes of a batch of entries that are below the limit whether AWS counts them before or after base64 (4/3 of them),
which is not documented."""
MAX_CONTAINS_LABELS = _quota("max_contains_labels", 10, "labels a filter", f"{_MODEL}: ContainsLabels")
MAX_PROJECT_NAME_LENGTH = _quota("max_project_name_length", 255, "characters", f"{_MODEL}: ProjectName")
MIN_BUCKET_NAME_LENGTH = _quota("min_bucket_name_length", 3, "characters", f"{_MODEL}: S3Bucket")
MAX_BUCKET_NAME_LENGTH = _quota("max_bucket_name_length", 255, "characters", f"{_MODEL}: S3Bucket")
MAX_OBJECT_KEY_BYTES = _quota("max_object_key_bytes", 1024, "bytes of UTF-8", "S3 User Guide, Object keys")
MAX_TAGS = _quota("max_tags", 200, "tags", f"{_MODEL}: TagMap")

MAX_LOCAL_UPLOAD_IMAGES = _quota(
    "max_local_upload_images",
    30,
    "images an upload",
    "Custom Labels Developer Guide, Local computer",
)
NEAR_INVALID_LINES_PERCENT = _quota("near_invalid_lines_percent", 15, "percent of all images; more is a risk", _OURS)
NEAR_QUOTA_PERCENT = _quota("near_quota_percent", 90, "percent of a quota; more is a risk", _OURS)
MAX_FINDING_SAMPLES = _quota("max_finding_samples", 20, "findings kept for each code", _OURS)

IMAGE_FORMATS: Final = ("PNG", "JPEG")

SMALL_REGIONS: Final = {"ap-south-1": "Asia Pacific (Mumbai)", "eu-west-2": "Europe (London)"}
"""Regions whose image quotas are lower, and fixed. Source: Guidelines and quotas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The limits that depend on the Region: images of a dataset, which are the lines of its manifest.

    The two ``…_on_request`` hold for image-level labels after AWS has raised the quota.
    """

    region: str
    train_images: int
    test_images: int
    train_images_on_request: int
    test_images_on_request: int

    def images(self, dataset_type: DatasetType) -> int:
        """The default number of images, which is the number of manifest lines, that a dataset may have."""
        return self.train_images if dataset_type == "TRAIN" else self.test_images


def regional_quotas(region: str) -> Quotas:
    """The image quotas of a Region, by its code, such as ``eu-west-2``. Unknown Regions have the general ones."""
    if region in SMALL_REGIONS:
        train, test = MAX_TRAIN_IMAGES_SMALL_REGION.value, MAX_TEST_IMAGES_SMALL_REGION.value
        return Quotas(
            region=region,
            train_images=train,
            test_images=test,
            train_images_on_request=train,
            test_images_on_request=test,
        )
    images, on_request = MAX_IMAGES.value, MAX_IMAGES_ON_REQUEST.value
    return Quotas(
        region=region,
        train_images=images,
        test_images=images,
        train_images_on_request=on_request,
        test_images_on_request=on_request,
    )
