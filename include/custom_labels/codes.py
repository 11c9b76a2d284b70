"""Codes of everything that can be wrong with a manifest: AWS's, and ours where AWS gives none.

Messages of AWS's codes are those that Amazon Rekognition shows, because `codes_in_status_message` finds a code by
its message: the service reports messages, not codes. Sources: Custom Labels Developer Guide, *Terminal errors*
(datasets), *Non-terminal errors* (datasets), *Terminal manifest content errors*, *Non-terminal JSON line validation
errors*, *JSON line error precedence*.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal

Scope = Literal["file", "dataset", "line", "attribute", "metadata", "annotation"]
Severity = Literal["error", "warning"]
Phase = Literal["dataset", "training"]

_DATASET: Final[tuple[Phase, ...]] = ("dataset",)
_TRAINING: Final[tuple[Phase, ...]] = ("training",)
_BOTH: Final[tuple[Phase, ...]] = ("dataset", "training")


class Code(StrEnum):
    """A stable code; it is its own text.

    :ivar scope: what the finding is attached to
    :ivar phases: when Amazon Rekognition acts on it: while it makes or updates the dataset, while it trains, or both
    :ivar is_aws: whether AWS has the code; otherwise it is this project's
    :ivar message: what is wrong, in one sentence
    :ivar next_step: what to do about it, in one sentence
    """

    scope: Scope
    phases: tuple[Phase, ...]
    is_aws: bool
    message: str
    next_step: str

    def __new__(
        cls, code: str, scope: Scope, phases: tuple[Phase, ...], origin: str, message: str, next_step: str
    ) -> Code:
        member = str.__new__(cls, code)
        member._value_ = code
        member.scope = scope
        member.phases = phases
        member.is_aws = origin == "AWS"
        member.message = message
        member.next_step = next_step
        return member

    @property
    def severity(self) -> Severity:
        """``warning`` when Amazon Rekognition goes on as if nothing were wrong, else ``error``."""
        return "warning" if self.startswith("WARNING_") else "error"

    # The file as a whole.
    ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT = (
        "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT", "file", _BOTH, "AWS",
        "The manifest file extension or contents are invalid.",
        "Give the manifest's key an extension such as .manifest, and check its bucket, key and Region.",
    )  # fmt: skip
    ERROR_MANIFEST_SIZE_TOO_LARGE = (
        "ERROR_MANIFEST_SIZE_TOO_LARGE", "file", _BOTH, "AWS",
        "The manifest file size exceeds the maximum supported size.",
        "Write fewer or shorter lines; a manifest may have 1 GB.",
    )  # fmt: skip
    ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM = (
        "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM", "file", _BOTH, "AWS",
        "The manifest file has too many rows.",
        "Import fewer images, or ask AWS for a higher quota where the Region has one.",
    )  # fmt: skip
    ERROR_INVALID_PERMISSIONS_MANIFEST_S3_BUCKET = (
        "ERROR_INVALID_PERMISSIONS_MANIFEST_S3_BUCKET", "file", _BOTH, "AWS",
        "The S3 bucket permissions are incorrect.",
        "Let the caller read the manifest's bucket: s3:GetObject, s3:GetBucketLocation and s3:GetBucketAcl.",
    )  # fmt: skip
    ERROR_TOO_MANY_RECORDS_IN_ERROR = (
        "ERROR_TOO_MANY_RECORDS_IN_ERROR", "file", _BOTH, "AWS",
        "The manifest file has too many terminal errors.",
        "Correct the lines that Rekognition would drop; the other findings name them.",
    )  # fmt: skip
    ERROR_MANIFEST_TOO_MANY_LABELS = (
        "ERROR_MANIFEST_TOO_MANY_LABELS", "dataset", _BOTH, "AWS",
        "The manifest file has too many labels.",
        "Use at most 250 labels: merge some, or import a part.",
    )  # fmt: skip
    ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_DISTRIBUTE = (
        "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_DISTRIBUTE", "dataset", _DATASET, "AWS",
        "The manifest file doesn't have enough labeled images to distribute the dataset.",
        "Add labelled images to the training dataset; five for each label let one of them move.",
    )  # fmt: skip
    ERROR_EMPTY_MANIFEST = (
        "ERROR_EMPTY_MANIFEST", "file", _BOTH, "AWS",
        "The manifest file is empty.",
        "Check that there are PNG or JPEG images where the import looks.",
    )  # fmt: skip
    ERROR_CANNOT_WRITE_OUTPUT_S3_BUCKET = (
        "ERROR_CANNOT_WRITE_OUTPUT_S3_BUCKET", "file", _TRAINING, "AWS",
        "Unable to write to output S3 bucket.",
        "Let the caller write to the output bucket of the training: s3:PutObject.",
    )  # fmt: skip
    ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST = (
        "ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST", "dataset", _BOTH, "AWS",
        "The manifest file contains too many invalid rows.",
        "Correct lines until at most 20 % of them are invalid; the other findings name them.",
    )  # fmt: skip
    ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS = (
        "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS", "dataset", _BOTH, "AWS",
        "The manifest file contains images from multiple S3 buckets.",
        "Copy all images into one bucket and point every source-ref at it.",
    )  # fmt: skip
    ERROR_INVALID_PERMISSIONS_IMAGES_S3_BUCKET = (
        "ERROR_INVALID_PERMISSIONS_IMAGES_S3_BUCKET", "dataset", _TRAINING, "AWS",
        "The permissions for the images S3 bucket are invalid.",
        "Let the caller read the images' bucket: s3:GetObject, s3:GetBucketLocation and s3:GetBucketAcl.",
    )  # fmt: skip
    ERROR_INVALID_IMAGES_S3_BUCKET_OWNER = (
        "ERROR_INVALID_IMAGES_S3_BUCKET_OWNER", "dataset", _TRAINING, "AWS",
        "Invalid owner id for images S3 bucket.",
        "Keep images and manifest in buckets of the same owner.",
    )  # fmt: skip
    ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_AUTOSPLIT = (
        "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_AUTOSPLIT", "dataset", _TRAINING, "AWS",
        "The manifest file contains insufficient labeled images per label to perform auto-split.",
        "Add labelled images for every label, or bring a test dataset of your own.",
    )  # fmt: skip
    ERROR_MANIFEST_TOO_FEW_LABELS = (
        "ERROR_MANIFEST_TOO_FEW_LABELS", "dataset", _TRAINING, "AWS",
        "The manifest file has too few labels.",
        "Label images before training: two labels at image level, one for bounding boxes.",
    )  # fmt: skip
    ERROR_INSUFFICIENT_LABEL_OVERLAP = (
        "ERROR_INSUFFICIENT_LABEL_OVERLAP", "dataset", _TRAINING, "AWS",
        "Less than 50% label overlap between the training and testing manifest files.",
        "Add test images for the training labels that the test dataset lacks.",
    )  # fmt: skip
    ERROR_MANIFEST_TOO_FEW_USABLE_LABELS = (
        "ERROR_MANIFEST_TOO_FEW_USABLE_LABELS", "dataset", _TRAINING, "AWS",
        "The manifest file has too few usable labels.",
        "Correct the invalid lines: the labels that are left stand on valid lines only.",
    )  # fmt: skip
    ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP = (
        "ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP", "dataset", _TRAINING, "AWS",
        "Less than 50% usable label overlap between the training and testing manifest files.",
        "Correct the invalid lines of both manifests: half of the usable training labels need test images.",
    )  # fmt: skip
    ERROR_FAILED_IMAGES_S3_COPY = (
        "ERROR_FAILED_IMAGES_S3_COPY", "dataset", _TRAINING, "AWS",
        "Failed to copy images from S3 bucket.",
        "Check that the images exist and that the caller may use the bucket's KMS key.",
    )  # fmt: skip

    # One line, found first: any of these ends the checks of the line.
    ERROR_JSON_LINE_TOO_LONG = (
        "ERROR_JSON_LINE_TOO_LONG", "line", _DATASET, "ours",
        "The JSON Line has more than 100,000 characters; Rekognition drops it without a word.",
        "Shorten the line: remove attributes that are no labels.",
    )  # fmt: skip
    ERROR_INVALID_JSON_LINE = (
        "ERROR_INVALID_JSON_LINE", "line", _BOTH, "AWS",
        "The JSON Line has an invalid format.",
        "Write one JSON object a line, in UTF-8, with nothing before or behind it and no blank lines.",
    )  # fmt: skip
    ERROR_MISSING_SOURCE_REF = (
        "ERROR_MISSING_SOURCE_REF", "line", _BOTH, "AWS",
        "The source-ref key is missing.",
        "Add source-ref with the image's S3 location.",
    )  # fmt: skip
    ERROR_INVALID_SOURCE_REF_FORMAT = (
        "ERROR_INVALID_SOURCE_REF_FORMAT", "line", _BOTH, "AWS",
        "The format of the source-ref value is invalid.",
        "Write it as s3://example-bucket/folder/image.png.",
    )  # fmt: skip
    ERROR_DUPLICATE_SOURCE_REF = (
        "ERROR_DUPLICATE_SOURCE_REF", "line", _DATASET, "ours",
        "The image already has a line in this manifest; Rekognition drops this one without a word.",
        "Keep one line for each image, with all its labels.",
    )  # fmt: skip
    ERROR_NO_LABEL_ATTRIBUTES = (
        "ERROR_NO_LABEL_ATTRIBUTES", "line", _BOTH, "AWS",
        "No label attributes found.",
        "Give every label attribute its -metadata attribute of the same name, and the other way round.",
    )  # fmt: skip
    ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT = (
        "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "attribute", _BOTH, "AWS",
        "The format of the label attribute {} is invalid.",
        "Write an integer for an image-level label, or image_size and annotations for bounding boxes.",
    )  # fmt: skip
    ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT = (
        "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT", "metadata", _BOTH, "AWS",
        "The format of the label attribute metadata is invalid.",
        "Complete the metadata; the detail names the first field that is missing or wrong.",
    )  # fmt: skip
    ERROR_MISSING_BOUNDING_BOX_CONFIDENCE = (
        "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", "metadata", _BOTH, "AWS",
        "One or more bounding boxes has a missing confidence value.",
        "Give objects one confidence for each annotation, in the same order.",
    )  # fmt: skip
    ERROR_MISSING_CLASS_MAP_ID = (
        "ERROR_MISSING_CLASS_MAP_ID", "metadata", _BOTH, "AWS",
        "One of more class ids is missing from the class map.",
        "Add the class_id, as text, to class-map.",
    )  # fmt: skip

    # One line, found afterwards.
    ERROR_INVALID_IMAGE = (
        "ERROR_INVALID_IMAGE", "line", _TRAINING, "AWS",
        "The image is invalid. Check S3 path and/or image properties.",
        "Use a PNG or JPEG of at most 15 MB, 64 to 4096 pixels a side and at most 20:1, and check its key.",
    )  # fmt: skip
    ERROR_INVALID_IMAGE_DIMENSION = (
        "ERROR_INVALID_IMAGE_DIMENSION", "attribute", _BOTH, "AWS",
        "The image dimension(s) do not conform to allowed dimensions.",
        "Correct image_size, or scale the image to 64 to 4096 pixels a side and its boxes with it.",
    )  # fmt: skip
    ERROR_INVALID_BOUNDING_BOX = (
        "ERROR_INVALID_BOUNDING_BOX", "annotation", _BOTH, "AWS",
        "The bounding box has off frame values.",
        "Keep the box inside image_size, without negative values, or remove it.",
    )  # fmt: skip
    ERROR_BOUNDING_BOX_TOO_SMALL = (
        "ERROR_BOUNDING_BOX_TOO_SMALL", "annotation", _BOTH, "AWS",
        "The height and width of the bounding box is too small.",
        "Enlarge or remove the box; sides over 1280 pixels are scaled down first.",
    )  # fmt: skip
    ERROR_TOO_MANY_BOUNDING_BOXES = (
        "ERROR_TOO_MANY_BOUNDING_BOXES", "attribute", _BOTH, "AWS",
        "There are more bounding boxes than the allowed maximum.",
        "Keep at most 50 boxes an image.",
    )  # fmt: skip
    ERROR_NO_VALID_ANNOTATIONS = (
        "ERROR_NO_VALID_ANNOTATIONS", "attribute", _BOTH, "AWS",
        "No valid annotations found.",
        "Correct at least one box of the attribute.",
    )  # fmt: skip
    ERROR_UNSUPPORTED_USE_CASE_TYPE = (
        "ERROR_UNSUPPORTED_USE_CASE_TYPE", "metadata", _BOTH, "AWS",
        "The use case type of the {} label attribute metadata is unsupported. Check the type field.",
        "Use groundtruth/image-classification or groundtruth/object-detection; convert other jobs first.",
    )  # fmt: skip
    ERROR_INVALID_LABEL_NAME_LENGTH = (
        "ERROR_INVALID_LABEL_NAME_LENGTH", "metadata", _BOTH, "AWS",
        "The length of the label name is invalid.",
        "Use labels of 1 to 255 characters.",
    )  # fmt: skip
    ERROR_INVALID_LABEL_NAME = (
        "ERROR_INVALID_LABEL_NAME", "metadata", _BOTH, "ours",
        "The label name has a line break or another control character.",
        "Rename the label.",
    )  # fmt: skip
    ERROR_TOO_MANY_LABELS_PER_IMAGE = (
        "ERROR_TOO_MANY_LABELS_PER_IMAGE", "line", _TRAINING, "ours",
        "The image has more than 50 different labels.",
        "Keep at most 50 labels an image.",
    )  # fmt: skip
    ERROR_NO_VALID_LABEL_ATTRIBUTES = (
        "ERROR_NO_VALID_LABEL_ATTRIBUTES", "line", _BOTH, "AWS",
        "No valid label attributes found.",
        "Correct at least one label attribute of the line; its other findings say how.",
    )  # fmt: skip
    WARNING_UNANNOTATED_RECORD = (
        "WARNING_UNANNOTATED_RECORD", "line", _TRAINING, "AWS",
        "Record is unannotated.",
        "Label the image, or leave it: training ignores it.",
    )  # fmt: skip
    WARNING_NO_ANNOTATIONS = (
        "WARNING_NO_ANNOTATIONS", "line", _TRAINING, "AWS",
        "No annotations provided.",
        "Draw boxes on the image, or leave it: training ignores it.",
    )  # fmt: skip
    WARNING_NO_ATTRIBUTE_ANNOTATIONS = (
        "WARNING_NO_ATTRIBUTE_ANNOTATIONS", "attribute", _TRAINING, "AWS",
        "No attribute annotations provided.",
        "Add boxes to the attribute, or remove the attribute.",
    )  # fmt: skip
    WARNING_INCOMPLETE_LABEL_ATTRIBUTE = (
        "WARNING_INCOMPLETE_LABEL_ATTRIBUTE", "attribute", _DATASET, "ours",
        "The line has labels, but this attribute is only half of a pair and gives none.",
        "Add the missing half, or remove the attribute.",
    )  # fmt: skip
    WARNING_CREATION_DATE_FORMAT = (
        "WARNING_CREATION_DATE_FORMAT", "metadata", _DATASET, "ours",
        "The creation date is not written as a date and time.",
        "Write it in UTC as 2026-11-22T20:00:00.",
    )  # fmt: skip
    WARNING_LARGE_IMAGE_FILE = (
        "WARNING_LARGE_IMAGE_FILE", "line", _TRAINING, "ours",
        "The image has between 15,000,000 and 15,728,640 bytes; AWS does not say which of the two its 15 MB is.",
        "Compress the image to be safe.",
    )  # fmt: skip

    # The dataset, ours.
    WARNING_MIXED_ANNOTATION_TYPES = (
        "WARNING_MIXED_ANNOTATION_TYPES", "dataset", _TRAINING, "ours",
        "The manifest has image-level labels and bounding boxes; training uses one kind and drops the other.",
        "Make one dataset for each kind.",
    )  # fmt: skip
    WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL = (
        "WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL", "dataset", _TRAINING, "ours",
        "A label has more than 1,000 test images.",
        "Move images of the label to the training dataset.",
    )  # fmt: skip
    WARNING_EMPTY_SIDE = (
        "WARNING_EMPTY_SIDE", "dataset", _TRAINING, "ours",
        "The split leaves one of the two datasets without an image: it is not made, or loses what this import brought.",
        "Images stay on the side where they were: bring back those that left, add images of each label, or split them "
        "anew in another project.",
    )  # fmt: skip
    WARNING_SAME_CONTENT_LABELS = (
        "WARNING_SAME_CONTENT_LABELS", "line", _TRAINING, "ours",
        "Images with the same content have different labels, and training learns both.",
        "Keep the image under the label that is right, or label it right in the gallery.",
    )  # fmt: skip
    WARNING_IMAGE_IN_TRAIN_AND_TEST = (
        "WARNING_IMAGE_IN_TRAIN_AND_TEST", "line", _TRAINING, "ours",
        "The image is in the training dataset and in the test dataset, which flatters the test results.",
        "Remove it from one of them.",
    )  # fmt: skip


_MESSAGES: Final = [
    (re.compile(re.escape(code.message).replace(r"\{\}", ".+?").replace("50%", r"\d+%")), code)
    for code in Code
    if code.is_aws
]


def codes_in_status_message(text: str) -> list[Code]:
    """AWS's codes whose messages, or whose names, stand in a dataset's ``StatusMessage``, in the order above."""
    return [code for pattern, code in _MESSAGES if pattern.search(text) or re.search(rf"\b{code}\b", text)]


def codes_as_markdown() -> str:
    """All codes as the tables of ``docs/error-codes.md``."""
    parts = []
    for title, is_aws in (("AWS's codes", True), ("This project's codes", False)):
        rows = [
            f"| `{code}` | {code.severity} | {code.scope} | {', '.join(code.phases)} | {code.message} "
            f"| {code.next_step} |"
            for code in Code
            if code.is_aws is is_aws
        ]
        head = "| code | severity | attached to | acts on | message | what to do |\n|---|---|---|---|---|---|"
        parts.append(f"## {title}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)
