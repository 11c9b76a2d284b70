from __future__ import annotations

import json
import re
from typing import Any

import pytest

from include.local_aws.configuration import GUEST, ImageChecks
from include.local_aws.object_reader import BucketFacts, ObjectStoreUnavailableError
from tests.local_aws.conftest import Service, Start, StoredObjects, created, entries, gone, settled
from tests.local_aws.samples import BUCKET, box, boxed, image, json_lines, labelled, source_ref

UNREADABLE = "The manifest file extension or contents are invalid."
TOO_MANY_BAD_LINES = "The manifest file has too many terminal errors."


def from_manifest(key: str = "train.manifest", **changes: Any) -> dict[str, Any]:
    return {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Name": key} | changes}}


def imported(service: Service, content: bytes, *, key: str = "train.manifest", region: str = "us-east-1") -> Any:
    """Description of a test dataset made from a manifest."""
    service.objects.put(key, content)
    rekognition = service.client(region=region)
    project = rekognition.create_project(ProjectName="example-import")["ProjectArn"]
    arn = rekognition.create_dataset(ProjectArn=project, DatasetType="TEST", DatasetSource=from_manifest(key))
    return settled(rekognition, arn["DatasetArn"]) | arn


def stats(description: dict[str, Any]) -> tuple[int, int, int, int]:
    counts = description["DatasetStats"]
    return counts["TotalEntries"], counts["LabeledEntries"], counts["TotalLabels"], counts["ErrorEntries"]


def failure(description: dict[str, Any]) -> tuple[str, str, str]:
    return description["Status"], description["StatusMessageCode"], description["StatusMessage"]


# Lifecycle


def test_creation_update_and_deletion_take_their_time(start: Start) -> None:
    service = start(status_delay_s=0.2)
    rekognition = service.client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    arn = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    assert re.fullmatch(r"arn:aws:rekognition:us-east-1:111122223333:project/example-project/dataset/train/\d{13}", arn)

    description = rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]
    assert description["Status"] == "CREATE_IN_PROGRESS"
    assert stats(description) == (0, 0, 0, 0)
    for listing in (rekognition.list_dataset_entries, rekognition.list_dataset_labels):
        with pytest.raises(rekognition.exceptions.ResourceNotReadyException):
            listing(DatasetArn=arn)
    changes = {"GroundTruth": json_lines(labelled("a.png", "Cup"))}
    for refused in (
        lambda: rekognition.update_dataset_entries(DatasetArn=arn, Changes=changes),
        lambda: rekognition.delete_dataset(DatasetArn=arn),
    ):
        with pytest.raises(rekognition.exceptions.ResourceInUseException):
            refused()
    description = settled(rekognition, arn)
    assert description["Status"] == "CREATE_COMPLETE"
    assert description["StatusMessageCode"] == "SUCCESS"
    assert description["LastUpdatedTimestamp"] > description["CreationTimestamp"]

    rekognition.update_dataset_entries(DatasetArn=arn, Changes=changes)
    assert rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"] == "UPDATE_IN_PROGRESS"
    for listing in (rekognition.list_dataset_entries, rekognition.list_dataset_labels, rekognition.delete_dataset):
        with pytest.raises(rekognition.exceptions.ResourceInUseException):
            listing(DatasetArn=arn)
    assert settled(rekognition, arn)["Status"] == "UPDATE_COMPLETE"

    rekognition.delete_dataset(DatasetArn=arn)
    assert rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"] == "DELETE_IN_PROGRESS"
    with pytest.raises(rekognition.exceptions.ResourceInUseException):
        rekognition.delete_dataset(DatasetArn=arn)
    gone(rekognition, arn)


@pytest.mark.parametrize("content", [None, json_lines(labelled("a.png", "Cup"))], ids=["creation", "update"])
def test_a_restart_finishes_what_was_under_way(start: Start, content: bytes | None) -> None:
    objects = StoredObjects()
    objects.put("train.manifest", json_lines(labelled("b.png", "Cup")))
    rekognition = start(objects, status_delay_s=0.0).client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    if content is None:
        rekognition = start(objects, status_delay_s=3).client()
        made = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=from_manifest())
        arn, status, key = made["DatasetArn"], "CREATE", "b.png"
    else:
        arn = created(rekognition, project)
        rekognition = start(objects, status_delay_s=3).client()
        rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": content})
        status, key = "UPDATE", "a.png"
    rekognition = start(objects).client()
    assert rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"] == f"{status}_IN_PROGRESS"
    assert settled(rekognition, arn)["Status"] == f"{status}_COMPLETE"
    [entry] = entries(rekognition, arn)
    assert json.loads(entry)["source-ref"] == source_ref(key)


