"""Every limit of Custom Labels datasets, once: value, unit and where it is written.

Two things that the documentation leaves open are decided here. *15 MB* and *1 GB* are taken as binary for the
hard limit, so that nothing is refused which Amazon Rekognition might accept; images above the decimal figure get
a warning. The documentation gives image-level and localization datasets the same default of 250,000 images; only
the image-level one can be raised, to 500,000, and only on request.
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


IMAGE_SIDE_MIN = _quota("image_side_min", 64, "pixels", _GUIDE)
IMAGE_SIDE_MAX = _quota("image_side_max", 4096, "pixels", _GUIDE)
IMAGE_ASPECT_MAX = _quota("image_aspect_max", 20, "longer side / shorter side", _GUIDE)
IMAGE_SIZE_MAX = _quota("image_size_max", 15 * 1024**2, "bytes", f"{_GUIDE}: 15 MB, read as binary")
IMAGE_SIZE_WARNING = _quota("image_size_warning", 15 * 10**6, "bytes", f"{_GUIDE}: 15 MB, read as decimal")

BOXES_PER_IMAGE_MAX = _quota("boxes_per_image_max", 50, "bounding boxes", _GUIDE)
BOX_SCALING_SIDE = _quota("box_scaling_side", 1280, "pixels", f"{_ERRORS}: ERROR_BOUNDING_BOX_TOO_SMALL")
BOX_SIDE_OVER = _quota("box_side_over", 1, "pixels after scaling", f"{_ERRORS}: ERROR_BOUNDING_BOX_TOO_SMALL")

LABELS_PER_IMAGE_MAX = _quota("labels_per_image_max", 50, "labels", _GUIDE)
LABELS_MIN_IMAGE_LEVEL = _quota("labels_min_image_level", 2, "labels", _GUIDE)
LABELS_MIN_LOCALIZATION = _quota("labels_min_localization", 1, "labels", _GUIDE)
LABELS_MAX = _quota("labels_max", 250, "labels", _GUIDE)
LABEL_NAME_LENGTH_MAX = _quota("label_name_length_max", 255, "characters", f"{_MODEL}: DatasetLabel")
TRAIN_IMAGES_PER_LABEL_MIN = _quota("train_images_per_label_min", 1, "images", _GUIDE)
TEST_IMAGES_PER_LABEL_MAX = _quota("test_images_per_label_max", 1000, "images", _GUIDE)
LABEL_OVERLAP_MIN = _quota("label_overlap_min", 50, "percent of the training labels", _RULES)

MANIFEST_SIZE_MAX = _quota("manifest_size_max", 1024**3, "bytes", f"{_GUIDE}: 1 GB, read as binary")
INVALID_LINES_MAX = _quota("invalid_lines_max", 20, "percent of all lines; more is refused", _RULES)
JSON_LINE_LENGTH_MAX = _quota("json_line_length_max", 100_000, "characters", f"{_MODEL}: DatasetEntry")
ATTRIBUTE_LENGTH_MAX = _quota("attribute_length_max", 20_000, "characters", f"{_GROUND_TRUTH}; not enforced")

IMAGES_PER_DATASET_MAX = _quota("images_per_dataset_max", 250_000, "images", _GUIDE)
IMAGES_PER_DATASET_ON_REQUEST = _quota(
    "images_per_dataset_on_request", 500_000, "images, image-level labels only", _GUIDE
)
SMALL_REGION_TRAIN_IMAGES_MAX = _quota(
    "small_region_train_images_max", 28_000, "images, Mumbai and London", _GUIDE
)
SMALL_REGION_TEST_IMAGES_MAX = _quota(
    "small_region_test_images_max", 7_000, "images, Mumbai and London", _GUIDE
)
DATASETS_PER_PROJECT_AND_TYPE = _quota("datasets_per_project_and_type", 1, "datasets", _GUIDE)
PROJECTS_MAX = _quota("projects_max", 100, "projects an account and Region", _GENERAL)
DISTRIBUTED_SHARE = _quota("distributed_share", 20, "percent moved from train to test", _GUIDE)

REQUESTS_PER_SECOND = _quota(
    "requests_per_second", 5, "requests a second, for each operation, account and Region", _GENERAL
)
TAG_REQUESTS_PER_SECOND = _quota(
    "tag_requests_per_second", 10, "requests a second, for each operation, account and Region", _GENERAL
)
PAGE_SIZE_MAX = _quota("page_size_max", 100, "entries a page", f"{_MODEL}: ListDatasetEntriesPageSize")
UPDATE_BLOB_SIZE_MAX = _quota("update_blob_size_max", 5_242_880, "bytes", f"{_MODEL}: GroundTruthBlob")
CONTAINS_LABELS_MAX = _quota("contains_labels_max", 10, "labels a filter", f"{_MODEL}: ContainsLabels")
PROJECT_NAME_LENGTH_MAX = _quota("project_name_length_max", 255, "characters", f"{_MODEL}: ProjectName")
BUCKET_NAME_LENGTH_MIN = _quota("bucket_name_length_min", 3, "characters", f"{_MODEL}: S3Bucket")
BUCKET_NAME_LENGTH_MAX = _quota("bucket_name_length_max", 255, "characters", f"{_MODEL}: S3Bucket")
OBJECT_KEY_SIZE_MAX = _quota(
    "object_key_size_max", 1024, "bytes of UTF-8", "Amazon S3 User Guide, Object keys"
)
TAGS_MAX = _quota("tags_max", 200, "tags", f"{_MODEL}: TagMap")

LOCAL_UPLOAD_BATCH_MAX = _quota(
    "local_upload_batch_max",
    30,
    "images an upload",
    "Custom Labels Developer Guide, Local computer; console only",
)
FINDING_SAMPLES_MAX = _quota("finding_samples_max", 20, "findings kept for each code", _OURS)

IMAGE_FORMATS: Final = ("PNG", "JPEG")

SMALL_REGIONS: Final = {"ap-south-1": "Asia Pacific (Mumbai)", "eu-west-2": "Europe (London)"}
"""Regions whose image quotas are lower, and fixed. Source: Guidelines and quotas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The limits that depend on the Region. ``train_images`` and ``test_images`` bound the lines of a manifest.

    ``train_images_on_request`` and ``test_images_on_request`` hold for image-level labels after a quota increase.
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
    """The image quotas of a Region by its code, such as ``eu-west-2``. Any other Region has the general ones."""
    if region in SMALL_REGIONS:
        train, test = SMALL_REGION_TRAIN_IMAGES_MAX.value, SMALL_REGION_TEST_IMAGES_MAX.value
        return Quotas(
            region=region,
            train_images=train,
            test_images=test,
            train_images_on_request=train,
            test_images_on_request=test,
        )
    images, on_request = IMAGES_PER_DATASET_MAX.value, IMAGES_PER_DATASET_ON_REQUEST.value
    return Quotas(
        region=region,
        train_images=images,
        test_images=images,
        train_images_on_request=on_request,
        test_images_on_request=on_request,
    )
