"""The steps of *Existing dataset* alone: what each entry becomes, and what ends the run with a code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.ledger import State
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.quotas import regional_quotas
from include.custom_labels.reasons import Reason
from include.object_store.tables import read_ledger
from include.pipelines import existing_dataset
from include.pipelines.division import choose_dataset
from include.pipelines.existing_dataset import (
    bring_images,
    entry_line,
    export_entries,
    find_source,
    first_tasks,
    read_entries,
    read_row,
    service_codes,
)
from include.pipelines.requests import ExistingDatasetRequest
from include.pipelines.runs import ImportRun
from include.rekognition.hook import RekognitionHook
from tests.fixtures.existing_datasets import boxed, image_level, make_dataset
from tests.fixtures.places import HOLDER, Place, picture

integration = pytest.mark.integration
IMAGE = "s3://example-images/a.png"
DESTINATION = S3FolderLocation.parse("s3://example-copies/images")


def work(step: Callable[..., Any], *args: Any) -> Any:
    """The step's own function, without the task around it."""
    return step.__wrapped__(*args)  # type: ignore[attr-defined]


class Steps:
    """The steps of one run, up to the one that a test is about."""

    def __init__(self, place: Place, **conf: Any) -> None:
        request = ExistingDatasetRequest.parse({"project": place.project, **conf})
        self.run = ImportRun(
            request=request, as_of=datetime.now(UTC), slug=f"run-{place.project}", holder=HOLDER
        ).to_json()

    def found(self) -> dict[str, Any]:
        found: dict[str, Any] = work(find_source, self.run)
        return found

    def exported(self) -> dict[str, Any]:
        exported: dict[str, Any] = work(export_entries, self.run, self.found())
        return exported

    def shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = work(read_entries, self.run, self.exported())
        return shards

    def rows(self) -> dict[str, tuple[State, Reason, str]]:
        """State, reason and detail of each row, once the images are there."""
        rows = {}
        s3 = ImportRun.from_json(self.run).s3
        for shard in self.shards():
            for page in read_ledger(s3, S3Uri.parse(work(bring_images, self.run, shard)["ledger"])):
                rows |= dict(
                    zip(page.objects.keys, zip(page.states, page.reasons, page.details, strict=True), strict=True)
                )
        return rows


def refused(step: Callable[[], object], code: str) -> CustomLabelsError:
    with pytest.raises(CustomLabelsError) as caught:
        step()
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def encoded(line: object) -> bytes:
    return json.dumps(line).encode()


def test_a_label_that_holds_the_source_is_not_rewritten() -> None:
    """A replacement of text would change this label, which is the name of the bucket."""
    line = boxed(IMAGE, "example-images") | image_level(IMAGE, "s3://example-images/a.png")
    moved = json.loads(entry_line(encoded(line), S3Uri("example-copies", "b.png")))
    assert moved["source-ref"] == "s3://example-copies/b.png"
    assert moved["label-0-metadata"]["class-name"] == "s3://example-images/a.png"
    assert moved["bounding-box-0-metadata"]["class-map"] == {"0": "example-images"}


def test_what_the_service_wrote_is_stripped_everywhere() -> None:
    error = [{"code": "ERROR_INVALID_IMAGE", "message": "x"}]
    line = boxed(IMAGE, "echo") | {"cl-metadata": {"is_labeled": True}, "errors": error, "warnings": [], "note": 1}
    line["bounding-box"]["annotations"][0]["cl-errors"] = error
    line["other"], line["other-metadata"] = 1, {"type": "groundtruth/unknown", "cl-errors": error, "errors": error}
    sent = entry_line(encoded(line))
    assert json.loads(sent).keys() == {
        "source-ref", "bounding-box", "bounding-box-metadata", "note", "other", "other-metadata",
    }  # fmt: skip
    assert b"rror" not in sent
    assert list(service_codes(line)) == ["ERROR_INVALID_IMAGE"] * 4


@pytest.mark.parametrize(
    "own",
    [
        {"camera": "front"},
        {"label-0": 3, "camera": {"id": [1, {"x": None}]}},
        {"note-metadata": {"type": "groundtruth/image-classification"}},
    ],
)
def test_members_of_an_entrys_own_are_kept_in_a_copy(own: dict[str, Any]) -> None:
    line = boxed(IMAGE, "echo") | own
    target = S3Uri("example-copies", "b.png")
    assert json.loads(entry_line(encoded(line))) == line
    assert json.loads(entry_line(encoded(line), target)) == line | {"source-ref": str(target)}