def test_one_dataset_of_each_type(rekognition: Any, project_arn: str) -> None:
    created(rekognition, project_arn, dataset_type="TRAIN")
    test = created(rekognition, project_arn, dataset_type="TEST")
    for dataset_type in ("TRAIN", "TEST"):
        with pytest.raises(rekognition.exceptions.ResourceAlreadyExistsException):
            rekognition.create_dataset(ProjectArn=project_arn, DatasetType=dataset_type)
    rekognition.delete_dataset(DatasetArn=test)
    gone(rekognition, test)
    assert created(rekognition, project_arn, dataset_type="TEST") != test


def test_a_failed_creation_holds_its_place_until_it_is_deleted(service: Service) -> None:
    rekognition = service.client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    arn = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=from_manifest())[
        "DatasetArn"
    ]
    assert failure(settled(rekognition, arn)) == ("CREATE_FAILED", "CLIENT_ERROR", UNREADABLE)
    with pytest.raises(rekognition.exceptions.ResourceAlreadyExistsException):
        rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")
    with pytest.raises(rekognition.exceptions.ResourceNotReadyException):
        rekognition.list_dataset_entries(DatasetArn=arn)
    with pytest.raises(rekognition.exceptions.InvalidParameterException):
        rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": b"{}"})
    rekognition.delete_dataset(DatasetArn=arn)
    gone(rekognition, arn)
    created(rekognition, project)


# Sources


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"GroundTruthManifest": {}},
        {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET}}},
        {"GroundTruthManifest": {"S3Object": {"Name": "train.manifest"}}},
        from_manifest()
        | {"DatasetArn": "arn:aws:rekognition:us-east-1:111122223333:project/a/dataset/train/1790000000000"},
    ],
)
def test_a_source_is_one_manifest_or_one_dataset(rekognition: Any, project_arn: str, source: dict[str, Any]) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException):
        rekognition.create_dataset(ProjectArn=project_arn, DatasetType="TRAIN", DatasetSource=source)
    created(rekognition, project_arn)


@pytest.mark.parametrize(
    "facts",
    [BucketFacts(owner="111122223333", region="eu-west-1"), BucketFacts(owner=GUEST.account, region="us-east-1")],
)
def test_a_manifest_bucket_elsewhere_or_of_another_owner(service: Service, facts: BucketFacts) -> None:
    service.objects.buckets[BUCKET] = facts
    rekognition = service.client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
        rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=from_manifest())
    created(rekognition, project)


def test_an_absent_project(rekognition: Any, project_arn: str) -> None:
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.create_dataset(ProjectArn=project_arn + "0", DatasetType="TRAIN")


def test_a_copy_goes_its_own_way(rekognition: Any, project_arn: str) -> None:
    source = created(rekognition, project_arn, json_lines(labelled("a.png", "Cup"), labelled("b.png")))
    other = rekognition.create_project(ProjectName="example-copy")["ProjectArn"]
    copy = rekognition.create_dataset(ProjectArn=other, DatasetType="TEST", DatasetSource={"DatasetArn": source})
    assert stats(settled(rekognition, copy["DatasetArn"])) == (2, 1, 1, 0)
    assert entries(rekognition, copy["DatasetArn"]) == entries(rekognition, source)
    rekognition.update_dataset_entries(
        DatasetArn=source, Changes={"GroundTruth": json_lines(labelled("c.png", "Plate"))}
    )
    assert stats(settled(rekognition, source)) == (3, 2, 2, 0)
    assert stats(settled(rekognition, copy["DatasetArn"])) == (2, 1, 1, 0)
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.create_dataset(
            ProjectArn=other, DatasetType="TRAIN", DatasetSource={"DatasetArn": source.replace("train", "test")}
        )


