"""Where one history takes place: its folders of two shared buckets, its project, and people who work there.

Everything here goes to the services directly, and so do people; only runs go through the proxy.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.history import image_id
from include.gallery import datasets as gallery_datasets
from include.gallery.datasets import Datasets
from include.gallery.messages import Save, SaveDemand
from include.gallery.saves import Saves
from include.gallery.services import DatasetState, RunSource
from include.gallery.snapshots import DatasetName
from include.object_store.registration_journal import Holder
from include.object_store.snapshots import time_of
from tests.chaos.commands import DatasetType, has_ended
from tests.chaos.contents import Content, Said, content, read_lines, write_line
from tests.chaos.model import Listed, Listing
from tests.fixtures.local_aws import LocalAws
from tests.gallery.placed_services import LocalDatasets, NoRuns, PlacedServices

IMAGES = "example-chaos-images"
VERSIONS = "example-chaos-versions"
"""A bucket that keeps versions."""

WORKSPACE = "example-chaos-workspace"
_PATIENCE_S = 20.0
_POLL_S = 0.01


class RunsHere(NoRuns):
    """The gallery's view of the runs of a history."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def has_ended(self, holder: Holder) -> bool:
        return has_ended(str(self._folder), holder)


class DatasetsHere(LocalDatasets):
    """Rekognition, with errors as the gallery knows them."""

    def describe(self, dataset_arn: str) -> DatasetState:
        with _translated():
            return super().describe(dataset_arn)

    def entries(self, dataset_arn: str) -> Iterator[str]:
        with _translated():
            yield from super().entries(dataset_arn)

    def update(self, dataset_arn: str, lines: bytes) -> None:
        with _translated():
            super().update(dataset_arn, lines)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise DatasetConflictError(f"REKOGNITION_{code}", f"Rekognition answered {code}.", "Try again.") from error


class ServicesHere(PlacedServices):
    """The gallery's services in the workspace of a history."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)  # type: ignore[arg-type]
        self._workspace = self._workspace.parse(place.workspace_uri)
        self._datasets = DatasetsHere(place)  # type: ignore[arg-type]
        self._datasets.before_update = self._hold
        self.held: HeldSaves | None = None
        self._runs = RunsHere(place.folder)

    def runs(self) -> RunSource:
        return self._runs

    def _hold(self) -> None:
        if self.held is not None:
            self.held.hold()


class HeldSaves:
    """Saves that wait right before their first write, until they are released."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._is_reached, self._is_released = Event(), Event()

    def hold(self) -> None:
        """Called by a save."""
        self._is_reached.set()
        self._is_released.wait(_PATIENCE_S)

    def reached(self, save_id: str) -> bool:
        """Whether a save is held, once it is, or is over."""
        give_up = time.monotonic() + _PATIENCE_S
        while not self._is_reached.wait(_POLL_S):
            if self._place.save_of(save_id).state in ("saved", "failed") or time.monotonic() > give_up:
                return False
        return True

    def release(self) -> None:
        self._is_released.set()


