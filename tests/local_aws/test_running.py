"""Both services as they are run: a process of its own, spoken to by boto3 and by the AWS CLI."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from include.local_aws.configuration import GUEST
from include.local_aws.object_server import SOCKETS, ServerPorts
from tests.fixtures.local_aws import LocalAws, end, free_ports, launch, require_weed, running_local_aws
from tests.local_aws.conftest import created, entries, gone, settled
from tests.local_aws.samples import box, boxed, image, json_lines, labelled

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def bucket(local_aws: LocalAws) -> str:
    name = f"example-{uuid.uuid4().hex}"
    local_aws.create_buckets(name)
    return name


def aws(local_aws: LocalAws, *arguments: str) -> Any:
    """What the AWS CLI prints, from JSON."""
    command = [str(Path(sys.executable).with_name("aws")), *arguments, "--output", "json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | local_aws.env
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip().startswith("{") else done.stdout


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# S3


def test_objects_and_their_versions(local_aws: LocalAws, bucket: str) -> None:
    s3 = local_aws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = "a b/ü+%20#'\"\u202e🙂.png"
    first = s3.put_object(Bucket=bucket, Key=key, Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key=key, Body=b"second")["VersionId"]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"second"
    assert s3.get_object(Bucket=bucket, Key=key, VersionId=first)["Body"].read() == b"first"
    versions = s3.list_object_versions(Bucket=bucket, Prefix="a b/")["Versions"]
    assert [(version["VersionId"], version["IsLatest"]) for version in versions] == [(second, True), (first, False)]
    s3.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key=key, VersionId=second)["Body"].read() == b"second"


def test_only_signed_requests_with_the_right_keys(local_aws: LocalAws, bucket: str) -> None:
    anonymous = local_aws.client("s3", config=Config(signature_version=UNSIGNED))
    assert refused(anonymous.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert refused(anonymous.put_object, Bucket=bucket, Key="a", Body=b"") == ("AccessDenied", 403)
    wrong = local_aws.client("s3", aws_secret_access_key="wrong")
    assert refused(wrong.list_buckets) == ("SignatureDoesNotMatch", 403)
    guest = local_aws.client("s3", aws_access_key_id=GUEST.access_key, aws_secret_access_key=GUEST.secret_key)
    assert refused(guest.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert local_aws.client("s3").get_bucket_acl(Bucket=bucket)["Owner"]["ID"] == local_aws.account


def test_buckets_are_neither_made_nor_emptied_on_the_way(local_aws: LocalAws, bucket: str) -> None:
    s3 = local_aws.client("s3")
    assert refused(s3.put_object, Bucket="example-absent", Key="a", Body=b"")[0] == "NoSuchBucket"
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert refused(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"


# Rekognition over S3


def test_a_dataset_from_a_manifest_with_its_images(local_aws: LocalAws, bucket: str) -> None:
    s3, rekognition = local_aws.client("s3"), local_aws.client("rekognition")
    contents = {
        **{f"good ü+%20#/{number}.png": image() for number in range(19)},
        "profile.jpg": image(form="JPEG", icc_profile=b"p" * 200_000),
        "small.png": image((40, 200)),
        "empty.png": b"",
        "text.png": b"no image at all",
    }
    for key, content in contents.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    lines = [labelled(key, "Cup", bucket=bucket) for key in [*contents, "missing.png"]]
    s3.put_object(Bucket=bucket, Key="manifests/train.manifest", Body=json_lines(*lines))
    project = rekognition.create_project(ProjectName=bucket)["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": "manifests/train.manifest"}}}
    arn = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=source)["DatasetArn"]
    description = settled(rekognition, arn)
    assert description["Status"] == "CREATE_COMPLETE", description
    assert description["DatasetStats"] == {
        "TotalEntries": 24,
        "LabeledEntries": 24,
        "TotalLabels": 1,
        "ErrorEntries": 4,
    }
    bad = {json.loads(entry)["source-ref"].rpartition("/")[2] for entry in entries(rekognition, arn, HasErrors=True)}
    assert bad == {"small.png", "empty.png", "text.png", "missing.png"}


def test_a_version_of_a_manifest(local_aws: LocalAws, bucket: str) -> None:
    s3, rekognition = local_aws.client("s3"), local_aws.client("rekognition")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="0.png", Body=image())
    manifest = json_lines(labelled("0.png", "Old", bucket=bucket))
    old = s3.put_object(Bucket=bucket, Key="train.manifest", Body=manifest)["VersionId"]
    s3.put_object(Bucket=bucket, Key="train.manifest", Body=manifest.replace(b"Old", b"New"))
    project = rekognition.create_project(ProjectName=bucket)["ProjectArn"]
    for dataset_type, version, label in (("TRAIN", {"Version": old}, "Old"), ("TEST", {}, "New")):
        s3_object = {"Bucket": bucket, "Name": "train.manifest", **version}
        arn = rekognition.create_dataset(
            ProjectArn=project,
            DatasetType=dataset_type,
            DatasetSource={"GroundTruthManifest": {"S3Object": s3_object}},
        )["DatasetArn"]
        assert settled(rekognition, arn)["Status"] == "CREATE_COMPLETE"
        labels = rekognition.list_dataset_labels(DatasetArn=arn)["DatasetLabelDescriptions"]
        assert [described["LabelName"] for described in labels] == [label]


@pytest.mark.parametrize("place", [("example-absent", "a.manifest"), (None, "absent.manifest")])
def test_a_manifest_that_is_not_there(local_aws: LocalAws, bucket: str, place: tuple[str | None, str]) -> None:
    rekognition = local_aws.client("rekognition")
    project = rekognition.create_project(ProjectName=bucket)["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": place[0] or bucket, "Name": place[1]}}}
    arn = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=source)["DatasetArn"]
    assert settled(rekognition, arn)["StatusMessage"] == "The manifest file extension or contents are invalid."


def test_the_aws_cli_from_bucket_to_deletion(local_aws: LocalAws, tmp_path: Path) -> None:
    bucket = "example-cli"
    aws(local_aws, "s3", "mb", f"s3://{bucket}")
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(image())
    lines = [labelled(f"images/{number}.png", "Cup", bucket=bucket) for number in range(5)]
    (tmp_path / "train.manifest").write_bytes(json_lines(*lines))
    aws(local_aws, "s3", "sync", str(tmp_path), f"s3://{bucket}/images")
    assert "5.png" in aws(local_aws, "s3", "ls", f"s3://{bucket}/images/")

    rekognition = local_aws.client("rekognition")
    project = aws(local_aws, "rekognition", "create-project", "--project-name", "example-cli")["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": "images/train.manifest"}}}
    dataset = ["rekognition", "create-dataset", "--project-arn", project, "--dataset-type", "TRAIN"]
    arn = aws(local_aws, *dataset, "--dataset-source", json.dumps(source))["DatasetArn"]
    assert settled(rekognition, arn)["Status"] == "CREATE_COMPLETE"

    # Version 1 of the CLI, PyPI's, takes blobs as they are; version 2 needs --cli-binary-format raw-in-base64-out.
    changes = tmp_path / "changes.json"
    entry = boxed("images/5.png", box())
    entry["source-ref"] = f"s3://{bucket}/images/5.png"
    changes.write_text(json.dumps({"GroundTruth": json_lines(entry).decode()}))
    update = ["rekognition", "update-dataset-entries", "--dataset-arn", arn, "--changes", f"file://{changes}"]
    aws(local_aws, *update)
    settled(rekognition, arn)
    described = aws(local_aws, "rekognition", "describe-dataset", "--dataset-arn", arn)["DatasetDescription"]
    assert described["Status"] == "UPDATE_COMPLETE"
    assert described["DatasetStats"]["TotalEntries"] == 6
    listed = aws(local_aws, "rekognition", "list-dataset-entries", "--dataset-arn", arn, "--page-size", "4")
    assert len(listed["DatasetEntries"]) == 6
    labels = aws(local_aws, "rekognition", "list-dataset-labels", "--dataset-arn", arn)["DatasetLabelDescriptions"]
    assert labels == [{"LabelName": "Cup", "LabelStats": {"EntryCount": 6, "BoundingBoxCount": 1}}]

    test = aws(local_aws, *dataset[:-1], "TEST")["DatasetArn"]
    settled(rekognition, test)
    datasets = json.dumps([{"Arn": arn}, {"Arn": test}])
    aws(local_aws, "rekognition", "distribute-dataset-entries", "--datasets", datasets)
    assert settled(rekognition, test)["DatasetStats"]["TotalEntries"] == 1
    settled(rekognition, arn)

    aws(local_aws, "rekognition", "tag-resource", "--resource-arn", project, "--tags", "team=a")
    tags = aws(local_aws, "rekognition", "list-tags-for-resource", "--resource-arn", project)["Tags"]
    assert tags == {"team": "a"}
    aws(local_aws, "rekognition", "untag-resource", "--resource-arn", project, "--tag-keys", "team")
    for dataset_arn in (arn, test):
        aws(local_aws, "rekognition", "delete-dataset", "--dataset-arn", dataset_arn)
        gone(rekognition, dataset_arn)
    shown = ["rekognition", "describe-projects", "--project-names", "example-cli"]
    assert aws(local_aws, *shown)["ProjectDescriptions"][0]["Datasets"] == []
    deleted = aws(local_aws, "rekognition", "delete-project", "--project-arn", project)
    assert deleted == {"Status": "DELETING"}
    # A start of the command line takes a second: Python waits, and the command line sees the end.
    assert eventually(lambda: not rekognition.describe_projects(ProjectNames=["example-cli"])["ProjectDescriptions"])
    assert aws(local_aws, *shown)["ProjectDescriptions"] == []


def test_the_fixtures_faults(local_aws: LocalAws) -> None:
    rekognition = local_aws.client("rekognition", config=ONE_ATTEMPT)
    local_aws.faults("DescribeProjects", "throttle", calls=5)
    assert refused(rekognition.describe_projects) == ("ThrottlingException", 500)
    local_aws.clear_faults()
    rekognition.describe_projects()


def test_the_endpoint_variables_are_enough_for_boto3(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in local_aws.env.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    assert session.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "ProjectDescriptions" in session.client("rekognition").describe_projects()


# The process


def listeners(pid: int) -> dict[int, str]:
    """Port to address of every TCP socket that a process and its children listen on."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return {
        connection.laddr.port: connection.laddr.ip
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def test_loopback_and_nothing_else(local_aws: LocalAws) -> None:
    found = listeners(local_aws.pid)
    s3_port, rekognition_port = (
        int(endpoint.rpartition(":")[2]) for endpoint in (local_aws.s3_endpoint, local_aws.rekognition_endpoint)
    )
    assert set(found.values()) == {"127.0.0.1"}
    assert set(found) == {*ServerPorts(s3=s3_port).all, rekognition_port}
    # SeaweedFS's filer would hand out every object unsigned.
    for port in ServerPorts(s3=s3_port).all[1:]:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/buckets/", trust_env=False, timeout=5)
        except httpx.TransportError:
            continue
        assert answer.status_code >= 400, port


