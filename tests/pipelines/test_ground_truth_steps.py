"""Annotations in S3 become shards in which every line, file, entry and object has its row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from include.custom_labels.errors import CustomLabelsError
from include.custom_labels.locations import S3Uri
from include.object_store.tables import read_ledger
from include.pipelines.access import AccessCheck, Outcome
from include.pipelines.ground_truth import copy_to_image_root, read_annotations, split_lines
from include.pipelines.inspection import inspect_images
from include.pipelines.manifests import build_manifest, validate_manifest
from include.pipelines.requests import GroundTruthRequest
from include.pipelines.runs import ImportRun
from tests.fixtures.annotation_samples import LABELS, boxes, boxes_metadata, coco, line, metadata, voc
from tests.fixtures.local_aws import LocalAws
from tests.fixtures.places import HOLDER, Place, picture

pytestmark = pytest.mark.integration

FILE = "annotations/output.manifest"


def work(step: Callable[..., Any], *args: Any) -> Any:
    """The step's own function, without the task around it."""
    return step.__wrapped__(*args)  # type: ignore[attr-defined]


class Steps:
    """The steps of one run, up to the one that a test is about."""

    def __init__(self, place: Place, **conf: Any) -> None:
        request = GroundTruthRequest.parse(
            {"project": place.project, "manifest": f"s3://{place.images}/{FILE}", **conf}
        )
        as_of = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        self.run = ImportRun(request=request, as_of=as_of, slug=f"run-{place.project}", holder=HOLDER).to_json()

    def read(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = work(read_annotations, self.run)
        return shards

    def copied(self) -> list[dict[str, Any]]:
        return [work(copy_to_image_root, self.run, shard) for shard in self.read()]

    def built(self) -> dict[str, Any]:
        inspected = [work(inspect_images, self.run, shard) for shard in self.copied()]
        built: dict[str, Any] = work(build_manifest, self.run, inspected)
        return built

    def rows(self, shards: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
        """Key, state, reason and detail of each."""
        session = ImportRun.from_json(self.run).s3
        return [
            (key, str(state), str(reason), detail)
            for shard in shards
            for page in read_ledger(session, S3Uri.parse(shard["ledger"]))
            for key, state, reason, detail in zip(
                page.objects.keys, page.states, page.reasons, page.details, strict=True
            )
        ]

    def entries(self, shards: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        session = ImportRun.from_json(self.run).s3
        lines = [
            json.loads(entry)
            for shard in shards
            for page in read_ledger(session, S3Uri.parse(shard["ledger"]))
            for entry in page.entries or []
            if entry
        ]
        return {each["source-ref"]: each for each in lines}


def write(place: Place, body: bytes, key: str = FILE) -> None:
    place.s3.put_object(Bucket=place.images, Key=key, Body=body)


def refused(step: Callable[[], object], code: str) -> CustomLabelsError:
    with pytest.raises(CustomLabelsError) as caught:
        step()
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def test_every_line_of_a_manifest_has_its_row(place: Place) -> None:
    bucket = place.images
    place.put(*(f"images/{number}.png" for number in range(8)), "images/스피커\u200b.png", "images/a b+%2B.png")
    lines = [
        line(bucket, "images/0.png", species="0", species_metadata=metadata()),
        line(bucket, "images/0.png", species="1", species_metadata=metadata("Echo Dot")),
        b"\n",
        b"{broken\n",
        line(bucket, "images/스피커\u200b.png", species=0, species_metadata=metadata()),
        line(bucket, "images/a b+%2B.png", species=0, species_metadata=metadata()),
        line(bucket, "images/gone.png", species=0, species_metadata=metadata()),
        line(bucket, "images/1.png"),
        line(bucket, "images/2.png", BB=boxes(), BB_metadata=boxes_metadata(0)),
        line(
            bucket,
            "images/3.png",
            seg_ref="s3://x/y.png",
            seg_ref_metadata=metadata(type="groundtruth/semantic-segmentation"),
        ),
        b'{"source-ref": "https://example.com/4.png"}\n',
        b'{"source_ref": "s3://example/5.png"}\n',
        line("BUCKET", "images/6.png", species=0, species_metadata=metadata()),
    ]
    write(place, b"".join(lines))
    steps = Steps(place)
    shards = steps.read()
    rows = steps.rows(shards)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert sorted((key, state, reason, detail.partition(":")[0]) for key, state, reason, detail in rows) == sorted(
        [
            ("images/0.png", "labelled", "IN_ANNOTATIONS", ""),
            ("images/0.png", "rejected", "REPEATED_IMAGE", "ERROR_DUPLICATE_SOURCE_REF"),
            ("line 3", "skipped", "BLANK_LINE", ""),
            ("line 4", "rejected", "UNUSABLE_ANNOTATION", "ERROR_INVALID_JSON_LINE"),
            ("images/스피커\u200b.png", "labelled", "IN_ANNOTATIONS", ""),
            ("images/a b+%2B.png", "labelled", "IN_ANNOTATIONS", ""),
            ("images/gone.png", "quarantined", "IMAGE_NOT_FOUND", "ERROR_INVALID_IMAGE"),
            ("images/1.png", "unlabelled", "NO_ANNOTATIONS", ""),
            ("images/2.png", "unlabelled", "NO_ANNOTATIONS", "WARNING_NO_ANNOTATIONS"),
            ("images/3.png", "rejected", "UNUSABLE_ANNOTATION", "line 10"),
            ("https://example.com/4.png", "rejected", "UNUSABLE_ANNOTATION", "ERROR_INVALID_SOURCE_REF_FORMAT"),
            ("line 12", "rejected", "UNUSABLE_ANNOTATION", "ERROR_MISSING_SOURCE_REF"),
            ("s3://BUCKET/images/6.png", "rejected", "UNUSABLE_ANNOTATION", "ERROR_INVALID_SOURCE_REF_FORMAT"),
        ]
    )
    findings = json.loads(place.read(f"s3://{place.workspace}/" + findings_key(place)))
    assert findings["totals"]["ERROR_DUPLICATE_SOURCE_REF"] == 1
    assert findings["totals"]["ERROR_UNSUPPORTED_USE_CASE_TYPE"] == 1


def findings_key(place: Place) -> str:
    (key,) = [key for key in place.workspace_keys() if key.endswith("annotation-findings.json")]
    return key


def test_repairs_are_made_where_they_were_asked_for_and_stand_in_the_ledger(place: Place) -> None:
    place.put("images/0.png", "images/1.png")
    lines = line("<bucket>", "images/0.png", BB=boxes((1.4, 2.6, 10.2, 70)), BB_metadata=boxes_metadata(0))
    lines += line(place.images, "images/1.png", label=0, job_metadata=metadata())
    write(place, lines)
    refused(Steps(place).read, "ERROR_EMPTY_MANIFEST")
    repairs = ["substitute_bucket", "round_floats", "clip_boxes", "fill_confidence", "rename_metadata"]
    steps = Steps(place, repairs=repairs)
    built = steps.built()
    assert built["lines"] == built["labelled"] == 2
    rows = steps.rows([{"ledger": built["ledger"]}])
    assert {row[2] for row in rows} == {"REPAIRED"}
    assert "substitute_bucket (<bucket>); fill_confidence (BB: 1 boxes)" in rows[0][3]
    assert "rename_metadata ('job-metadata' to 'label-metadata')" in rows[1][3]
    first = json.loads(place.read(built["manifest"]).splitlines()[0])
    assert first["bounding-box-0"]["annotations"] == [{"class_id": 0, "top": 3, "left": 1, "width": 11, "height": 61}]
    assert work(validate_manifest, steps.run, built)["labels"] == 1
    assert Steps(place, repairs=repairs).built()["manifest_sha256"] == built["manifest_sha256"]


def test_images_of_several_buckets_are_brought_to_one(place: Place) -> None:
    place.put("a/0.png", "a/1.png")
    other = f"{place.images}-other"
    place.aws.create_buckets(other)
    place.s3.put_object(Bucket=other, Key="a/0.png", Body=picture())
    lines = [
        line(place.images, "a/0.png", species=0, species_metadata=metadata()),
        line(place.images, "a/1.png", species=0, species_metadata=metadata()),
        line(other, "a/0.png", species=0, species_metadata=metadata("Echo Dot")),
        line(other, "a/gone.png", species=0, species_metadata=metadata("Echo Dot")),
    ]
    write(place, b"".join(lines))
    error = refused(Steps(place).read, "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS")
    assert "image_root" in error.next_step
    for again in (False, True):
        steps = Steps(place, image_root=f"s3://{place.images}/brought")
        shards = steps.copied()
        rows = {row[0]: row[1:] for row in steps.rows(shards)}
        copy = f"brought/{other}/a/0.png"
        assert rows[copy][0] == "labelled"
        assert rows[copy][2] == f"{'already there' if again else 'copied'} from s3://{other}/a/0.png"
        assert rows[f"brought/{other}/a/gone.png"][:2] == ("quarantined", "IMAGE_NOT_FOUND")
        assert rows["a/0.png"] == ("labelled", "IN_ANNOTATIONS", "")
        assert f"s3://{place.images}/{copy}" in steps.entries(shards)
        inspected = steps.rows([work(inspect_images, steps.run, shard) for shard in shards])
        assert Counter(state for _, state, _, _ in inspected) == {"labelled": 3, "quarantined": 1}
        body = place.s3.get_object(Bucket=place.images, Key=copy)["Body"].read()
        assert body == place.s3.get_object(Bucket=other, Key="a/0.png")["Body"].read()


def test_a_copy_never_overwrites_another_image(place: Place) -> None:
    other = f"{place.images}-other"
    place.aws.create_buckets(other)
    place.s3.put_object(Bucket=other, Key="0.png", Body=picture())
    place.put(f"brought/{other}/0.png")
    write(place, line(other, "0.png", species=0, species_metadata=metadata()))
    steps = Steps(place, image_root=f"s3://{place.images}/brought")
    ((_, state, reason, detail),) = steps.rows(steps.copied())
    assert (state, reason) == ("quarantined", "COPY_CONFLICT")
    assert "OBJECT_EXISTS" in detail


def test_300_images_of_a_coco_file(place: Place) -> None:
    keys = [f"images/val/{number:012}.png" for number in range(300)]
    place.put(*keys[:299], "images/val/extra.png", "images/notes.txt")
    file = coco(300)
    file["annotations"].append({"id": 9999, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]})
    file["annotations"][0]["category_id"] = 99
    write(place, json.dumps(file).encode())
    steps = Steps(place, annotation_format="coco", image_root=f"s3://{place.images}/images")
    shards = steps.read()
    rows = steps.rows(shards)
    assert Counter((state, reason) for _, state, reason, _ in rows) == {
        ("labelled", "IN_ANNOTATIONS"): 238,
        ("unlabelled", "NO_ANNOTATIONS"): 60,
        ("rejected", "UNUSABLE_ANNOTATION"): 2,
        ("quarantined", "IMAGE_NOT_FOUND"): 1,
        ("skipped", "NOT_ANNOTATED"): 1,
        ("skipped", "NOT_AN_IMAGE_NAME"): 1,
    }
    entries = steps.entries(shards)
    late = entries[f"s3://{place.images}/images/val/{205:012}.png"]
    assert late["bounding-box-0-metadata"]["creation-date"] == "2013-11-14T17:02:52"
    assert late["bounding-box-0-metadata"]["class-map"] == {"0": LABELS[205 % 6]}
    assert {row[3] for row in rows if row[0].endswith("205.png")} == {"1 crowd annotations left out"}
    assert steps.built()["lines"] == 298


def test_300_pascal_voc_files(place: Place) -> None:
    place.put(*(f"images/{number:06}.png" for number in range(300)))
    bodies = {f"xml/{number:06}.xml": voc(number, objects=number % 3) for number in range(300)}
    bodies["xml/000010.xml"] = voc(10, first=0)
    bodies["xml/000011.xml"] = b"<annotation><filename>000011.png"
    bodies["xml/000012.xml"] = b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + voc(12).partition(b"\n")[2]
    bodies["xml/000013.xml"] = b""
    bodies["xml/again.xml"] = voc(14)
    bodies["xml/readme.txt"] = b"x"
    for key, body in bodies.items():
        write(place, body, key)
    folder = f"s3://{place.images}/"
    steps = Steps(place, annotation_format="pascal_voc", manifest=f"{folder}xml/", image_root=f"{folder}images")
    shards = steps.read()
    rows = steps.rows(shards)
    assert Counter((state, reason) for _, state, reason, _ in rows) == {
        ("labelled", "IN_ANNOTATIONS"): 198,
        ("unlabelled", "NO_ANNOTATIONS"): 99,
        ("rejected", "UNUSABLE_ANNOTATION"): 3,
        ("rejected", "REPEATED_IMAGE"): 1,
        ("skipped", "NO_ANNOTATION_FILE"): 1,
        ("skipped", "NOT_ANNOTATED"): 3,
    }
    details = {key.rpartition("/")[2]: detail for key, _, _, detail in rows}
    assert "document type declaration" in details["000012.xml"]
    assert details["000010.png"] == "coordinates taken as zero-based"
    one = steps.entries(shards)[f"{folder}images/000001.png"]["bounding-box-0"]["annotations"]
    assert one == [{"class_id": 0, "left": 0, "top": 9, "width": 20, "height": 21}]


def test_a_csv_of_names_and_of_addresses(place: Place) -> None:
    place.put("images/a.png", "images/b, c.png", "images/d.png")
    rows = '\ufeffa.png,Echo,"Echo, Dot",Echo\n"b, c.png",source-ref\r\n\n"unclosed,Echo\n'
    rows += f"s3://{place.images}/images/d.png\n,Echo\ngone.png,Echo\n"
    write(place, rows.encode())
    steps = Steps(place, annotation_format="csv", image_root=f"s3://{place.images}/images")
    shards = steps.read()
    found = {key: (state, reason) for key, state, reason, _ in steps.rows(shards)}
    assert found == {
        "images/a.png": ("labelled", "IN_ANNOTATIONS"),
        "images/b, c.png": ("labelled", "IN_ANNOTATIONS"),
        "line 3": ("skipped", "BLANK_LINE"),
        "line 4": ("rejected", "UNUSABLE_ANNOTATION"),
        "images/d.png": ("unlabelled", "NO_ANNOTATIONS"),
        "line 6": ("rejected", "UNUSABLE_ANNOTATION"),
        "images/gone.png": ("quarantined", "IMAGE_NOT_FOUND"),
    }
    entry = steps.entries(shards)[f"s3://{place.images}/images/a.png"]
    assert [entry[f"label-{n}-metadata"]["class-name"] for n in (0, 1)] == ["Echo", "Echo, Dot"]


def test_a_file_that_cannot_be_used_ends_the_run(place: Place) -> None:
    refused(Steps(place).read, "OBJECT_NOT_FOUND")
    write(place, b"")
    refused(Steps(place).read, "ERROR_EMPTY_MANIFEST")
    write(place, b"\n \n")
    refused(Steps(place).read, "ERROR_EMPTY_MANIFEST")
    write(place, b"[]")
    root = f"s3://{place.images}/images"
    refused(
        Steps(place, annotation_format="coco", image_root=root).read,
        "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT",
    )
    folder = f"s3://{place.images}/nothing/"
    refused(Steps(place, annotation_format="pascal_voc", manifest=folder, image_root=root).read, "FOLDER_EMPTY")


def test_the_access_check_lets_an_empty_file_pass_which_has_a_code_of_its_own(place: Place) -> None:
    write(place, b"")
    run = ImportRun.from_json(Steps(place).run)
    check = AccessCheck(
        run.s3,
        run.rekognition,
        needs=run.request.needs,
        workspace=run.workspace.folder,
        project=place.project,
    )
    outcomes = {row.check: row.outcome for row in check.rows()}
    assert outcomes["read output.manifest"] is Outcome.PASS


def test_images_in_a_bucket_that_is_not_there(place: Place) -> None:
    place.put("0.png")
    lines = line(place.images, "0.png", species=0, species_metadata=metadata())
    keys = [f"{number}.png" for number in range(60)]
    lines += b"".join(line("example-nowhere", key, species=0, species_metadata=metadata()) for key in keys)
    lines += line(place.images, "k" * 1020 + ".png", species=0, species_metadata=metadata())
    write(place, lines)
    steps = Steps(place, image_root=f"s3://{place.images}/brought")
    states = Counter((state, reason) for _, state, reason, _ in steps.rows(steps.read()))
    assert states == {("labelled", "IN_ANNOTATIONS"): 1, ("quarantined", "IMAGE_NOT_FOUND"): 61}


def test_where_no_image_can_be_had_their_bucket_says_why(place: Place) -> None:
    write(place, line("example-nowhere", "0.png", species=0, species_metadata=metadata()))
    refused(Steps(place).read, "BUCKET_NOT_FOUND")
    refused(Steps(place, image_root=f"s3://{place.images}/brought").read, "BUCKET_NOT_FOUND")
    write(place, line(place.images, "gone.png", species=0, species_metadata=metadata()))
    refused(Steps(place).read, "ERROR_EMPTY_MANIFEST")


def test_images_of_another_owner(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("0.png")
    write(place, line(place.images, "0.png", species=0, species_metadata=metadata()))
    steps = Steps(place)
    owners = iter(("one", "another"))
    real = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "GetBucketAcl":
            return {"Owner": {"ID": next(owners)}}
        return real(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    refused(steps.read, "ERROR_INVALID_IMAGES_S3_BUCKET_OWNER")


def test_images_of_another_account_and_region_are_brought_and_verified(
    place: Place, other_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    abroad = Place(other_aws, f"{place.images}-abroad", f"{place.workspace}-abroad", "example-source")
    other_aws.create_buckets(abroad.images, abroad.workspace)
    monkeypatch.setenv("AIRFLOW_CONN_EXAMPLE_ABROAD", other_aws.airflow_connection("eu-west-1"))
    names = [f"images/{name}.png" for name in ("a", "ü +%20", "taken")]
    abroad.put(*names)
    place.put(f"brought/{abroad.images}/images/taken.png", body=picture(size=(90, 90)))
    lines = [line(abroad.images, name, species=0, species_metadata=metadata("Echo")) for name in names]
    lines.append(line(abroad.images, "images/gone.png", species=0, species_metadata=metadata("Echo")))
    write(abroad, b"".join(lines))
    steps = Steps(
        place,
        manifest=f"s3://{abroad.images}/{FILE}",
        image_root=f"s3://{place.images}/brought",
        source_aws_conn_id="example_abroad",
    )
    shards = steps.copied()
    head = f"brought/{abroad.images}/images"
    rows = {key: (state, reason) for key, state, reason, _ in steps.rows(shards)}
    assert rows == {
        f"{head}/a.png": ("labelled", "IN_ANNOTATIONS"),
        f"{head}/ü +%20.png": ("labelled", "IN_ANNOTATIONS"),
        f"{head}/taken.png": ("quarantined", "COPY_CONFLICT"),
        f"{head}/gone.png": ("quarantined", "IMAGE_NOT_FOUND"),
    }
    for name in names[:2]:
        copied = S3Uri(place.images, f"brought/{abroad.images}/{name}")
        assert place.read(str(copied)) == abroad.read(f"s3://{abroad.images}/{name}")
    assert set(steps.entries(shards)) >= {f"s3://{place.images}/{head}/a.png"}
    first = place.s3.head_object(Bucket=place.images, Key=f"{head}/a.png")["LastModified"]
    details = {key: detail for key, _, _, detail in steps.rows(steps.copied())}
    assert details[f"{head}/a.png"] == f"already there from s3://{abroad.images}/images/a.png"
    assert place.s3.head_object(Bucket=place.images, Key=f"{head}/a.png")["LastModified"] == first


def test_a_source_connection_that_is_not_there(place: Place) -> None:
    steps = Steps(place, image_root=f"s3://{place.images}/brought", source_aws_conn_id="example_missing")
    error = refused(steps.read, "CONNECTION_NOT_FOUND")
    assert "source_aws_conn_id" in error.next_step


def test_a_key_that_grows_too_long_below_image_root(place: Place) -> None:
    place.put("0.png")
    lines = line(place.images, "0.png", species=0, species_metadata=metadata())
    lines += line("example-other", "k" * 1010, species=0, species_metadata=metadata())
    write(place, lines)
    steps = Steps(place, image_root=f"s3://{place.images}/brought")
    rows = {state: detail for _, state, _, detail in steps.rows(steps.read())}
    assert rows["rejected"].startswith("ERROR_INVALID_SOURCE_REF_FORMAT: too long a key")


def test_what_was_written_after_the_time_that_the_import_is_as_of(place: Place) -> None:
    place.put("images/0.png")
    write(place, line(place.images, "images/0.png", species=0, species_metadata=metadata()))
    steps = Steps(place)
    steps.run["as_of"] = "2020-01-01T00:00:00Z"
    refused(steps.read, "ANNOTATIONS_NEWER_THAN_AS_OF")


def test_more_images_than_are_asked_for_one_by_one(place: Place) -> None:
    keys = [f"images/{number % 2}/{number}.png" for number in range(60)]
    place.put(*keys[1:])
    write(place, b"".join(line(place.images, key, species=0, species_metadata=metadata()) for key in keys))
    steps = Steps(place)
    reasons = Counter(reason for _, _, reason, _ in steps.rows(steps.read()))
    assert reasons == {"IN_ANNOTATIONS": 59, "IMAGE_NOT_FOUND": 1}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_over_the_limit_are_cut_and_none_is_lost(size: int) -> None:
    data = b"abc\n\nabcdefghij\nlast"
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert list(split_lines(chunks, keep=5)) == [b"abc", b"", b"abcde", b"last"]