def test_a_dataset_in_progress_cannot_be_copied(start: Start) -> None:
    rekognition = start(status_delay_s=60).client()
    project = rekognition.create_project(ProjectName="example-project")["ProjectArn"]
    source = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    with pytest.raises(rekognition.exceptions.InvalidParameterException):
        rekognition.create_dataset(ProjectArn=project, DatasetType="TEST", DatasetSource={"DatasetArn": source})


# Terminal errors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", UNREADABLE),
        (image(), UNREADABLE),
        (
            json_lines(*[labelled(f"{n}.png", f"Label {n}") for n in range(251)]),
            "The manifest file has too many labels.",
        ),
        (
            json_lines(labelled("a.png"), labelled("b.png", bucket="example-other")),
            "The manifest file contains images from multiple S3 buckets.",
        ),
        (json_lines(*["{}"] * 3, *[labelled(f"{n}.png") for n in range(7)]), TOO_MANY_BAD_LINES),
    ],
    ids=["empty", "no text", "251 labels", "two buckets", "30 % bad"],
)
def test_a_manifest_that_cannot_be_used(service: Service, content: bytes, message: str) -> None:
    description = imported(service, content)
    assert failure(description) == ("CREATE_FAILED", "CLIENT_ERROR", message)
    assert stats(description) == (0, 0, 0, 0)


def test_250_labels_are_enough(service: Service) -> None:
    lines = [labelled(f"{number}.png", f"Label {number}") for number in range(250)]
    assert stats(imported(service, json_lines(*lines))) == (250, 250, 250, 0)


@pytest.mark.parametrize(("rows", "status"), [(7000, "CREATE_COMPLETE"), (7001, "CREATE_FAILED")])
def test_the_image_quota_of_a_small_region(service: Service, rows: int, status: str) -> None:
    description = imported(service, json_lines(*[labelled(f"{n}.png") for n in range(rows)]), region="eu-west-2")
    assert description["Status"] == status
    if status == "CREATE_FAILED":
        assert description["StatusMessage"] == "The manifest file has too many rows."


@pytest.mark.parametrize("key", ["manifest", "train.manifests/manifest", "manifest/"])
def test_a_manifest_needs_an_extension(service: Service, key: str) -> None:
    assert failure(imported(service, json_lines(labelled("a.png")), key=key))[2] == UNREADABLE