def test_another_address_is_for_the_two_services_alone(tmp_path: Path) -> None:
    require_weed()
    ports = free_ports()
    with running_local_aws(tmp_path, "--listen", "0.0.0.0", ports=ports) as services:
        found = listeners(services.pid)
    # SeaweedFS binds S3's gRPC with S3.
    served = {*ports, ServerPorts(s3=ports[0]).inner["s3.port.grpc"]}
    assert {port for port, address in found.items() if address in {"0.0.0.0", "::"}} == served
    assert {address for port, address in found.items() if port not in served} == {"127.0.0.1"}


def test_the_ready_line(local_aws: LocalAws) -> None:
    expected = f"ready s3={local_aws.s3_endpoint} rekognition={local_aws.rekognition_endpoint}"
    assert local_aws.ready_line == expected


def test_two_side_by_side_a_restart_and_a_kill(local_aws: LocalAws, tmp_path: Path) -> None:
    directory, ports = tmp_path / "other", free_ports()
    with running_local_aws(directory, "--status-delay", "0", ports=ports) as other:
        s3, rekognition = other.client("s3"), other.client("rekognition")
        s3.create_bucket(Bucket="example-other")
        s3.put_object(Bucket="example-other", Key="kept.png", Body=image())
        project = rekognition.create_project(ProjectName="example-other")["ProjectArn"]
        lines = json_lines(labelled("kept.png", "Cup", bucket="example-other"))
        arn = created(rekognition, project, lines)
        assert "example-other" not in {found["Name"] for found in local_aws.client("s3").list_buckets()["Buckets"]}
        assert (
            local_aws.client("rekognition").describe_projects(ProjectNames=["example-other"])["ProjectDescriptions"]
            == []
        )

        # Its ports and its directory are taken for anyone else, who is told so.
        for elsewhere, at, words in ((tmp_path / "third", ports, "is taken"), (directory, free_ports(), "in use")):
            third = launch(elsewhere, ports=at)
            output = third.stdout.read() if third.stdout else None
            assert end(third) == 1
            assert output == ""
            assert words in (elsewhere / "stderr.log").read_text()

    # Killed in the middle of things, with the same data and ports; its child goes with it.
    process = launch(directory, "--status-delay", "3600", ports=ports)
    try:
        assert process.stdout
        assert process.stdout.readline().startswith("ready ")
        [weed] = psutil.Process(process.pid).children()
        rekognition.update_dataset_entries(
            DatasetArn=arn, Changes={"GroundTruth": lines.replace(b"kept", b"more").replace(b"Cup", b"Mug")}
        )
        s3.put_object(Bucket="example-other", Key="more.png", Body=image())
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
        assert eventually(lambda: not weed.is_running() or weed.status() == psutil.STATUS_ZOMBIE)
    finally:
        end(process)
    with running_local_aws(directory, "--status-delay", "0", ports=ports) as other:
        assert s3.get_object(Bucket="example-other", Key="more.png")["Body"].read() == image()
        assert rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"] == "UPDATE_IN_PROGRESS"
        assert other.pid != process.pid


