"""What the requests have in common whose images may be split into a train and a test dataset."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from include.custom_labels.image_groups import ImageGroups
from include.pipelines.requests.base import DATASET, SPLIT, ImportRequest, OneType


class SplitRequest(ImportRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source"):
    """A request for one dataset, or for both of a project from the same images."""

    dataset_type: Annotated[
        Literal["train", "test", "train+test"],
        Meta(
            title="Dataset type",
            description=(
                "A project has one training and one test dataset; `train+test` splits the images between the two."
            ),
            extra_json_schema={"section": DATASET},
        ),
    ] = "train"  # type: ignore[assignment]
    test_share: Annotated[
        float,
        Meta(
            title="Share of test images",
            description="With `train+test`: the share of each label's images that are tested with, between 0 and 1.",
            gt=0,
            lt=1,
            extra_json_schema={"section": SPLIT},
        ),
    ] = 0.2
    group_by: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="Groups that stay together",
            description=(
                "`folder`: images of one folder stay on one side. Or a regular expression: images whose keys match "
                "with the same text in its first group do, such as `/(car-\\d+)-`. Copies of an image always do."
            ),
            extra_json_schema={"section": SPLIT},
        ),
    ] = None
    freeze_test: Annotated[
        bool,
        Meta(
            title="Freeze the test dataset",
            description="The test dataset gains no image: new ones go to the training dataset.",
            extra_json_schema={"section": SPLIT},
        ),
    ] = False
    distribution: Annotated[
        Literal["content", "rekognition"],
        Meta(
            title="Who splits",
            description=(
                "`content`: this project, in a way that can be repeated. `rekognition`: the service's own "
                "DistributeDatasetEntries, once, when the test dataset is empty; later images are training images."
            ),
            extra_json_schema={"section": SPLIT},
        ),
    ] = "content"

    def check(self) -> None:
        """:raises RequestError: INVALID_GROUP_BY"""
        ImageGroups(self.group_by, "")

    @property
    def dataset_types(self) -> tuple[OneType, ...]:
        return ("train", "test") if self.dataset_type == "train+test" else (self.dataset_type,)

    @property
    def folder_prefix(self) -> str:
        """The part of every key that names no group."""
        return ""
