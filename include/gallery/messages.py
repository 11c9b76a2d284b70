"""What the gallery's pages and its server say to each other: the shape of every request and answer.

This is the only place where they are written down. ``python -m include.gallery.messages`` prints them as JSON Schema,
of which `npm run messages` makes the TypeScript types in `web/src/api/messages.ts`; a test holds the two together.

Images have an *id* that stays the same in every snapshot: 16 hex digits of a digest of the image's identity
(`include.custom_labels.history.identity`), so that links and edits outlive a refresh. Times are UTC as in ISO 8601,
sizes are bytes, lengths are stored pixels: of the picture as it lies in S3, before any EXIF rotation, as in manifests.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from include.custom_labels.errors import CustomLabelsError

MAX_PAGE: Final = 500
"""Images that one answer may list."""
MAX_EDITS: Final = 5_000
"""Edits of one save; one edit may be about any number of images."""
MAX_REFUSALS: Final = 500
MAX_DATASET_LABELS: Final = 250

Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$(?!\n)")]
LabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\n\r]+$(?!\n)")]
Pixels = Annotated[float, msgspec.Meta(ge=-10_000, le=10_000)]
DatasetType = Literal["train", "test"]
Change = Literal["added", "removed", "changed", "relabelled"]
DownloadKind = Literal["manifest", "ledger.parquet", "ledger.csv", "coco.json"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Sent by the server."""