def test_members_within_attributes_are_kept_in_a_copy() -> None:
    for path in (
        ("bounding-box",),
        ("bounding-box", "image_size", 0),
        ("bounding-box", "annotations", 0),
        ("bounding-box-metadata",),
        ("bounding-box-metadata", "objects", 0),
    ):
        line = boxed(IMAGE, "echo")
        inner: Any = line
        for step in path:
            inner = inner[step]
        inner["adjustment-status"] = "adjusted"
        assert json.loads(entry_line(encoded(line))) == line, path
    labelled = image_level(IMAGE, "echo")
    labelled["echo-x-metadata"]["worker"] = "w-1"
    assert json.loads(entry_line(encoded(labelled))) == labelled


def test_an_entry_that_says_nothing_else_is_written_in_canonical_form() -> None:
    line = boxed(IMAGE, "echo") | image_level(IMAGE, "dot")
    renamed = {name.replace("bounding-box", "bb").replace("label-0", "dot"): value for name, value in line.items()}
    assert entry_line(encoded(line)) == entry_line(encoded(renamed))


@given(
    st.text(min_size=1, max_size=20),
    st.sampled_from([image_level, boxed]),
    st.text(min_size=1, max_size=20).filter(lambda text: "\n" not in text),
)
def test_moving_changes_the_source_ref_and_nothing_else(key: str, kind: Callable[..., Any], label: str) -> None:
    line = encoded(kind(IMAGE, label))
    target = S3Uri("example-copies", key)
    moved, stayed = json.loads(entry_line(line, target)), json.loads(entry_line(line))
    assert moved.pop("source-ref") == str(target)
    assert stayed.pop("source-ref") == IMAGE
    assert moved == stayed