def test_any_extension_will_do(service: Service) -> None:
    assert imported(service, json_lines(labelled("a.png")), key="train.jsonl")["Status"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(("size_bytes", "status"), [(1024**3, "CREATE_COMPLETE"), (1024**3 + 1, "CREATE_FAILED")])
def test_a_manifest_has_one_gigabyte(service: Service, size_bytes: int, status: str) -> None:
    service.objects.sizes[BUCKET, "train.manifest"] = size_bytes
    description = imported(service, json_lines(labelled("a.png")))
    assert description["Status"] == status
    if status == "CREATE_FAILED":
        assert description["StatusMessage"] == "The manifest file size exceeds the maximum supported size."


def test_a_forbidden_manifest(service: Service) -> None:
    service.objects.forbidden.add((BUCKET, "train.manifest"))
    assert failure(imported(service, b"{}")) == (
        "CREATE_FAILED",
        "CLIENT_ERROR",
        "The S3 bucket permissions are incorrect.",
    )


def test_s3_out_of_order_is_the_services_fault(service: Service) -> None:
    service.objects.failure = ObjectStoreUnavailableError("S3 answered 503.")
    assert imported(service, b"{}")["StatusMessageCode"] == "SERVICE_ERROR"


# Silent drops and the 20 % rule


@pytest.mark.parametrize(
    "dropped",
    [
        json.dumps({"source-ref": source_ref("long.png"), "x": "y" * 100_000}),
        json.dumps({"source_ref": source_ref("x.png")}),
        json.dumps({"source-ref": "https://example-images/x.png"}),
        '{"source-ref": "s3://example-images/x.png"',
        json.dumps(labelled("0.png", "Plate")),
    ],
    ids=["too long", "no source-ref", "malformed source-ref", "invalid contents", "repeated"],
)
def test_five_kinds_of_lines_vanish_without_a_word(service: Service, dropped: str) -> None:
    lines = [labelled(f"{number}.png", "Cup") for number in range(9)]
    description = imported(service, json_lines(*lines, dropped))
    assert description["Status"] == "CREATE_COMPLETE"
    # Of a repeated source-ref the first line stays.
    assert stats(description) == (9, 9, 1, 0)
    assert entries(service.client(), description["DatasetArn"], HasErrors=True) == []


@pytest.mark.parametrize(
    ("dropped", "erroneous", "good", "status"),
    [
        (2, 0, 8, "CREATE_COMPLETE"),  # exactly 20 %
        (0, 2, 8, "CREATE_COMPLETE"),
        (1, 1, 8, "CREATE_COMPLETE"),
        (3, 0, 11, "CREATE_FAILED"),
        (0, 3, 11, "CREATE_FAILED"),
        (15, 15, 70, "CREATE_FAILED"),  # cumulative
        (10, 10, 80, "CREATE_COMPLETE"),
    ],
)
def test_more_than_a_fifth_of_bad_lines(service: Service, dropped: int, erroneous: int, good: int, status: str) -> None:
    lines = [
        *["{}"] * dropped,
        *[labelled(f"bad-{number}.png") | {"half": 1} for number in range(erroneous)],
        *[labelled(f"{number}.png", "Cup") for number in range(good)],
    ]
    description = imported(service, json_lines(*lines))
    assert description["Status"] == status
    if status == "CREATE_FAILED":
        assert description["StatusMessage"] == TOO_MANY_BAD_LINES
    else:
        assert stats(description) == (erroneous + good, good, 1, erroneous)


def test_unlabelled_lines_and_lost_boxes_do_not_count_as_bad(service: Service) -> None:
    lines = [
        *[labelled(f"bare-{number}.png") for number in range(5)],
        *[boxed(f"box-{number}.png", box(), box(left=-5)) for number in range(5)],
    ]
    assert stats(imported(service, json_lines(*lines))) == (10, 5, 1, 5)


# Images


def checked(start: Start, contents: dict[str, bytes], lines: bytes, **settings: Any) -> tuple[Any, dict[str, Any]]:
    objects = StoredObjects()
    for key, content in contents.items():
        objects.put(key, content)
    service = start(objects, **({"image_checks": ImageChecks.HEADER} | settings))
    description = imported(service, lines)
    found = entries(service.client(), description["DatasetArn"]) if description["Status"] == "CREATE_COMPLETE" else []
    codes = {}
    for entry in map(json.loads, found):
        key = entry["source-ref"].rpartition("/")[2]
        codes[key] = [error["code"] for error in entry.get("cl-errors", [])]
    return description, codes


def test_images_are_looked_at(start: Start) -> None:
    good = {f"{number}.png": image() for number in range(32)}
    bad = {
        "missing.png": b"",
        "empty.png": b"",
        "text.png": b"no image",
        "gif.png": image(form="GIF"),
        "small.png": image((63, 64)),
        "wide.png": image((4097, 300)),
        "long.png": image((64, 1280)),
        "boxes.png": image((63, 64)),
    }
    lines = [labelled(key, "Cup") for key in [*good, *bad] if key != "boxes.png"]
    description, codes = checked(
        start,
        good | {key: content for key, content in bad.items() if key != "missing.png"},
        json_lines(*lines, boxed("boxes.png", box())),
    )
    assert stats(description) == (40, 40, 1, 8)
    assert {key for key, found in codes.items() if not found} == set(good)
    assert codes["boxes.png"] == ["ERROR_INVALID_IMAGE_DIMENSION"]
    for key in bad.keys() - {"boxes.png"}:
        assert codes[key] == ["ERROR_INVALID_IMAGE"], key


def test_too_many_missing_images(start: Start) -> None:
    lines = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(10)])
    contents = {f"{number}.png": image() for number in range(7)}
    assert failure(checked(start, contents, lines)[0]) == ("CREATE_FAILED", "CLIENT_ERROR", TOO_MANY_BAD_LINES)


def test_missing_images_and_dropped_lines_add_up(start: Start) -> None:
    lines = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(8)], "{}", "{}")
    contents = {f"{number}.png": image() for number in range(7)}
    assert failure(checked(start, contents, lines)[0]) == ("CREATE_FAILED", "CLIENT_ERROR", TOO_MANY_BAD_LINES)