def test_the_end(tmp_path: Path) -> None:
    require_weed()
    ports = free_ports()
    process = launch(tmp_path, ports=ports)
    try:
        assert process.stdout
        process.stdout.readline()
        [weed] = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert process.wait(DEADLINE_S) == 0
        assert not weed.is_running()
        assert not list(SOCKETS.glob(f"seaweedfs-*-{ports[0]}.sock"))
        for port in (*ServerPorts(s3=ports[0]).all, ports[1]):
            with socket.socket() as probe:
                probe.settimeout(1)
                assert probe.connect_ex(("127.0.0.1", port)) != 0
    finally:
        end(process)


def test_without_its_s3_the_process_ends_and_says_why(tmp_path: Path) -> None:
    require_weed()
    process = launch(tmp_path, ports=free_ports())
    try:
        assert process.stdout
        process.stdout.readline()
        [weed] = psutil.Process(process.pid).children()
        weed.kill()
        assert process.wait(DEADLINE_S) == 1
        assert "SeaweedFS ended with exit code" in (tmp_path / "stderr.log").read_text()
    finally:
        end(process)


def test_help_names_options_and_variables() -> None:
    command = [sys.executable, "-m", "include.local_aws", "--help"]
    environment = os.environ | {"COLUMNS": "200", "TERM": "dumb"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    for name in ("--throttle", "--status-delay", "--image-checks", "LOCAL_AWS_DIR", "S3_PORT", "REKOGNITION_PORT"):
        assert name in shown


@pytest.mark.parametrize("s3_port", [1024, 8333, 8334, 18333, 57_716, 57_717, 65_535])
def test_derived_ports_are_ports(s3_port: int) -> None:
    ports = ServerPorts(s3=s3_port).all
    assert len(set(ports)) == 8
    assert all(1024 <= port <= 65535 for port in ports)
    for neighbour in (s3_port + 1, s3_port + 2, s3_port + 100, s3_port + 1000, s3_port - 10_000):
        assert not set(ServerPorts(s3=neighbour).all) & set(ports)
