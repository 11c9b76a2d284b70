"""Images from a browser into the workspace, where `import_local_computer` finds them.

::

    uploads/<upload id>/[<folder>/]<upload id>-<number>.<jpg|png>

An object's name is ours, so that no two uploads meet at their destination; only the folder, which may become a label,
is a person's word. The name that the file had is kept with the object, for people.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import ManifestError, RequestError
from include.custom_labels.image_headers import ImageFormat, ImageHeader, NeedMore, read_header
from include.custom_labels.images import image_fault
from include.custom_labels.label_names import is_allowed
from include.custom_labels.local_files import IMAGES_PER_BATCH, name_fault
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.quotas import MAX_LABEL_NAME_LENGTH
from include.custom_labels.visible_text import shortened
from include.gallery.messages import Upload, UploadedImage
from include.gallery.services import Services
from include.object_store.copies import ORIGINAL_NAME, SHA256
from include.object_store.failures import error_of_boto3
from include.object_store.listing import list_objects

MAX_IMAGES: Final = IMAGES_PER_BATCH

_EXTENSIONS: Final = {ImageFormat.PNG: "png", ImageFormat.JPEG: "jpg"}
_SIDES: Final = "image-sides"
_MAX_SHOWN_NAME: Final = 100
"""S3 keeps 2 KB of metadata, and a character may take twelve bytes of them."""
_HEADS_AT_ONCE: Final = 8


def new_upload_id(now: datetime) -> str:
    """An id that nobody can guess; the time in it says when what lies there may be removed."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"


class Uploads:
    """The images that browsers sent.

    :param services: give S3 and the workspace as they are now
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def put(self, upload_id: str, number: int, *, name: str, folder: str, data: bytes) -> UploadedImage:
        """Store one image, in place of the one of the same number.

        :param data: the whole file, which was seen to be an image that can be decoded
        :raises RequestError: UPLOAD_NAME_REFUSED, or TOO_MANY_IMAGES
        :raises ManifestError: UPLOAD_NOT_AN_IMAGE
        :raises AccessError: what S3 answers
        """
        if number >= MAX_IMAGES:
            raise RequestError(
                "TOO_MANY_IMAGES",
                f"One upload has at most {MAX_IMAGES} images.",
                "Send the rest as an upload of its own.",
            )
        check_folder(folder)
        header = check_image(data)
        place = self._services.workspace().uploads(upload_id)
        stem = f"{upload_id}-{number:02}"
        target = place.uri(f"{folder}/{stem}" if folder else stem)
        target = S3Uri(target.bucket, f"{target.key}.{_EXTENSIONS[header.format]}")
        digest = hashlib.sha256(data)
        s3 = self._services.s3()
        try:
            s3.client.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=data,
                # S3 refuses the bytes if they are not these.
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                Metadata={
                    SHA256: digest.hexdigest(),
                    ORIGINAL_NAME: quote(shortened(name, _MAX_SHOWN_NAME), safe=" "),
                    _SIDES: f"{header.width}x{header.height}",
                },
                ContentType="image/png" if header.format is ImageFormat.PNG else "image/jpeg",
            )
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, target) from error
        for key in self._keys(place):
            if key != target.key and _number_of(key) == number:
                self._on_object(s3.client.delete_object, S3Uri(target.bucket, key))
        return UploadedImage(
            number=number,
            name=shortened(name, _MAX_SHOWN_NAME),
            folder=folder,
            key=target.key,
            width=header.width,
            height=header.height,
            size_bytes=len(data),
        )

    def get(self, upload_id: str) -> Upload:
        """What has arrived, by number.

        :raises RequestError: UPLOAD_NOT_FOUND
        :raises AccessError: what S3 answers
        """
        place = self._services.workspace().uploads(upload_id)
        keys = self._keys(place)
        if not keys:
            raise RequestError(
                "UPLOAD_NOT_FOUND",
                f"No image of the upload {upload_id} has arrived.",
                "Upload the images again.",
            )
        with ThreadPoolExecutor(_HEADS_AT_ONCE, thread_name_prefix="s3-head") as threads:
            images = list(threads.map(lambda key: self._described(place, key), keys))
        return Upload(upload_id=upload_id, images=sorted(images, key=lambda image: image.number))

    def _keys(self, place: S3FolderLocation) -> list[str]:
        return [key for page in list_objects(self._services.s3(), place) for key in page.keys if _number_of(key) >= 0]

    def _described(self, place: S3FolderLocation, key: str) -> UploadedImage:
        head = self._on_object(self._services.s3().client.head_object, S3Uri(place.bucket, key))
        width, _, height = head["Metadata"].get(_SIDES, "0x0").partition("x")
        return UploadedImage(
            number=_number_of(key),
            name=unquote(head["Metadata"].get(ORIGINAL_NAME, "")),
            folder=key[len(place.prefix) :].rpartition("/")[0],
            key=key,
            width=int(width),
            height=int(height),
            size_bytes=head["ContentLength"],
        )

    @staticmethod
    def _on_object(call: Callable[..., Any], uri: S3Uri) -> Any:
        try:
            return call(Bucket=uri.bucket, Key=uri.key)
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, uri) from error


def _number_of(key: str) -> int:
    """The number in a name of ours; -1 for another name."""
    found = re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}-(\d\d)\.(?:jpg|png)", key.rpartition("/")[2])
    return int(found[1]) if found else -1


def check_folder(folder: str) -> None:
    """:raises RequestError: UPLOAD_NAME_REFUSED, where the folder could not be a label or would not stay one folder"""
    fault = name_fault(folder, "") if folder else ""
    if "/" in folder:
        fault = "a slash"
    elif folder.startswith("."):
        fault = "a dot at its start, which hides it"
    elif not is_allowed(folder):
        fault = "a line break or another control character"
    elif len(folder) > MAX_LABEL_NAME_LENGTH.value:
        fault = f"{len(folder)} characters, and a label has {MAX_LABEL_NAME_LENGTH.value}"
    if fault:
        raise RequestError(
            "UPLOAD_NAME_REFUSED",
            f"{shortened(folder, _MAX_SHOWN_NAME)!r} cannot be the folder of an image: {fault}.",
            "Choose another name for the folder, which may become a label.",
        )


def check_image(data: bytes) -> ImageHeader:
    """The header of an image that Rekognition reads, whatever its file was called.

    :raises ManifestError: UPLOAD_NOT_AN_IMAGE
    """
    header = read_header(data, size_bytes=len(data))
    if isinstance(header, NeedMore):
        raise not_an_image("the file ends before its image header does")
    fault = image_fault(header, len(data)) if isinstance(header, ImageHeader) else header
    if fault is not None:
        raise not_an_image(f"{fault.reason}, {fault.detail}")
    if not isinstance(header, ImageHeader):
        raise TypeError("a header without a fault is a header")
    return header


def not_an_image(why: str) -> ManifestError:
    """The error for a file that was not stored."""
    return ManifestError(
        "UPLOAD_NOT_AN_IMAGE",
        f"The file is no image that Rekognition reads ({why}).",
        "Send a PNG or JPEG with 64 to 4,096 pixels a side and at most 15 MB.",
    )