@dataclass(frozen=True)
class Place:
    """One history's part of the services, as people see it who look at one of its project's two datasets.

    :ivar name: unique; names the project and the folders
    :ivar folder: on this machine
    :ivar dataset_type: of the dataset
    :ivar images: the bucket of the images
    """

    aws: LocalAws
    s3: Any
    rekognition: Any
    name: str
    folder: Path
    dataset_type: DatasetType = "train"
    images: str = IMAGES

    def of_type(self, dataset_type: DatasetType) -> Place:
        """The same place for who looks at a dataset of this type."""
        return replace(self, dataset_type=dataset_type)

    @property
    def project(self) -> str:
        return self.name

    @property
    def workspace(self) -> str:
        return WORKSPACE

    @property
    def workspace_uri(self) -> str:
        return f"s3://{WORKSPACE}/{self.name}"

    def source_project(self, origin: str) -> str:
        """Of the dataset that is copied."""
        return f"{self.name}-{origin}-source"

    @property
    def computer(self) -> Path:
        """A folder whose images are uploaded."""
        return self.folder / "computer"

    @property
    def copies_prefix(self) -> str:
        """Of images that are copied from another dataset."""
        return f"{self.name}/d/"

    @property
    def dataset_folder(self) -> str:
        return f"{self.name}/datasets/{self.project}/{self.dataset_type}/"

    @property
    def history_prefix(self) -> str:
        """Of the copies of images as they were, which point-in-time runs make."""
        return f"{self.name}-history/"

    @property
    def keeps_versions(self) -> bool:
        return self.images == VERSIONS

    def ref(self, key: str) -> str:
        return f"s3://{self.images}/{key}"

    # The bucket

    def put(self, key: str, what: Content) -> str:
        """The id of the version; empty where the bucket keeps none."""
        version_id: str = self.s3.put_object(Bucket=self.images, Key=key, Body=what.data).get("VersionId", "")
        return version_id

    def remove(self, key: str) -> str:
        """The id of the delete marker; empty where the bucket keeps no versions."""
        version_id: str = self.s3.delete_object(Bucket=self.images, Key=key).get("VersionId", "")
        return version_id

    def listing(self, prefix: str = "") -> dict[str, Listed]:
        """What lies in the history's folder, or below a prefix, without sizes."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.images, Prefix=prefix or f"{self.name}/")
        return {each["Key"]: _listed(each) for page in pages for each in page.get("Contents", [])}

    def versions(self) -> dict[str, tuple[str, Listed]]:
        """All that ever lay in the history's folder, by version id: key and object; a delete marker has no ETag."""
        found: dict[str, tuple[str, Listed]] = {}
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.images, Prefix=f"{self.name}/")
        for page in pages:
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                found[each["VersionId"]] = (each["Key"], _listed(each))
        return found

    # The dataset

    def datasets(self, project: str) -> dict[str, dict[str, Any]]:
        """A project's datasets by type."""
        found = self.rekognition.describe_projects(ProjectNames=[project])["ProjectDescriptions"]
        return {each["DatasetType"]: each for project in found for each in project["Datasets"]}

    def _found(self) -> dict[str, Any] | None:
        return self.datasets(self.project).get(self.dataset_type.upper())

    @property
    def is_free(self) -> bool:
        """Whether there is no dataset, not even one that is being deleted."""
        return self._found() is None

    def dataset(self) -> dict[str, Any] | None:
        """The dataset, once nothing is under way; None where there is none."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            found = self._found()
            if found is None or not found["Status"].endswith("_IN_PROGRESS"):
                return found
            if time.monotonic() > give_up:
                raise TimeoutError(f"{found} does not end")
            time.sleep(_POLL_S)

    @property
    def arn(self) -> str:
        found = self.dataset()
        return found["DatasetArn"] if found else ""

    def entries(self) -> dict[str, Said]:
        """What the dataset's entries say, by key; one that failed to be created has none."""
        found = self.dataset()
        return self.entries_of(found["DatasetArn"]) if found and found["Status"] != "CREATE_FAILED" else {}

    def entries_of(self, arn: str) -> dict[str, Said]:
        return self.by_key(self._said_of(arn)) if arn else {}

    def _said_of(self, arn: str) -> dict[str, Said]:
        pages = self.rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=arn)
        return read_lines(line for page in pages for line in page["DatasetEntries"])

    def refs(self) -> dict[str, str]:
        """Where the images of the dataset's entries lie, by key: a point-in-time run names copies of old versions."""
        found = self.dataset()
        return {self.key(ref): ref for ref in self._said_of(found["DatasetArn"])} if found else {}

    def shown_size(self, key: str) -> tuple[int, int] | None:
        """Width and height of the image that an entry shows."""
        ref = self.refs().get(key, self.ref(key)) if self.keeps_versions else self.ref(key)
        found = self.s3.head_object(Bucket=self.images, Key=ref.removeprefix(self.ref("")))
        return _SIZES.get(found["ETag"].strip('"'))

    def key(self, source_ref: str) -> str:
        """The key of an image that is, or once was, there."""
        key = source_ref.removeprefix(self.ref(""))
        return key.removeprefix(self.history_prefix).split("/", 2)[2] if key.startswith(self.history_prefix) else key

    def by_key(self, said: Mapping[str, Said]) -> dict[str, Said]:
        found = {self.key(source_ref): each for source_ref, each in said.items()}
        if len(found) < len(said):
            raise ValueError(f"an image has two entries: {sorted(said)}")
        return found

    def update(self, entries: Mapping[str, Said]) -> bool:
        """A person sends entries; False where the service refuses them, as the dataset is busy or gone."""
        found = self._found()
        if found is None:
            return False
        refs = self.refs() if self.keeps_versions else {}
        lines = "\n".join(write_line(refs.get(key, self.ref(key)), said) for key, said in entries.items())
        try:
            self.rekognition.update_dataset_entries(
                DatasetArn=found["DatasetArn"], Changes={"GroundTruth": lines.encode()}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceInUseException", "ResourceNotFoundException"):
                return False
            raise
        self.dataset()
        return True

    def delete_dataset(self) -> bool:
        """A person deletes the dataset; False where the service refuses that."""
        found = self._found()
        if found is None:
            return False
        try:
            self.rekognition.delete_dataset(DatasetArn=found["DatasetArn"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceInUseException", "ResourceNotFoundException"):
                return False
            raise
        self.dataset()
        return True

    def create_dataset(self, entries: Mapping[str, Said]) -> bool:
        """A person creates the dataset; False where there is one, or one that is not gone yet."""
        return self._create(self.project, self.dataset_type.upper(), entries)

    def _create(self, project: str, dataset_type: str, entries: Mapping[str, Said]) -> bool:
        found = self.rekognition.describe_projects(ProjectNames=[project])["ProjectDescriptions"]
        arn = found[0]["ProjectArn"] if found else self.rekognition.create_project(ProjectName=project)["ProjectArn"]
        key = f"{self.name}/made/{time.monotonic_ns()}.manifest"
        lines = "".join(write_line(self.ref(each), said) + "\n" for each, said in entries.items())
        self.s3.put_object(Bucket=WORKSPACE, Key=key, Body=lines.encode())
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": WORKSPACE, "Name": key}}}
        try:
            made = self.rekognition.create_dataset(ProjectArn=arn, DatasetType=dataset_type, DatasetSource=source)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceAlreadyExistsException", "ResourceInUseException"):
                return False
            raise
        self.wait_until_ready(made["DatasetArn"])
        return True

    def wait_until_ready(self, arn: str) -> None:
        """As `tests.gallery.placed_services` asks for."""
        give_up = time.monotonic() + _PATIENCE_S
        while self.rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"].endswith(
            "_IN_PROGRESS"
        ):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{arn} does not end")
            time.sleep(_POLL_S)

    def make_source(self, project: str, entries: Mapping[str, Said]) -> None:
        """Let the dataset that is copied hold these entries: where one is gone, it is deleted and created."""
        found = self.datasets(project).get("TRAIN")
        if found is not None:
            arn = found["DatasetArn"]
            before = self.entries_of(arn)
            if before == entries:
                return
            if not before.keys() - entries.keys():
                lines = "\n".join(write_line(self.ref(key), said) for key, said in entries.items())
                self.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": lines.encode()})
                self.wait_until_ready(arn)
                return
            self.rekognition.delete_dataset(DatasetArn=arn)
            give_up = time.monotonic() + _PATIENCE_S
            while self.datasets(project):
                if time.monotonic() > give_up:
                    raise TimeoutError(f"{arn} is not deleted")
                time.sleep(_POLL_S)
        self._create(project, "TRAIN", entries)

    # The gallery

    @cached_property
    def _services(self) -> ServicesHere:
        return ServicesHere(self)

    @contextmanager
    def held_saves(self) -> Iterator[HeldSaves]:
        """Saves of the block wait right before their first write, with the dataset's lease."""
        held = HeldSaves(self)
        self._services.held = held
        try:
            yield held
        finally:
            held.release()
            self._services.held = None

    @cached_property
    def _gallery(self) -> Saves:
        # A history is over before what the gallery remembers would be read again.
        gallery_datasets.LISTS_S = gallery_datasets.TARGET_S = 0.05  # type: ignore[misc]
        return Saves(Datasets(self._services, self.folder / f"gallery-{self.dataset_type}"))

    @property
    def dataset_name(self) -> DatasetName:
        return DatasetName(project=self.project, dataset_type=self.dataset_type)

    def image_id(self, key: str) -> str:
        return image_id(self.ref(key))

    def begin_save(self, *edits: Any) -> str:
        """:raises CustomLabelsError: as `Saves.begin`"""
        return self._gallery.begin(self.dataset_name, SaveDemand(edits=list(edits)), "a person").save_id

    def ended_save(self, save_id: str) -> Save:
        """A save, once it is over."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            save = self.save_of(save_id)
            if save.state in ("saved", "failed"):
                return save
            if time.monotonic() > give_up:
                raise TimeoutError(f"the save {save_id} is {save.state}")
            time.sleep(_POLL_S)

    def save_of(self, save_id: str) -> Save:
        """A save as it is now."""
        return self._gallery.get(self.dataset_name, save_id)

    # The workspace

    def read(self, key: str) -> bytes | None:
        """An object of the workspace."""
        try:
            data: bytes = self.s3.get_object(Bucket=WORKSPACE, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return data

    def read_uri(self, uri: str) -> bytes | None:
        return self.read(uri.removeprefix(f"s3://{WORKSPACE}/"))

    def ledger(self, uri: str) -> list[dict[str, Any]]:
        """The rows of a ledger that a run has staged."""
        return rows_of(self.read_uri(uri))

    def said_in(self, lines: bytes) -> dict[str, Said]:
        """What the lines of a manifest say, by key."""
        return self.by_key(read_lines(lines.splitlines()))

    def edited(self) -> Iterator[dict[str, Said]]:
        """Entries as they were before each save of the gallery."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=WORKSPACE, Prefix=self.dataset_folder + "edits/"
        )
        for page in pages:
            for each in page.get("Contents", []):
                if each["Key"].endswith(".manifest"):
                    yield self.said_in(self.read(each["Key"]) or b"")

    def events(self) -> list[dict[str, Any]]:
        """Asset events of the dataset that runs have sent."""
        file = self.folder / "events.jsonl"
        sent = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [event for event in sent if event["dataset_type"] == self.dataset_type]


class View:
    """What there is of a dataset at a moment, read when it is first asked for, and only once."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def arn(self) -> str:
        return self._place.arn

    @cached_property
    def description(self) -> dict[str, Any]:
        if not self.arn:
            return {}
        found: dict[str, Any] = self._place.rekognition.describe_dataset(DatasetArn=self.arn)["DatasetDescription"]
        return found

    @property
    def updated_at(self) -> str:
        return self.description["LastUpdatedTimestamp"].isoformat() if self.arn else ""

    @cached_property
    def entries(self) -> dict[str, Said]:
        """What the dataset's entries say, by key."""
        is_empty = not self.arn or self.description["Status"] == "CREATE_FAILED"
        return {} if is_empty else self._place.entries_of(self.arn)

    @cached_property
    def current(self) -> dict[str, Any]:
        return self._document("current.json")

    @cached_property
    def journal(self) -> dict[str, Any]:
        return self._document("registration.json")

    def registered_of(self, conf: Mapping[str, Any]) -> str:
        """Id of the snapshot that an import was last registered from; empty if it never was.

        :param conf: of a run of it
        """
        bases = self.current.get("bases", {})
        origin = conf.get("s3_folder") or conf.get("manifest") or "local computer"
        if source := conf.get("source_dataset"):
            origin = next((name for name in bases if f":project/{source.split('/')[0]}/" in name), "")
        snapshot_id: str = bases.get(origin, {}).get("snapshot_id", "")
        return snapshot_id

    def registered_as_of(self, conf: Mapping[str, Any]) -> str:
        """The time that an import is registered as of, UTC as ``YYYY-MM-DDTHH:MM:SS``.

        :param conf: of a run of it
        """
        return f"{time_of(self.registered_of(conf)):%Y-%m-%dT%H:%M:%S}"

    def _document(self, name: str) -> dict[str, Any]:
        data = self._place.read(self._place.dataset_folder + name)
        found: dict[str, Any] = json.loads(data) if data else {}
        return found

    @cached_property
    def export(self) -> dict[str, Said]:
        """Entries that an unfinished replacement keeps, by key."""
        replacement = self.journal.get("replacement")
        if not replacement:
            return {}
        return self.said_in(self._place.read_uri(replacement["entries"]) or b"")

    @cached_property
    def _objects(self) -> dict[tuple[str, str], bytes | None]:
        return {}

    def snapshot(self, snapshot_id: str, name: str) -> bytes | None:
        """An object of a snapshot."""
        if (snapshot_id, name) not in self._objects:
            key = f"{self._place.dataset_folder}snapshots/{snapshot_id}/{name}"
            self._objects[snapshot_id, name] = self._place.read(key)
        return self._objects[snapshot_id, name]

    def ledger(self, snapshot_id: str) -> list[dict[str, Any]]:
        return rows_of(self.snapshot(snapshot_id, "ledger.parquet"))

    def manifest(self, snapshot_id: str) -> bytes | None:
        return self.snapshot(snapshot_id, f"{self._place.project}-{self._place.dataset_type}.manifest")

    @cached_property
    def ledgers(self) -> dict[str, list[dict[str, Any]]]:
        """Of the registered snapshot, and of those that other origins have as their base."""
        ids = (
            {self.current["snapshot_id"], *(base["snapshot_id"] for base in self.current.get("bases", {}).values())}
            if self.current
            else ()
        )
        return {snapshot_id: self.ledger(snapshot_id) for snapshot_id in ids}

    def said_in(self, lines: bytes) -> dict[str, Said]:
        """What the lines of a manifest say, by key."""
        return self._place.said_in(lines)


def _listed(each: Mapping[str, Any]) -> Listed:
    return Listed(etag=each.get("ETag", "").strip('"'), size=None, last_modified=second(each["LastModified"]))


def rows_of(data: bytes | None) -> list[dict[str, Any]]:
    """The rows of a ledger; none where there is no ledger."""
    return pq.read_table(io.BytesIO(data)).to_pylist() if data else []


def second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def with_sizes(listing: Listing) -> dict[str, Listed]:
    """A listing with the sizes of images, which are known by their ETags."""
    return {
        key: Listed(etag=each.etag, size=_SIZES.get(each.etag), last_modified=each.last_modified)
        for key, each in listing.items()
    }


_SIZES: dict[str, tuple[int, int] | None] = {}


def made(number: int) -> Content:
    """The content of this number, known to `with_sizes` from now on."""
    what = content(number)
    _SIZES[what.etag] = what.size
    return what