@pytest.mark.parametrize(
    ("data", "key", "state", "reason", "detail"),
    [
        (b"{", "line 7", State.REJECTED, Reason.UNUSABLE_ENTRY, "ERROR_INVALID_JSON_LINE"),
        (b"{}", "line 7", State.REJECTED, Reason.UNUSABLE_ENTRY, "ERROR_MISSING_SOURCE_REF"),
        (b'{"source-ref": 1}', "line 7", State.REJECTED, Reason.UNUSABLE_ENTRY, "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (b'{"source-ref": "x"}', "x", State.REJECTED, Reason.UNUSABLE_ENTRY, "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (encoded({"source-ref": IMAGE}), "a.png", State.UNLABELLED, Reason.UNLABELLED_AT_SOURCE, ""),
        (encoded(image_level(IMAGE, "b", "a")), "a.png", State.LABELLED, Reason.FROM_DATASET, ""),
        (
            encoded(image_level(IMAGE, "a") | {"cl-errors": [{"code": "ERROR_INVALID_IMAGE"}]}),
            "a.png",
            State.LABELLED,
            Reason.ERRORS_AT_SOURCE,
            "ERROR_INVALID_IMAGE",
        ),
    ],
)
def test_what_an_entry_becomes(data: bytes, key: str, state: State, reason: Reason, detail: str) -> None:
    _, row = read_row(data, 7, None)
    assert (row.key, row.state, row.reason) == (key, state, reason)
    assert row.detail.startswith(detail)
    assert bool(row.detail) == bool(detail)


def test_labels_of_a_row_are_all_labels() -> None:
    _, row = read_row(encoded(boxed(IMAGE, "c") | image_level(IMAGE, "b", "a")), 1, None)
    assert row.labels == "a\nb\nc"


def test_keys_are_placed_below_the_name_of_their_bucket() -> None:
    _, row = read_row(encoded({"source-ref": "s3://example-images/x//ü%20.png"}), 1, DESTINATION)
    assert row.key == "images/example-images/x//ü%20.png"
    _, row = read_row(encoded({"source-ref": f"s3://example-images/{'x' * 1010}"}), 1, DESTINATION)
    assert (row.state, row.key[:10]) == (State.REJECTED, "s3://examp")


@pytest.fixture
def source(place: Place) -> Place:
    """A dataset with a label, two boxes, an image without a label, and a box outside of its image."""
    place.put("images/a.png", "images/b.png", "images/c.png", "images/d.png")
    base = f"s3://{place.images}/images"
    lines = [
        image_level(f"{base}/a.png", "echo"),
        boxed(f"{base}/b.png", "echo dot"),
        {"source-ref": f"{base}/c.png"},
        *(image_level(f"{base}/{number}.png", "echo") for number in range(6)),
        boxed(f"{base}/d.png", "spot", left=60),
    ]
    place.put(*(f"images/{number}.png" for number in range(6)))
    make_dataset(place, f"{place.project}-source", "train", lines)
    return place


def name_of(place: Place) -> str:
    return f"{place.project}-source/train"


@integration
def test_entries_within_one_account(source: Place) -> None:
    source.s3.delete_object(Bucket=source.images, Key="images/5.png")
    rows = Steps(source, source_dataset=name_of(source)).rows()
    assert list(rows) == sorted(rows)
    assert rows["images/a.png"] == (State.LABELLED, Reason.FROM_DATASET, "")
    assert rows["images/c.png"] == (State.UNLABELLED, Reason.UNLABELLED_AT_SOURCE, "")
    assert rows["images/d.png"][1] is Reason.ERRORS_AT_SOURCE
    assert "ERROR_INVALID_BOUNDING_BOX" in rows["images/d.png"][2]
    assert rows["images/5.png"][:2] == (State.QUARANTINED, Reason.IMAGE_NOT_FOUND)


@integration
def test_images_are_copied_with_an_outcome_for_each(source: Place) -> None:
    steps = Steps(source, source_dataset=name_of(source), image_destination=f"s3://{source.workspace}/copies")
    source.s3.delete_object(Bucket=source.images, Key="images/4.png")
    taken = f"copies/{source.images}/images/3.png"
    source.s3.put_object(Bucket=source.workspace, Key=taken, Body=picture(size=(65, 65)))
    rows = steps.rows()
    base = f"copies/{source.images}/images"
    assert rows[f"{base}/a.png"] == (State.LABELLED, Reason.FROM_DATASET, f"from s3://{source.images}/images/a.png")
    assert rows[f"{base}/4.png"][:2] == (State.QUARANTINED, Reason.IMAGE_NOT_FOUND)
    assert rows[f"{base}/3.png"][:2] == (State.QUARANTINED, Reason.COPY_CONFLICT)
    assert source.read(f"s3://{source.workspace}/{base}/a.png") == source.read(f"s3://{source.images}/images/a.png")
    assert steps.rows() == rows


@integration
def test_a_killed_export_continues_after_its_last_whole_part(source: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing_dataset, "ENTRIES_PER_PART", 4)
    monkeypatch.setattr(existing_dataset, "PAGE_SIZE", 2)
    steps = Steps(source, source_dataset=name_of(source))
    parts = []
    whole = existing_dataset._part

    def killed(hook: RekognitionHook, arn: str, token: str) -> tuple[list[bytes], str]:
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(token)
        return whole(hook, arn, token)

    monkeypatch.setattr(existing_dataset, "_part", killed)
    with pytest.raises(KeyboardInterrupt):
        steps.exported()
    tokens: list[str] = []

    def counted(hook: RekognitionHook, arn: str, token: str) -> tuple[list[bytes], str]:
        tokens.append(token)
        return whole(hook, arn, token)

    monkeypatch.setattr(existing_dataset, "_part", counted)
    assert steps.exported()["parts"] == 3
    assert len(tokens) == 1
    assert len(steps.rows()) == 10


@integration
def test_a_dataset_that_changes_while_it_is_read(source: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(source, source_dataset=name_of(source))
    monkeypatch.setattr(existing_dataset, "_last_updated", lambda hook, arn: "another time")
    refused(steps.exported, "SOURCE_DATASET_CHANGED")


@integration
def test_quotas_of_the_target_are_checked_before_anything_is_read(
    source: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = regional_quotas("eu-west-2")
    limits = type("Limits", (), {"images": lambda self, dataset_type: small.images(dataset_type) // 4_000})
    monkeypatch.setattr(existing_dataset, "regional_quotas", lambda region: limits())
    error = refused(Steps(source, source_dataset=name_of(source)).found, "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM")
    assert error.details["images"] == 10
    assert source.workspace_keys() == [f"made/{source.project}-source-train.manifest"]


@integration
def test_the_small_regions_of_the_target(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """28,000 images for training and 7,000 for testing; the source's Region does not count."""
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    connection["extra"]["region_name"] = "eu-west-2"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    description = {
        "Status": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": datetime.now(UTC),
        "DatasetStats": {"TotalEntries": 7_001, "LabeledEntries": 0, "TotalLabels": 0, "ErrorEntries": 0},
    }
    monkeypatch.setattr(RekognitionHook, "describe_dataset", lambda *_: description)
    arn = "arn:aws:rekognition:eu-west-2:111122223333:project/example/dataset/test/1690476084535"
    assert Steps(place, source_dataset=arn, dataset_type="train").found()["train"]["entries"] == 7_001
    refused(Steps(place, source_dataset=arn, dataset_type="test").found, "ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM")


@integration
def test_images_in_several_buckets_need_a_destination(place: Place) -> None:
    place.put("a.png")
    place.s3.put_object(Bucket=place.workspace, Key="a.png", Body=picture())
    # Rekognition makes no such dataset of one manifest, so the entries are written as they would be listed.
    steps = Steps(place)
    run = ImportRun.from_json(steps.run)
    refs = [f"s3://{bucket}/a.png" for bucket in (place.images, place.workspace)]
    body = b"".join(encoded(image_level(ref, "echo")) + b"\n" for ref in refs)
    run.s3.client.put_object(Bucket=place.workspace, Key=run.staged("entries/0000.jsonl").key, Body=body)
    exported = {"dataset_arn": "arn", "parts": 1}
    refused(lambda: work(read_entries, steps.run, exported), "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS")
    moving = Steps(place, image_destination=f"s3://{place.workspace}/copies").run
    (shard,) = work(read_entries, moving, exported)
    work(bring_images, moving, shard)
    copies = [key for key in place.workspace_keys() if key.startswith("copies/")]
    assert copies == sorted(f"copies/{bucket}/a.png" for bucket in (place.images, place.workspace))


@integration
def test_what_is_no_source(source: Place) -> None:
    project = f"{source.project}-source"
    refused(Steps(source, source_dataset="example-nowhere/train").found, "SOURCE_DATASET_NOT_FOUND")
    refused(Steps(source, source_dataset=f"{project}/test").found, "SOURCE_DATASET_NOT_FOUND")
    refused(Steps(source, source_dataset=project, dataset_type="train+test").found, "SOURCE_DATASET_NOT_FOUND")
    (described,) = source.rekognition.describe_projects(ProjectNames=[project])["ProjectDescriptions"]
    arn = described["Datasets"][0]["DatasetArn"]
    assert Steps(source, source_dataset=arn, dataset_type="test").found()["test"]["dataset_arn"] == arn
    assert Steps(source, source_dataset=described["ProjectArn"]).found()["train"]["dataset_arn"] == arn
    refused(Steps(source, source_dataset=f"{described['ProjectArn']}1").found, "SOURCE_DATASET_NOT_FOUND")
    refused(Steps(source, source_dataset=f"{arn}1").found, "SOURCE_DATASET_NOT_FOUND")
    refused(Steps(source, source_dataset=arn.replace("us-east-1", "eu-west-1")).found, "SOURCE_DATASET_ELSEWHERE")
    refused(Steps(source, source_dataset=arn, project=project).found, "SOURCE_IS_TARGET")
    refused(Steps(source, source_dataset=arn, source_aws_conn_id="example_missing",
                  image_destination="s3://example-images").found, "CONNECTION_NOT_FOUND")  # fmt: skip


@integration
def test_a_source_that_is_busy(source: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"Status": "UPDATE_IN_PROGRESS", "DatasetStats": {}}
    monkeypatch.setattr(RekognitionHook, "describe_dataset", lambda *_: busy)
    refused(Steps(source, source_dataset=name_of(source)).found, "SOURCE_DATASET_NOT_READY")


def test_the_types_that_are_asked_for() -> None:
    request = ExistingDatasetRequest.parse({"source_dataset": "example", "dataset_type": "train+test"})
    run = ImportRun(request=request, as_of=datetime.now(UTC), slug="run", holder=HOLDER).to_json()
    assert first_tasks(run) == ["train.choose_dataset", "test.choose_dataset"]
    test = ImportRun.from_json(work(choose_dataset, run, "test"))
    assert (test.dataset_type, test.slug) == ("TEST", "run-test")
    with pytest.raises(ValueError, match="not one dataset"):
        ImportRun.from_json(run).dataset_type  # noqa: B018
