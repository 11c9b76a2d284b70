"""Why an object is in its ledger state.

AWS's own codes for lines and images are in `include.custom_labels.codes`; these are ours, for what happens to
objects before a line is written.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A stable code, with what it means and what to do in `explanation`."""

    explanation: str
    # As in State: equal to its text, and counted for every row of a ledger.
    __hash__ = str.__hash__

    def __new__(cls, code: str, explanation: str = "") -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation = explanation
        return member

    # labelled
    IN_FOLDER = "IN_FOLDER", "Labelled with the first folder below the imported one."
    # unlabelled
    AT_FOLDER_LEVEL = (
        "AT_FOLDER_LEVEL",
        "The image lies in the imported folder itself; move it into a child folder to label it.",
    )
    EMPTY_FOLDER_NAME = (
        "EMPTY_FOLDER_NAME",
        "The child folder has no name (two slashes in a row), so that it cannot be a label; rename the key.",
    )
    AUTOMATIC_LABELING_OFF = "AUTOMATIC_LABELING_OFF", "Automatic labeling was turned off for this import."
    # skipped
    FOLDER_MARKER = "FOLDER_MARKER", "An object that only stands for a folder; nothing to do."
    SYSTEM_FILE = "SYSTEM_FILE", "A file that an operating system or a tool left behind; nothing to do."
    NOT_AN_IMAGE_NAME = "NOT_AN_IMAGE_NAME", "The file extension is plainly not an image's; nothing to do."
    OTHER_IMAGE_NAME = (
        "OTHER_IMAGE_NAME",
        "The file extension is of an image format that Rekognition does not read; convert it to PNG or JPEG.",
    )
    EXCLUDED = "EXCLUDED", "A pattern of the import leaves it out."
    NEWER_THAN_AS_OF = (
        "NEWER_THAN_AS_OF",
        "The object was written after the time that the import is as of, so that its entry stays as it is; run again "
        "with a later `as_of`.",
    )
    HISTORY_COPY = (
        "HISTORY_COPY",
        "A copy of an image's earlier version, kept for datasets as of the past; nothing to do.",
    )
    # quarantined
    EMPTY_OBJECT = "EMPTY_OBJECT", "The object has no bytes; upload the image again."
    NOT_PNG_OR_JPEG = (
        "NOT_PNG_OR_JPEG",
        "The content is neither PNG nor JPEG; convert the image or remove it.",
    )
    DAMAGED_HEADER = "DAMAGED_HEADER", "The image header is damaged or cut off; upload the image again."
    FILE_TOO_LARGE = (
        "FILE_TOO_LARGE",
        "The file is over the size that Rekognition reads; compress or scale it.",
    )
    SIDE_TOO_SHORT = "SIDE_TOO_SHORT", "A side has fewer pixels than Rekognition reads; use a larger image."
    SIDE_TOO_LONG = "SIDE_TOO_LONG", "A side has more pixels than Rekognition reads; scale the image down."
    ASPECT_TOO_EXTREME = "ASPECT_TOO_EXTREME", "The long side is too long for the short one; crop the image."
    UNREADABLE = "UNREADABLE", "The object may be listed but not read; grant s3:GetObject (and kms:Decrypt)."
    VANISHED = "VANISHED", "The object was deleted between listing and reading; run again."
    CHANGED = "CHANGED", "The object was overwritten between listing and reading; run again."
    HISTORY_KEY_TOO_LONG = (
        "HISTORY_KEY_TOO_LONG",
        "The copy of the earlier version would have a key of over 1,024 bytes.",
    )
    # rejected
    LABEL_TOO_LONG = "LABEL_TOO_LONG", "The folder's name is longer than a label may be; rename the folder."
    LABEL_NOT_ALLOWED = (
        "LABEL_NOT_ALLOWED",
        "The label has a line break or another control character; rename the folder, or the label at its source.",
    )
    # registered, with a remark
    NAME_CONTRADICTS_CONTENT = (
        "NAME_CONTRADICTS_CONTENT",
        "The file extension says one format and the content is the other; imported by its content.",
    )
    LARGE_FILE = (
        "LARGE_FILE",
        "Between 15,000,000 and 15,728,640 bytes: AWS does not say which of the two its 15 MB is; imported.",
    )
    KEPT_DATASET_ENTRY = (
        "KEPT_DATASET_ENTRY",
        "The dataset's entry is not what was last sent (a person's work), so it was left as it is; `entry` has it.",
    )
    OVERWRITTEN_DATASET_ENTRY = (
        "OVERWRITTEN_DATASET_ENTRY",
        "A person's work gave way to the source, as `human_edits` asked; `entry` and the snapshot's `entries.manifest` "
        "have it.",
    )
    # after a merge with the dataset's entries
    BOXES_DO_NOT_FIT = (
        "BOXES_DO_NOT_FIT",
        "The image was replaced by one of another size than its boxes were drawn on; they are kept aside in `entry` "
        "until it fits again. Put the old image back, or draw new boxes.",
    )
    HELD_UNTIL_REPLACED = (
        "HELD_UNTIL_REPLACED",
        "Gone from the source; the entry stays until the dataset is replaced (`removals: replace`).",
    )
    REMOVED_AT_SOURCE = (
        "REMOVED_AT_SOURCE",
        "Gone from the source and from the dataset; a person's work on it is kept aside in `entry`, and comes back "
        "with the image.",
    )
    WORK_KEPT_ASIDE = (
        "WORK_KEPT_ASIDE",
        "Removed by an earlier run; a person's work on it is kept aside in `entry`, and comes back with the image.",
    )
    # dropped
    DROPPED_BY_SERVICE = (
        "DROPPED_BY_SERVICE",
        "Sent, but not in the dataset afterwards; see the entry's line.",
    )
    ENTRY_ERROR = "ENTRY_ERROR", "The dataset holds the entry with an error; see its code in `detail`."
    # in the dataset, and in no ledger of its imports
    ADDED_ELSEWHERE = (
        "ADDED_ELSEWHERE",
        "In the dataset, and brought by none of its imports: added in the console or otherwise; nothing to do.",
    )
    # annotations that were brought along
    IN_ANNOTATIONS = "IN_ANNOTATIONS", "Labelled by the annotations that were imported."
    NO_ANNOTATIONS = "NO_ANNOTATIONS", "The imported annotations name the image and have no label for it."
    REPAIRED = "REPAIRED", "Imported after the repairs that `detail` names."
    BELOW_MIN_CONFIDENCE = (
        "BELOW_MIN_CONFIDENCE",
        "All labels of the image are below the least confidence that is imported.",
    )
    NOT_ANNOTATED = "NOT_ANNOTATED", "The annotations do not name this object of the images' folder; nothing to do."
    BLANK_LINE = "BLANK_LINE", "A line of the annotations without content; nothing to do."
    NO_ANNOTATION_FILE = "NO_ANNOTATION_FILE", "No annotation file by its name; nothing to do."
    UNUSABLE_ANNOTATION = (
        "UNUSABLE_ANNOTATION",
        "The annotations of this image cannot be used; `detail` has the codes.",
    )
    REPEATED_IMAGE = (
        "REPEATED_IMAGE",
        "The annotations name the image more than once; the first counts. Keep one, with all its labels.",
    )
    IMAGE_NOT_FOUND = (
        "IMAGE_NOT_FOUND",
        "The image is not there; check its key, which is case-sensitive, or upload it.",
    )
    COPY_FAILED = "COPY_FAILED", "The image could not be copied; `detail` has the code. Run again to try again."
    # entries of another dataset
    FROM_DATASET = "FROM_DATASET", "Copied from the source dataset with its labels."
    UNLABELLED_AT_SOURCE = "UNLABELLED_AT_SOURCE", "Copied from the source dataset, where it has no label."
    ERRORS_AT_SOURCE = (
        "ERRORS_AT_SOURCE",
        "Copied as it is from the source dataset, where it has the errors in `detail`; fix it in the gallery.",
    )
    UNUSABLE_ENTRY = (
        "UNUSABLE_ENTRY",
        "The source dataset's entry names no image that can be found; `detail` has the code.",
    )
    COPY_CONFLICT = (
        "COPY_CONFLICT",
        "Another image lies where this one would be copied to, and stays.",
    )
    # files of a person's computer
    HIDDEN_FILE = "HIDDEN_FILE", "A hidden file or folder; rename it to import it."
    SPECIAL_FILE = "SPECIAL_FILE", "No regular file but a socket, pipe or device; nothing to do."
    SYMLINK_TO_FOLDER = (
        "SYMLINK_TO_FOLDER",
        "A symbolic link to a folder is not followed; its files are imported where they are.",
    )
    SYMLINK_OUTSIDE = (
        "SYMLINK_OUTSIDE",
        "A symbolic link that leads out of the folder is not followed; put the image itself there.",
    )
    UNSAFE_NAME = "UNSAFE_NAME", "The file's name cannot be that of an object (`detail`); rename it."
    UNREADABLE_FILE = "UNREADABLE_FILE", "The file or folder cannot be read; let the worker's user read it."
    NAME_TAKEN = "NAME_TAKEN", "Another image lies under this name at the destination, and stays; rename the file."
    IN_LAST_SNAPSHOT = "IN_LAST_SNAPSHOT", "In the dataset since an earlier import; this one left it as it was."
    # the other dataset of the same import
    IN_TEST_DATASET = "IN_TEST_DATASET", "In the test dataset of the same import; nothing to do."
    IN_TRAIN_DATASET = "IN_TRAIN_DATASET", "In the train dataset of the same import; nothing to do."
    IN_TRAIN_LEDGER = (
        "IN_TRAIN_LEDGER",
        "In neither dataset of the import; the ledger of its train dataset says why.",
    )
    LINKED_TO_FROZEN_TEST = (
        "LINKED_TO_FROZEN_TEST",
        "It has the content or the group of images of the frozen test dataset; unfreeze it to import the image.",
    )