def test_existence_alone(start: Start) -> None:
    lines = json_lines(*[labelled(f"{number}.png", "Cup") for number in range(9)], labelled("missing.png", "Cup"))
    contents = {f"{number}.png": image((10, 10)) for number in range(9)}
    description, codes = checked(start, contents, lines, image_checks=ImageChecks.EXISTS)
    assert stats(description) == (10, 10, 1, 1)
    assert codes["missing.png"] == ["ERROR_INVALID_IMAGE"]


def test_the_image_of_a_line_with_an_earlier_error_is_left_alone(start: Start) -> None:
    objects = StoredObjects()
    keys = [f"{number}.png" for number in range(9)]
    for key in keys:
        objects.put(key, image())
    service = start(objects, image_checks=ImageChecks.HEADER)
    lines = [labelled(key, "Cup") for key in keys]
    assert stats(imported(service, json_lines(*lines, labelled("half.png") | {"half": 1}))) == (10, 9, 1, 1)
    assert objects.looked_at == [(BUCKET, key) for key in keys]


def test_declared_sizes_stand_in_for_images_that_are_not_read(service: Service) -> None:
    lines = [labelled(f"{number}.png", "Cup") for number in range(9)]
    description = imported(service, json_lines(*lines, boxed("big.png", box(), size=(5000, 300))))
    [entry] = entries(service.client(), description["DatasetArn"], HasErrors=True)
    assert [error["code"] for error in json.loads(entry)["cl-errors"]] == ["ERROR_INVALID_IMAGE_DIMENSION"]


# Updates


def test_an_update_replaces_by_exact_source_ref_and_never_removes(rekognition: Any, project_arn: str) -> None:
    arn = created(rekognition, project_arn, json_lines(labelled("a.png", "Cup"), labelled("b.png", "Cup", "Plate")))
    rekognition.update_dataset_entries(
        DatasetArn=arn,
        Changes={"GroundTruth": json_lines(labelled("b.png", "Fork"), labelled("B.png"), labelled("a%2Epng"))},
    )
    assert stats(settled(rekognition, arn)) == (4, 2, 2, 0)
    shown = {
        json.loads(entry)["source-ref"].rpartition("/")[2]: json.loads(entry) for entry in entries(rekognition, arn)
    }
    assert list(shown) == ["a.png", "b.png", "B.png", "a%2Epng"]
    assert shown["b.png"] == labelled("b.png", "Fork") | {"cl-metadata": {"is_labeled": True}}
    # Plate has no image left, so it is gone.
    labels = rekognition.list_dataset_labels(DatasetArn=arn)["DatasetLabelDescriptions"]
    assert [label["LabelName"] for label in labels] == ["Cup", "Fork"]


def test_a_listed_entry_can_be_sent_back(rekognition: Any, project_arn: str) -> None:
    arn = created(rekognition, project_arn, json_lines(labelled("a.png", "Cup"), boxed("b.png", box(), box(left=-1))))
    before = entries(rekognition, arn)
    rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": "\n".join(before).encode()})
    assert settled(rekognition, arn)["Status"] == "UPDATE_COMPLETE"
    assert entries(rekognition, arn) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            json_lines(labelled("z.png", bucket="example-other")),
            "The manifest file contains images from multiple S3 buckets.",
        ),
        (json_lines(*[labelled("a.png", f"Label {n}") for n in range(1)], "{}", "{}"), TOO_MANY_BAD_LINES),
        (b"nonsense", UNREADABLE),
        (
            json_lines(*[labelled(f"{number}.png", f"Label {number}") for number in range(250)]),
            "The manifest file has too many labels.",
        ),
    ],
    ids=["other bucket", "bad lines", "no JSON", "too many labels together"],
)
def test_a_failed_update_leaves_the_dataset_as_it_was(
    rekognition: Any, project_arn: str, changes: bytes, message: str
) -> None:
    arn = created(rekognition, project_arn, json_lines(labelled("a.png", "Cup")))
    before = entries(rekognition, arn)
    rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": changes})
    description = settled(rekognition, arn)
    assert failure(description) == ("UPDATE_FAILED", "CLIENT_ERROR", message)
    assert stats(description) == (1, 1, 1, 0)
    assert entries(rekognition, arn) == before
    rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": json_lines(labelled("b.png", "Cup"))})
    assert failure(settled(rekognition, arn))[:2] == ("UPDATE_COMPLETE", "SUCCESS")
