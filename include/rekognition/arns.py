"""Amazon Resource Names of Custom Labels projects and datasets."""

from __future__ import annotations

from typing import NamedTuple


class DatasetArn(NamedTuple):
    """
    The parts of ``arn:<partition>:rekognition:<region>:<account>:project/<name>/dataset/<train|test>/<digits>``.

    :param dataset_type: ``TRAIN`` or ``TEST``, as the API spells it (the ARN uses lower case).
    """

    region_name: str
    project_name: str
    dataset_type: str

    @classmethod
    def parse(cls, arn: str) -> DatasetArn:
        """:raises ValueError: The text is not the ARN of a dataset."""
        parts = arn.split(":", 5)
        resource = parts[-1].split("/")
        if len(parts) != 6 or len(resource) != 5 or resource[0] != "project" or resource[2] != "dataset":
            raise ValueError(f"{arn!r} is not the ARN of a Rekognition dataset.")
        return cls(region_name=parts[3], project_name=resource[1], dataset_type=resource[3].upper())


def project_name_of(arn: str) -> str:
    """
    Return the project name in the ARN of a project or of anything below it.

    :raises ValueError: The text is not such an ARN.
    """
    prefix, _, resource = arn.partition(":project/")
    if not prefix.startswith("arn:") or not resource:
        raise ValueError(f"{arn!r} is not the ARN of a Rekognition project.")
    return resource.split("/")[0]
