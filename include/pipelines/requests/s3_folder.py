"""The request of the import source *Import images from S3 bucket*."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.quotas import MAX_LABEL_NAME_LENGTH
from include.pipelines.requests.base import IMAGES, AccessNeeds
from include.pipelines.requests.split import SplitRequest


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
            pattern=r"^s3://[0-9A-Za-z.\-_]{3,255}(/[\s\S]*)?$",
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
        dict[str, Annotated[str, Meta(min_length=1, max_length=MAX_LABEL_NAME_LENGTH.value)]],
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

    def check(self) -> None:
        """:raises RequestError: INVALID_S3_LOCATION, or INVALID_GROUP_BY"""
        super().check()
        S3FolderLocation.parse(self.s3_folder)

    @property
    def needs(self) -> AccessNeeds:
        return AccessNeeds(folder=self.location)

    @property
    def scope(self) -> str:
        return str(self.location)

    @property
    def folder_prefix(self) -> str:
        return self.location.prefix

    @property
    def location(self) -> S3FolderLocation:
        return S3FolderLocation.parse(self.s3_folder)

    def labelling(self, as_of: datetime) -> FolderLabelling:
        """The folder rule with this request's choices."""
        return FolderLabelling(
            prefix=self.location.prefix,
            automatic_labeling=self.automatic_labeling,
            label_aliases=self.label_aliases,
            exclude=self.exclude,
            as_of=f"{as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        )
