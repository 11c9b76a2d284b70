"""The request of the import source *Amazon SageMaker Ground Truth*, and of annotations in other people's formats."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from include.custom_labels.entries import Mending, Repair
from include.custom_labels.errors import RequestError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.pipelines.requests.base import IMAGES, RUN, AccessNeeds
from include.pipelines.requests.split import SplitRequest

_S3_LOCATION = r"^s3://[0-9A-Za-z.\-_]{3,255}(/[\s\S]*)?$"

RepairName = Literal[
    "round_floats",
    "clip_boxes",
    "drop_bad_boxes",
    "keep_50_boxes",
    "fill_confidence",
    "rename_metadata",
    "substitute_bucket",
    "fix_image_size",
    "read_text_numbers",
    "strip_byte_order_mark",
]


class GroundTruthRequest(
    SplitRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="ground_truth"
):
    """The import source *Import images labeled by Amazon SageMaker Ground Truth*."""

    manifest: Annotated[
        Annotated[str, Meta(pattern=_S3_LOCATION)] | None,
        Meta(
            title=".manifest file location",
            description=(
                "The annotations, such as `s3://example-images/job/manifests/output/output.manifest`; for Pascal VOC "
                "the folder of the XML files, with a trailing slash."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    labeling_job: Annotated[
        Annotated[str, Meta(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")] | None,
        Meta(
            title="Labeling job",
            description="Name of a completed Ground Truth labeling job, in place of its manifest.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    annotation_format: Annotated[
        Literal["ground_truth", "coco", "pascal_voc", "csv"],
        Meta(
            title="Annotation format",
            description="What the annotations are: a Ground Truth manifest, COCO, Pascal VOC, or `image,label,label…`.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = "ground_truth"
    image_root: Annotated[
        Annotated[str, Meta(pattern=_S3_LOCATION)] | None,
        Meta(
            title="Folder of the images",
            description=(
                "For COCO, Pascal VOC and CSV the folder that image names are relative to. For a manifest: where "
                "images of other buckets, Regions or owners are copied to; empty to leave them where they are."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    source_aws_conn_id: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="AWS connection of the source",
            description=(
                "For a manifest or labeling job of another account or Region: the connection that may read it and its "
                "images, which are copied to the folder of the images. Empty: the AWS connection below."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    label_attribute: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="Label attribute",
            description=(
                "The attribute of a manifest to import where jobs were chained. Empty: the newest; `*`: all of them."
            ),
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    min_confidence: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            title="Minimum confidence",
            description="Labels and boxes with a lower confidence, from 0 to 1, are left out. Empty: all are imported.",
            extra_json_schema={"section": IMAGES},
        ),
    ] = None
    repairs: Annotated[
        list[RepairName],
        Meta(
            title="Repairs",
            description="What may be mended; the ledger says where it was. See `docs/sources/ground-truth.md`.",
            extra_json_schema={"section": RUN, "examples": [repair.value for repair in Repair]},
        ),
    ] = msgspec.field(default_factory=list)

    def check(self) -> None:
        """:raises RequestError: INVALID_PARAMETER, INVALID_S3_LOCATION or INVALID_GROUP_BY"""
        super().check()
        if (self.manifest is None) == (self.labeling_job is None):
            raise _invalid("Give either `manifest` or `labeling_job`, and leave the other empty.")
        if self.labeling_job is not None and not self.is_ground_truth:
            raise _invalid("A `labeling_job` has annotations of the format ground_truth.")
        if self.annotation_format in ("coco", "pascal_voc") and self.image_root is None:
            raise _invalid("Give the folder of the images as `image_root`.")
        if self.label_attribute is not None and not self.is_ground_truth:
            raise _invalid("Only manifests of the format ground_truth have a `label_attribute`.")
        if self.annotations is not None and self.is_folder != (self.annotation_format == "pascal_voc"):
            raise _invalid(
                "For pascal_voc, `manifest` is the folder of the XML files, with a trailing slash; else it is one file."
            )
        if self.image_root is not None:
            S3FolderLocation.parse(self.image_root)
        if self.is_elsewhere and (self.image_root is None or not self.is_ground_truth):
            raise _invalid(
                "With `source_aws_conn_id`, give a manifest or labeling job of the format ground_truth, and in "
                "`image_root` the folder that its images are copied to."
            )

    @property
    def needs(self) -> AccessNeeds:
        root = self.root
        return AccessNeeds(
            folder=root if not self.is_ground_truth else None,
            objects=self._objects,
            destinations=(root,) if root is not None and self.is_ground_truth else (),
        )

    @property
    def _objects(self) -> tuple[S3Uri, ...]:
        # What another connection reads, it finds out about when it reads.
        if self.annotations is None or self.is_folder or self.is_elsewhere:
            return ()
        return (self.annotations,)

    @property
    def images_folder(self) -> S3FolderLocation | None:
        """The folder of the images."""
        return self.root

    @property
    def is_elsewhere(self) -> bool:
        """Whether another connection than the dataset's reads the annotations and their images."""
        return self.source_aws_conn_id not in (None, self.aws_conn_id)

    @property
    def source_conn_id(self) -> str:
        """The connection that reads the annotations and their images."""
        return self.source_aws_conn_id or self.aws_conn_id

    @property
    def is_ground_truth(self) -> bool:
        return self.annotation_format == "ground_truth"

    @property
    def is_folder(self) -> bool:
        """Whether `manifest` is a folder of files."""
        return self.manifest is not None and (self.manifest.endswith("/") or not S3Uri.parse(self.manifest).key)

    @property
    def annotations(self) -> S3Uri | None:
        """Where the annotations are; None where a labeling job knows."""
        return None if self.manifest is None else S3Uri.parse(self.manifest)

    @property
    def root(self) -> S3FolderLocation | None:
        return None if self.image_root is None else S3FolderLocation.parse(self.image_root)

    @property
    def mending(self) -> Mending:
        """The repairs that were asked for."""
        return Mending(frozenset(Repair(name) for name in self.repairs), self.min_confidence)


def _invalid(what: str) -> RequestError:
    return RequestError(
        "INVALID_PARAMETER", what, "Correct the parameter and trigger again; its form says what it takes."
    )
