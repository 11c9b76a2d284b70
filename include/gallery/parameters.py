"""What stands in addresses beside `include.gallery.answers`, each with the form that it has to have."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from include.gallery.answers import SNAPSHOT_ID

# As Airflow has them: a Dag's id of word characters, dots and dashes; a run's of anything but a slash.
DagId = Annotated[str, Path(pattern=r"^[\w.\-]+$", max_length=250)]
RunId = Annotated[str, Path(pattern=r"^[^/\x00-\x1f\x7f]+$", max_length=250)]
SaveId = Annotated[str, Path(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$")]
UploadId = SaveId
ImageNumber = Annotated[str, Path(pattern=r"^(0|[1-9][0-9]?)$")]
SnapshotIdOrNone = Annotated[str, Query(pattern=rf"^$|{SNAPSHOT_ID}")]
