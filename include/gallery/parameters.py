"""What stands in addresses of the gallery, each with the form that it has to have before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query

# As the Rekognition API names projects.
ProjectName = Annotated[str, Path(pattern=r"^[a-zA-Z0-9_.\-]{1,255}$")]
TypeOfDataset = Literal["train", "test"]
ImageId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
SaveId = Annotated[str, Path(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$")]
UploadId = Annotated[str, Path(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$")]
ImageNumber = Annotated[str, Path(pattern=r"^(0|[1-9][0-9]?)$")]
SnapshotIdOrNone = Annotated[str, Query(pattern=r"^(\d{8}T\d{6}Z-[0-9a-f]{8})?$")]
