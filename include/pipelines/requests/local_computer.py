"""The request of the import source *Upload images from your computer*."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from include.custom_labels.errors import RequestError
from include.custom_labels.local_files import IMAGES_PER_BATCH, UPLOAD_ID
from include.custom_labels.locations import S3FolderLocation
from include.pipelines.requests.base import IMAGES, RUN, AccessNeeds, ImportRequest


class LocalComputerRequest(
    ImportRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="local_computer"
):
    """The import source *Local computer*."""

    upload_id: Annotated[
        Annotated[str, Meta(pattern=rf"^{UPLOAD_ID}$(?!\n)")] | None,
        Meta(
            title="Upload",
            description="Images that were uploaded from a browser: the id that the upload page showed.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    local_folder: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="Local folder",
            description=(
                "In place of an upload: a folder that every worker has at the same path, such as "
                "`/mnt/example-images`; it is sent with its child folders in batches of 30."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    destination: Annotated[
        Annotated[str, Meta(pattern=r"^s3://[0-9A-Za-z.\-_]{3,255}(/[\s\S]*)?$")] | None,
        Meta(
            title="Destination",
            description=(
                "The S3 folder that the images are uploaded to. Empty: the folder of the last import into the "
                "dataset, or for a new dataset the workspace's folder `images/<project>/<type>/`."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    automatic_labeling: Annotated[
        bool,
        Meta(
            title="Automatic labeling",
            description="Automatically attach a label to my images based on the folder they're stored in.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = False
    max_images: Annotated[
        int,
        Meta(
            title="Images an upload",
            description="An upload with more images than this is refused; a local folder may have any number.",
            ge=1,
            extra_json_schema={"section": IMAGES},
        ),
    ] = IMAGES_PER_BATCH
    as_of: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(
            title="As of",
            description=(
                "The time that the snapshot is named after; files are taken as they are now. "
                "Empty: the end of the run's data interval, else its logical date, else the time of the trigger."
            ),
            extra_json_schema={"section": RUN},
        ),
    ] = None

    def check(self) -> None:
        """:raises RequestError: INVALID_PARAMETER, INVALID_LOCAL_FOLDER or INVALID_S3_LOCATION"""
        if (self.upload_id is None) == (self.local_folder is None):
            raise RequestError(
                "INVALID_PARAMETER",
                "Images come from either an upload or a local folder.",
                "Give exactly one of `upload_id` and `local_folder`.",
            )
        folder = self.local_folder
        # With links on the way, a path with .. is another one than it looks like.
        if folder is not None and (not folder.startswith("/") or ".." in folder.split("/") or "\0" in folder):
            raise RequestError(
                "INVALID_LOCAL_FOLDER",
                f"{folder!r} is not an absolute path without `..`.",
                "Write it as /mnt/example-images.",
                folder=folder,
            )
        if self.destination is not None:
            S3FolderLocation.parse(self.destination)

    @property
    def images_folder(self) -> S3FolderLocation | None:
        """The destination that was asked for."""
        return None if self.destination is None else S3FolderLocation.parse(self.destination)

    @property
    def needs(self) -> AccessNeeds:
        """What is known before the dataset is asked where its images are."""
        return AccessNeeds(destinations=() if self.images_folder is None else (self.images_folder,))
