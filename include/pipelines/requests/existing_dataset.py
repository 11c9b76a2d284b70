"""The request of the import source *Existing dataset*."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from msgspec import Meta

from include.custom_labels.errors import RequestError
from include.custom_labels.locations import S3FolderLocation
from include.pipelines.requests.base import DATASET, IMAGES, AccessNeeds, ImportRequest, OneType

_PROJECT = r"(?P<project>[a-zA-Z0-9_.\-]{1,255})"
_ARN = r"(?P<arn>arn:[a-z\d-]+:rekognition:(?P<region>[a-z\d-]+):\d{12}:project/"
_FORMS = (
    re.compile(rf"{_ARN}{_PROJECT}/dataset/(?P<type>train|test)/\d+)", re.ASCII),
    re.compile(rf"{_ARN}{_PROJECT}/\d+)(?P<type>)", re.ASCII),
    re.compile(rf"(?P<arn>)(?P<region>){_PROJECT}(?:/(?P<type>train|test))?", re.ASCII),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """What a person wrote to name the source.

    :ivar dataset_type: None where a whole project is named
    :ivar arn: of the dataset or project, empty where it is given by name
    :ivar region: of the ARN, else empty
    """

    project: str
    dataset_type: OneType | None
    arn: str
    region: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises RequestError: INVALID_PARAMETER"""
        for form in _FORMS:
            if match := form.fullmatch(text):
                dataset_type: OneType | None = {"train": "train", "test": "test"}.get(match["type"])  # type: ignore[assignment]
                return cls(
                    project=match["project"], dataset_type=dataset_type, arn=match["arn"], region=match["region"]
                )
        raise RequestError(
            "INVALID_PARAMETER",
            f"{text!r} names no dataset - at `$.source_dataset`.",
            "Give the ARN of a dataset or project, or a name such as example-project/train or example-project.",
        )


class ExistingDatasetRequest(
    ImportRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="existing_dataset"
):
    """The import source *Existing dataset*."""

    dataset_type: Annotated[
        Literal["train", "test", "train+test"],
        Meta(
            title="Dataset type",
            description="A project has one training and one test dataset; `train+test` copies both of a project.",
            extra_json_schema={"section": DATASET},
        ),
    ] = "train"  # type: ignore[assignment]
    source_dataset: Annotated[
        str,
        Meta(
            title="Existing dataset",
            description=(
                "The dataset to copy: its ARN, or `example-project/train`. A project's ARN or name alone means its "
                "dataset of the same type, and both of them with `train+test`."
            ),
            min_length=1,
            extra_json_schema={"section": IMAGES},
        ),
    ] = "example-project/train"
    source_aws_conn_id: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="AWS connection of the existing dataset",
            description=(
                "For a dataset of another account or Region: the Airflow connection that may read it and its images."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    image_destination: Annotated[
        Annotated[str, Meta(pattern=r"^s3://[0-9A-Za-z.\-_]{3,255}(/[\s\S]*)?$")] | None,
        Meta(
            title="Destination of images",
            description=(
                "The S3 folder that images are copied to, below the name of their bucket. Empty: images stay where "
                "they are, which only works within one account and Region."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None

    def check(self) -> None:
        """:raises RequestError: INVALID_PARAMETER, INVALID_S3_LOCATION or IMAGE_DESTINATION_NEEDED"""
        name = self.name
        if self.dataset_type == "train+test" and name.dataset_type is not None:
            raise RequestError(
                "INVALID_PARAMETER",
                f"{self.source_dataset!r} is one dataset, and train+test copies two - at `$.source_dataset`.",
                f"Name the project: {name.project}.",
            )
        if self.is_elsewhere and self.destination is None:
            raise RequestError(
                "IMAGE_DESTINATION_NEEDED",
                f"The dataset is read with the connection {self.source_aws_conn_id!r}, and Rekognition reads images "
                "of its own account and Region only.",
                "Give an S3 folder in `image_destination`, or leave `source_aws_conn_id` empty within one account and "
                "Region.",
            )

    @property
    def needs(self) -> AccessNeeds:
        return AccessNeeds(destinations=(self.destination,) if self.destination else ())

    @property
    def images_folder(self) -> S3FolderLocation | None:
        """Where images are copied to."""
        return self.destination

    @property
    def keeps_invalid_lines(self) -> bool:
        return True

    @property
    def name(self) -> SourceName:
        return SourceName.parse(self.source_dataset)

    @property
    def destination(self) -> S3FolderLocation | None:
        return S3FolderLocation.parse(self.image_destination) if self.image_destination is not None else None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the source is reached by another connection than the target."""
        return self.source_aws_conn_id not in (None, self.aws_conn_id)

    @property
    def source_conn_id(self) -> str:
        return self.source_aws_conn_id or self.aws_conn_id

    @property
    def dataset_types(self) -> tuple[OneType, ...]:
        return ("train", "test") if self.dataset_type == "train+test" else (self.dataset_type,)
