"""The request of the import source *Import images from S3 bucket*."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from include.custom_labels.errors import RequestError
from include.custom_labels.label_names import LABEL_PATTERN
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.quotas import MAX_LABEL_NAME_LENGTH
from include.pipelines.requests.base import IMAGES, RUN, AccessNeeds, PastNeeds
from include.pipelines.requests.split import SplitRequest

_S3_LOCATION = r"^s3://[0-9A-Za-z.\-_]{3,255}(/[\s\S]*)?$"


class S3FolderRequest(
    SplitRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="s3_folder"
):
    """The import source *Import images from S3 bucket*."""

    s3_folder: Annotated[
        str,
        Meta(
            title="S3 folder location",
            description=(
                "The folder whose child folders hold the images, such as `s3://example-images/alexa-devices/`; "
                "the trailing slash makes no difference."
            ),
            pattern=_S3_LOCATION,
            extra_json_schema={"section": IMAGES},
        ),
    ] = "s3://example-images/alexa-devices/"
    automatic_labeling: Annotated[
        bool,
        Meta(
            title="Automatic labeling",
            description="Automatically attach a label to my images based on the folder they're stored in.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = True
    label_aliases: Annotated[
        dict[str, Annotated[str, Meta(min_length=1, max_length=MAX_LABEL_NAME_LENGTH.value, pattern=LABEL_PATTERN)]],
        Meta(
            title="Label aliases",
            description='Labels to use in place of folder names, such as `{"echo-dot": "Echo Dot"}`.',
            extra_json_schema={"section": IMAGES},
        ),
    ] = msgspec.field(default_factory=dict)
    exclude: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            title="Exclude",
            description=(
                "Patterns of keys below the folder that are left out, such as `*/thumbs/*`; `*` also matches slashes."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = msgspec.field(default_factory=list)
    unversioned: Annotated[
        Literal["fail", "accept"],
        Meta(
            title="Without versions",
            description=(
                "For a run as of the past in a bucket that keeps no versions. `fail`: say what cannot be known, and "
                "end. `accept`: import what is left of that time."
            ),
            extra_json_schema={"section": RUN},
        ),
    ] = "fail"
    history_folder: Annotated[
        Annotated[str, Meta(pattern=_S3_LOCATION)] | None,
        Meta(
            title="History folder",
            description=(
                "For a run as of the past: the S3 folder in the images' bucket that old versions are copied to. "
                "Empty: the workspace, where it is in the same bucket."
            ),
            extra_json_schema={"section": RUN},
        ),
    ] = None

    def check(self) -> None:
        """:raises RequestError: INVALID_S3_LOCATION, INVALID_GROUP_BY, or HISTORY_FOLDER_ELSEWHERE"""
        super().check()
        bucket = self.location.bucket
        if self.history_folder is not None and S3FolderLocation.parse(self.history_folder).bucket != bucket:
            raise RequestError(
                "HISTORY_FOLDER_ELSEWHERE",
                f"{self.history_folder} is not in {bucket}, and all images of a dataset lie in one bucket.",
                f"Choose a folder in s3://{bucket}/, or leave `history_folder` empty.",
            )

    @property
    def needs(self) -> AccessNeeds:
        return AccessNeeds(folder=self.location)

    def past_needs(self, workspace: S3FolderLocation) -> AccessNeeds:
        past = PastNeeds(history=self.history(workspace), accepts_unversioned=self.unversioned == "accept")
        return AccessNeeds(folder=self.location, past=past)

    def history(self, workspace: S3FolderLocation) -> S3FolderLocation | None:
        """Where old versions are copied to; None where no place in the images' bucket is known."""
        if self.history_folder is not None:
            return S3FolderLocation.parse(self.history_folder)
        return workspace if workspace.bucket == self.location.bucket else None

    @property
    def images_folder(self) -> S3FolderLocation:
        """The S3 folder location."""
        return self.location

    @property
    def folder_prefix(self) -> str:
        return self.location.prefix

    @property
    def location(self) -> S3FolderLocation:
        return S3FolderLocation.parse(self.s3_folder)

    def labelling(self, as_of: str) -> FolderLabelling:
        """The folder rule with this request's choices.

        :param as_of: as in a `FolderLabelling`
        """
        return FolderLabelling(
            prefix=self.location.prefix,
            automatic_labeling=self.automatic_labeling,
            label_aliases=self.label_aliases,
            exclude=self.exclude,
            as_of=as_of,
        )