class Demand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sent by the browser."""


# Problems


class Problem(Message, frozen=True, kw_only=True):
    """The body of every answer with a status of 400 and more.

    :ivar code: of `include.custom_labels.errors`, or of the gallery's own (docs/error-codes.md)
    :ivar retry_after_s: when to try again, where that helps
    """

    code: str
    message: str
    next_step: str
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: CustomLabelsError) -> Problem:
        """The error for people."""
        return cls(code=error.code, message=error.message, next_step=error.next_step)


# The person


class ImportSource(Message, frozen=True, kw_only=True):
    """One of the four imports.

    :ivar title: as AWS's console calls the source
    :ivar can_trigger: whether this person may start it
    """

    dag_id: str
    title: str
    description: str
    can_trigger: bool


class Limits(Message, frozen=True, kw_only=True):
    """What the server accepts, to be said before something is sent."""

    upload_images: int
    upload_image_size_bytes: int
    edits: int = MAX_EDITS
    labels_per_dataset: int = MAX_DATASET_LABELS
    labels_per_image: int
    boxes_per_image: int


class Session(Message, frozen=True, kw_only=True):
    """``GET api/session``: who looks at the gallery, and what they may do.

    :ivar can_edit: whether they may save labels and upload images, as triggering our Dags
    :ivar airflow: path of Airflow's own pages, such as ``/`` or ``/airflow/``
    """

    user: str
    can_edit: bool
    airflow: str
    sources: list[ImportSource]
    limits: Limits


# Datasets


class RunLink(Message, frozen=True, kw_only=True):
    """A Dag run of ours."""

    dag_id: str
    run_id: str


class Freshness(Message, frozen=True, kw_only=True):
    """How well the gallery knows the dataset's entries as they are in Rekognition.

    ==========  =========================================================================================
    state       the entries that the gallery shows are
    ==========  =========================================================================================
    current     those of the dataset at ``checked_at``
    reading     being read again, ``read`` of about ``total`` so far; those of ``entries_at`` until then
    behind      those of ``entries_at``; the dataset has changed since
    unknown     those of the snapshot: Rekognition could not be asked, `problem` says why
    ==========  =========================================================================================

    :ivar entries_at: when the entries were those that are shown; None where there are only those of a snapshot
    """

    state: Literal["current", "reading", "behind", "unknown"]
    checked_at: datetime | None = None
    entries_at: datetime | None = None
    read: int = 0
    total: int = 0
    problem: Problem | None = None


class DatasetCard(Message, frozen=True, kw_only=True):
    """One dataset in the list of projects.

    :ivar status: Rekognition's, such as ``UPDATE_COMPLETE``; empty where there is no such dataset in Rekognition
    :ivar images: in Rekognition, ``None`` where it could not be asked for them
    :ivar labels: different ones
    :ivar errors: entries with errors
    :ivar snapshot_id: of the registered snapshot; else of the newest one; empty where there is none
    :ivar is_registered: whether the dataset was registered from that snapshot
    :ivar last_run: that published the snapshot, where it is known
    :ivar working: the run that works on the dataset now
    :ivar is_saving: whether a save of the gallery does
    """

    project: str
    dataset_type: DatasetType
    dataset_arn: str = ""
    status: str = ""
    status_message: str = ""
    images: int | None = None
    labelled: int | None = None
    labels: int | None = None
    errors: int | None = None
    updated_at: datetime | None = None
    snapshot_id: str = ""
    is_registered: bool = False
    last_run: RunLink | None = None
    working: RunLink | None = None
    is_saving: bool = False


class ProjectCard(Message, frozen=True, kw_only=True):
    """A project of Rekognition, or of the workspace alone.

    :ivar status: Rekognition's; empty where it has no such project
    """

    project: str
    status: str = ""
    created_at: datetime | None = None
    datasets: list[DatasetCard]


class Projects(Message, frozen=True, kw_only=True):
    """``GET api/projects``.

    :ivar problem: why Rekognition could not be asked, so that only the workspace's datasets are listed
    """

    projects: list[ProjectCard]
    problem: Problem | None = None


class LabelCount(Message, frozen=True, kw_only=True):
    """:ivar boxed_images: images that have a box of this label"""

    label: str
    images: int
    boxed_images: int


class Count(Message, frozen=True, kw_only=True):
    """How many images have a value.

    :ivar explanation: what the value means and what to do
    """

    value: str
    count: int
    explanation: str = ""


class SnapshotCard(Message, frozen=True, kw_only=True):
    """:ivar is_current: whether the dataset was registered from it last"""

    snapshot_id: str
    as_of: datetime
    images: int
    is_current: bool
    action: str = ""
    run: RunLink | None = None


class DatasetPage(Message, frozen=True, kw_only=True):
    """``GET api/datasets/{project}/{type}[?snapshot=…]``: a dataset as the gallery shows it.

    Counts are of the whole dataset, whatever is filtered.

    :ivar indexing: share of the work from 0 to 1 while the server prepares the dataset; the counts are empty until then
    :ivar version: differs whenever what is shown differs
    :ivar snapshot_id: that is shown; empty where there is none
    :ivar base_snapshot_id: that "changed in this snapshot" compares with; empty where it is the first
    :ivar shown_images: that are in the dataset
    """

    card: DatasetCard
    freshness: Freshness
    version: str
    indexing: float | None = None
    snapshot_id: str = ""
    base_snapshot_id: str = ""
    shown_images: int = 0
    labelled: int = 0
    unlabelled: int = 0
    boxed: int = 0
    labels: list[LabelCount] = []
    states: list[Count] = []
    reasons: list[Count] = []
    errors: list[Count] = []
    changes: list[Count] = []
    snapshots: list[SnapshotCard] = []


# Images

Sort = Literal["key", "label", "boxes", "pixels", "size", "modified", "change"]


class View(Demand, frozen=True, kw_only=True):
    """Which images, and in which order; each member that is given narrows it down. In addresses: ``?label=a&label=b``.

    :ivar snapshot: shows that one instead of the dataset as it is
    :ivar label: images with any of these
    :ivar labelled: images with any label or box, or without
    :ivar boxed: images with any box, or without
    :ivar error: entries with any of these codes; ``*`` for any code at all
    :ivar state: ledger states; without it, images that are in the dataset
    :ivar reason: ledger reasons; implies every state
    :ivar change: in this snapshot against the one before
    :ivar key: text in the key, whatever its case
    """

    snapshot: str = ""
    label: list[str] = []
    labelled: bool | None = None
    boxed: bool | None = None
    error: list[str] = []
    state: list[str] = []
    reason: list[str] = []
    change: list[Change] = []
    key: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    sort: Sort = "key"
    descending: bool = False


class ImageRow(Message, frozen=True, kw_only=True):
    """An image as a tile or a row of a table shows it.

    :ivar key: in its bucket
    :ivar labels: image-level ones
    :ivar box_labels: of its boxes
    :ivar change: to the snapshot before; ``removed`` images are in no manifest
    :ivar version: of the image's bytes, to name in addresses of pictures, which may then be kept
    :ivar width: stored pixels, 0 where they are not known
    """

    id: str
    key: str
    labels: list[str]
    box_labels: list[str]
    boxes: int
    is_in_dataset: bool
    state: str
    reason: str
    detail: str = ""
    errors: list[str] = []
    change: str = ""
    version: str = ""
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    last_modified: str = ""


class Images(Message, frozen=True, kw_only=True):
    """``GET api/datasets/{project}/{type}/images?{view}&offset=0&limit=100``.

    :ivar total: images of the view
    """

    version: str
    total: int
    offset: int
    images: list[ImageRow]


class ImageIds(Message, frozen=True, kw_only=True):
    """``GET …/ids?{view}``: every image of the view that is in the dataset and can be edited, in its order."""

    version: str
    ids: list[str]


class Box(Demand, frozen=True, kw_only=True):
    """A bounding box in stored pixels, from the top left corner."""

    label: LabelName
    left: Pixels
    top: Pixels
    width: Pixels
    height: Pixels


class ImagePage(Message, frozen=True, kw_only=True):
    """``GET …/images/{id}[?{view}]``: everything about one image.

    :ivar source_ref: its ``s3://`` address
    :ivar place: where its bytes are, when that is another one
    :ivar orientation: EXIF's, 1 to 8; pictures are sent upright, boxes are of the stored picture
    :ivar seen: names what the entry says, to be sent back with an edit of it
    :ivar line: the entry as Rekognition has it, or the manifest's line
    :ivar aside: a person's entry that was kept aside when the image was replaced by another one
    :ivar explanation: of the ledger's reason, with what to do
    :ivar before: labels in the snapshot before; None where it did not have the image
    :ivar position: in the view, from 0; None where the view does not have it
    :ivar previous_id: in the view, empty for the first one
    """

    image: ImageRow
    source_ref: str
    place: str = ""
    orientation: int = 1
    boxes: list[Box] = []
    seen: str = ""
    line: str = ""
    aside: str = ""
    explanation: str = ""
    before: list[str] | None = None
    position: int | None = None
    total: int = 0
    previous_id: str = ""
    next_id: str = ""


class Bin(Message, frozen=True, kw_only=True):
    """Images with a width and a height in a range, in stored pixels; ``until`` is exclusive."""

    width_from: int
    width_until: int
    height_from: int
    height_until: int
    images: int


class Statistics(Message, frozen=True, kw_only=True):
    """``GET …/statistics[?{view}]``: class balance and image sizes.

    :ivar unknown_sizes: images whose size is not known
    """

    labels: list[LabelCount]
    unlabelled: int
    sizes: list[Bin]
    unknown_sizes: int


class Download(Demand, frozen=True, kw_only=True):
    """``GET …/downloads/{kind}?snapshot=…``: a file of the snapshot that is shown, as a stream."""

    kind: DownloadKind
    snapshot: str = ""


# Edits and saves


class Assignment(Demand, frozen=True, kw_only=True, tag_field="kind", tag="assignment"):
    """Image-level labels for a selection; an image keeps its other labels and its boxes.

    :ivar ids: of any number of images
    """

    ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=500_000)]
    assign: Annotated[list[LabelName], msgspec.Meta(max_length=50)] = []
    remove: Annotated[list[LabelName], msgspec.Meta(max_length=MAX_DATASET_LABELS)] = []


class Renaming(Demand, frozen=True, kw_only=True, tag_field="kind", tag="renaming"):
    """A label gets another name in the whole dataset, on images and boxes; one that is used already takes it in."""

    old: LabelName
    new: LabelName


class Redrawing(Demand, frozen=True, kw_only=True, tag_field="kind", tag="redrawing"):
    """One image's labels and boxes, as they shall be.

    :ivar seen: of the `ImagePage` that was edited; where the entry says something else by now, that is a conflict
    :ivar force: saves all the same: a person has looked at the conflict
    """

    id: Id
    seen: str
    labels: Annotated[list[LabelName], msgspec.Meta(max_length=50)]
    boxes: Annotated[list[Box], msgspec.Meta(max_length=50)]
    force: bool = False


class SaveDemand(Demand, frozen=True, kw_only=True):
    """``POST …/saves``: edits in the order in which they were made."""

    edits: Annotated[list[Assignment | Renaming | Redrawing], msgspec.Meta(min_length=1, max_length=MAX_EDITS)]


class Conflict(Message, frozen=True, kw_only=True):
    """An image whose entry became another one while it was edited; it was not saved.

    :ivar theirs_labels: that the entry has now
    """

    id: str
    key: str
    seen: str
    theirs_labels: list[str]
    theirs_boxes: list[Box]


class Refusal(Message, frozen=True, kw_only=True):
    """An image that cannot be saved as it was edited, such as one with a box outside of it."""

    id: str
    key: str
    problem: Problem


class Waiting(Message, frozen=True, kw_only=True):
    """What a save waits for before it goes on by itself.

    ==========  =================================================================================================
    cause       meaning
    ==========  =================================================================================================
    run         the Dag run `run` works on the dataset, since `working_since`
    save        another save of the gallery is under way, since `working_since`
    operation   somebody else has begun an operation in Rekognition: `status` is the dataset's
    ==========  =================================================================================================

    :ivar working_since: None where that is not known
    :ivar lease_until: when the run's or the other save's lease ends by itself, unless it is renewed
    :ivar since: when this save began to wait for it
    :ivar until: when this save gives up
    """

    cause: Literal["run", "save", "operation"]
    run: RunLink | None = None
    status: str = ""
    working_since: datetime | None = None
    lease_until: datetime | None = None
    since: datetime
    until: datetime


class Save(Message, frozen=True, kw_only=True):
    """``GET …/saves/{save_id}``, and the answer to ``POST …/saves``.

    ==========  =================================================================================================
    state       meaning
    ==========  =================================================================================================
    waiting     somebody else works on the dataset: see `waiting`
    reading     the dataset had changed, so its entries are read again first; maybe once more between two batches
    sending     `sent` of `total` entries were accepted
    saved       every entry is in the dataset; `conflicts` and `refusals` were left out
    failed      `problem` says why; what was sent is kept in `record`
    ==========  =================================================================================================

    :ivar refusals: the first `MAX_REFUSALS`; `refused` counts all
    :ivar record: ``s3://`` address of the entries as they were right before they were sent, to go back to
    """

    save_id: str
    state: Literal["waiting", "reading", "sending", "saved", "failed"]
    waiting: Waiting | None = None
    sent: int = 0
    total: int = 0
    conflicts: list[Conflict] = []
    refusals: list[Refusal] = []
    refused: int = 0
    problem: Problem | None = None
    record: str = ""


# Comparing snapshots


class Difference(Message, frozen=True, kw_only=True):
    """One image that differs.

    :ivar before: its labels; None where the first snapshot does not have it
    :ivar is_moved: whether the same bytes are in both snapshots, under another key
    """

    id: str
    key: str
    changes: list[Change]
    before: list[str] | None
    after: list[str] | None
    before_boxes: int = 0
    after_boxes: int = 0
    before_version: str = ""
    after_version: str = ""
    moved_to: str = ""


class LabelChange(Message, frozen=True, kw_only=True):
    """Images with a label in either snapshot."""

    label: str
    before: int
    after: int


class Comparison(Message, frozen=True, kw_only=True):
    """``GET …/comparison?before={snapshot}&after={snapshot}&change=…&key=…&offset=0&limit=100``.

    :ivar before: snapshot id; empty for "nothing", before the first snapshot
    :ivar counts: by change, whatever is filtered
    :ivar total: differences of the filter
    """

    before: str
    after: str
    counts: dict[str, int]
    labels: list[LabelChange]
    total: int
    offset: int
    differences: list[Difference]


# Runs


class HeldImage(Message, frozen=True, kw_only=True):
    """A picture of what a gate holds.

    :ivar picture: relative to Airflow's own address; empty where `missing` says why there is none
    """

    change: str
    key: str
    before: str
    after: str
    picture: str = ""
    missing: str = ""


class Risk(Message, frozen=True, kw_only=True):
    """Why a gate holds a run."""

    code: str
    explanation: str
    detail: str
    count: int
    samples: list[str]


class HeldChange(Message, frozen=True, kw_only=True):
    """What a run would do to a dataset, once a person approves.

    :ivar task_id: that waits, for Airflow's own ``hitlDetails``
    :ivar options: to choose from, ``Approve`` and ``Reject``
    """

    task_id: str
    subject: str
    options: list[str]
    action: str
    counts: dict[str, int]
    labels_appeared: list[str]
    labels_vanished: list[str]
    risks: list[Risk]
    images: list[HeldImage]


class RunDataset(Message, frozen=True, kw_only=True):
    """What a run did, or would do, to one dataset.

    :ivar action: ``create``, ``update``, ``replace``, ``none`` …; empty as long as it is not known
    :ivar snapshot_id: that the run published; empty as long as there is none
    :ivar base_snapshot_id: that it started from
    :ivar held: where the run waits for a person
    """

    project: str
    dataset_type: DatasetType
    action: str = ""
    snapshot_id: str = ""
    base_snapshot_id: str = ""
    counts: dict[str, int] = {}
    states: dict[str, int] = {}
    held: HeldChange | None = None


class RunPage(Message, frozen=True, kw_only=True):
    """``GET api/runs/{dag_id}/{run_id}``: what a run changed.

    :ivar is_ours: False for a run of another Dag, and for one that has not come far enough to say
    :ivar state: Airflow's
    """

    dag_id: str
    run_id: str
    is_ours: bool
    state: str = ""
    source: str = ""
    datasets: list[RunDataset] = []


# Uploads


class UploadDemand(Demand, frozen=True, kw_only=True):
    """``POST api/uploads``: a new upload."""


class UploadedImage(Message, frozen=True, kw_only=True):
    """``PUT api/uploads/{upload_id}/images/{number}?name=…&folder=…``: bytes of one image, as application/octet-stream.

    :ivar number: from 0, below `Limits.upload_images`; a second image of the same number takes the first one's place
    :ivar name: as the file was called; it is stored under a name of ours
    :ivar folder: its label, where the import labels by folder; may be empty
    """

    number: int
    name: str
    folder: str
    key: str
    width: int
    height: int
    size_bytes: int


class Upload(Message, frozen=True, kw_only=True):
    """``GET api/uploads/{upload_id}``; what `import_local_computer` takes as its ``upload_id``."""

    upload_id: str
    images: list[UploadedImage]


def schema() -> dict[str, Any]:
    """Every message and demand as one JSON Schema."""
    sent = Message.__subclasses__()
    _, components = msgspec.json.schema_components(
        [*sent, *Demand.__subclasses__()], ref_template="#/definitions/{name}"
    )
    for kind in sent:
        # The server writes every member, whether it has its default or not.
        component = components[kind.__name__]
        component["required"] = list(component["properties"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Messages",
        "definitions": dict(sorted(components.items())),
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
