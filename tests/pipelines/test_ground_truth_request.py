"""What a request for annotations may say, and labeling jobs by their name."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from include.custom_labels.entries import Repair
from include.custom_labels.errors import CustomLabelsError, RequestError
from include.pipelines.ground_truth import read_annotations
from include.pipelines.requests import GroundTruthRequest, ImportRequest, form
from include.pipelines.requests.ground_truth import RepairName
from include.pipelines.runs import ImportRun
from tests.fixtures.annotation_samples import line, metadata
from tests.fixtures.places import HOLDER, Place

MANIFEST = "s3://example-images/job/manifests/output/output.manifest"


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "`labeling_job`"),
        ({"manifest": MANIFEST, "labeling_job": "example-job"}, "`labeling_job`"),
        ({"manifest": "output.manifest"}, "$.manifest"),
        ({"manifest": "s3://example-images/job/"}, "one file"),
        ({"manifest": MANIFEST, "annotation_format": "coco"}, "`image_root`"),
        ({"manifest": MANIFEST, "source_aws_conn_id": "example_abroad"}, "`image_root`"),
        ({"manifest": MANIFEST, "annotation_format": "yolo"}, "$.annotation_format"),
        ({"manifest": MANIFEST, "annotation_format": "pascal_voc", "image_root": "s3://example-images/"}, "folder"),
        ({"labeling_job": "example-job", "annotation_format": "csv"}, "`labeling_job`"),
        ({"labeling_job": "not_allowed"}, "$.labeling_job"),
        ({"manifest": MANIFEST, "annotation_format": "csv", "label_attribute": "a"}, "`label_attribute`"),
        ({"manifest": MANIFEST, "min_confidence": 1.1}, "$.min_confidence"),
        ({"manifest": MANIFEST, "repairs": ["everything"]}, "$.repairs[0]"),
    ],
)
def test_a_request_that_cannot_be_met_names_the_parameter(params: dict[str, Any], named: str) -> None:
    with pytest.raises(RequestError) as caught:
        GroundTruthRequest.parse(params)
    assert caught.value.code == "INVALID_PARAMETER"
    assert named in str(caught.value)


def test_every_repair_can_be_asked_for() -> None:
    assert set(get_args(RepairName)) == set(Repair)
    request = GroundTruthRequest.parse({"manifest": MANIFEST, "repairs": [*Repair]})
    assert request.mending.allowed == set(Repair)


def test_the_form_holds_every_parameter_in_words() -> None:
    for name, param in form(GroundTruthRequest).items():
        jsonschema.validate(param.value, param.schema)
        assert param.schema["title"], name
        assert param.schema["description_md"], name


def test_the_access_check_looks_where_the_run_will_read_and_write() -> None:
    root = "s3://example-images/brought"
    needs = GroundTruthRequest.parse({"manifest": MANIFEST, "image_root": root}).needs
    assert (needs.folder, [str(uri) for uri in needs.objects]) == (None, [MANIFEST])
    assert [str(place) for place in needs.destinations] == [f"{root}/"]
    needs = GroundTruthRequest.parse({"manifest": MANIFEST, "image_root": root, "annotation_format": "coco"}).needs
    assert (str(needs.folder), needs.destinations) == (f"{root}/", ())


@pytest.fixture
def sagemaker(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[int, dict[str, Any]]]]:
    """A service that answers DescribeLabelingJob with status and body by the job's name."""
    answers: dict[str, tuple[int, dict[str, Any]]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = answers[request["LabelingJobName"]]
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test says what it saw."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = {
            "conn_type": "aws",
            "login": place.aws.access_key,
            "password": place.aws.secret_key,
            "extra": {
                "region_name": place.aws.region,
                "endpoint_url": place.aws.s3_endpoint,
                "service_config": {
                    "rekognition": {"endpoint_url": place.aws.rekognition_endpoint},
                    "sagemaker": {"endpoint_url": f"http://127.0.0.1:{server.server_port}"},
                },
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        yield answers
        server.shutdown()
        thread.join()


def read(place: Place, job: str) -> list[dict[str, Any]]:
    request = GroundTruthRequest.parse({"project": place.project, "labeling_job": job})
    run = ImportRun(request=request, as_of=datetime(2100, 1, 1, tzinfo=UTC), slug="run", holder=HOLDER).to_json()
    work: Callable[..., list[dict[str, Any]]] = read_annotations.__wrapped__  # type: ignore[attr-defined]
    return work(run)


@pytest.mark.integration
def test_a_labeling_job_gives_its_output_manifest(place: Place, sagemaker: dict[str, Any]) -> None:
    key = "jobs/example-job/manifests/output/output.manifest"
    output = {"OutputDatasetS3Uri": f"s3://{place.images}/{key}"}
    sagemaker["example-job"] = (200, {"LabelingJobStatus": "Completed", "LabelingJobOutput": output})
    place.put("a.png")
    body = line(place.images, "a.png", species=0, species_metadata=metadata())
    place.s3.put_object(Bucket=place.images, Key=key, Body=body)
    (shard,) = read(place, "example-job")
    assert (shard["bucket"], shard["images"]) == (place.images, 1)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, {"LabelingJobStatus": "InProgress"}, "LABELING_JOB_NOT_COMPLETED"),
        (200, {"LabelingJobStatus": "Failed", "FailureReason": "No workers."}, "LABELING_JOB_NOT_COMPLETED"),
        (400, {"__type": "ResourceNotFound", "message": "Labeling job not found"}, "LABELING_JOB_NOT_FOUND"),
        (400, {"__type": "AccessDeniedException", "message": "Not you."}, "LABELING_JOB_UNREADABLE"),
        (400, {"__type": "ExpiredTokenException", "message": "Too late."}, "CREDENTIALS_EXPIRED"),
    ],
)
def test_a_labeling_job_without_output(
    place: Place, sagemaker: dict[str, Any], status: int, answer: dict[str, Any], code: str
) -> None:
    sagemaker["example-job"] = (status, answer)
    with pytest.raises(CustomLabelsError) as caught:
        read(place, "example-job")
    assert caught.value.code == code
    assert answer.get("FailureReason", "example-job") in caught.value.message


def test_every_parameter_and_repair_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "sources" / "ground-truth.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    defaults = {name: param.value for name, param in form(GroundTruthRequest).items()}
    own = defaults.keys() - set(ImportRequest.__struct_fields__)
    for name in own:
        default = defaults[name]
        assert rows[name].startswith(f"`{default if isinstance(default, str) else json.dumps(default)}` | "), name
    for repair in Repair:
        assert rows[repair].endswith(f"| {repair.explanation}"), repair
