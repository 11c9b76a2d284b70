"""`make demo` for real: local AWS, a running `airflow standalone`, an import over the REST API, and the way back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from demo.airflow_api import AirflowApi
from demo.errors import DemoError
from demo.imports import Import, follow_import, run_import, trigger_import
from demo.processes import wait_until
from demo.services import IMAGES_BUCKET, Services
from demo.settings import PROJECT_ROOT, Settings
from tests.fixtures.local_aws import free_ports as free_aws_ports
from tests.fixtures.local_aws import require_weed
from tests.fixtures.ports import free_ports

DAG_ID = "import_s3_folder"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo in folders and on ports of its own."""

    settings: Settings
    services: Services

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m demo …` as `make` calls it."""
        settings = self.settings
        environment = os.environ | {
            "DEMO_DIR": str(settings.demo_dir),
            "LOCAL_AWS_DIR": str(settings.local_aws_dir),
            "AIRFLOW_PORT": str(settings.airflow_port),
            "S3_PORT": str(settings.s3_port),
            "REKOGNITION_PORT": str(settings.rekognition_port),
        }
        return subprocess.run(
            [sys.executable, "-m", "demo", *arguments],
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    def run(self, airflow: AirflowApi, conf: dict[str, object]) -> dict[str, Any]:
        """Trigger the Dag over REST; its summary."""
        wanted = Import(dag_id=DAG_ID, conf=conf)
        return run_import(airflow, wanted, base_url=self.settings.airflow_url, say=print).result

    def record(self) -> dict[str, dict[str, Any]]:
        """What the demo remembers of each import: its result by source or place."""
        rows = json.loads((self.settings.demo_dir / "imports.json").read_bytes())
        return {place: row["result"] for place, row in rows.items()}

    def labels(self, dataset_arn: str) -> dict[str, set[str]]:
        """The class names of each image of the dataset, as the service lists them."""
        pages = self.services.rekognition().get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn)
        entries = [json.loads(entry) for page in pages for entry in page["DatasetEntries"]]
        return {
            entry["source-ref"]: {
                value["class-name"]
                for name, value in entry.items()
                if name.endswith("-metadata") and "class-name" in value
            }
            for entry in entries
        }


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, subprocess.CompletedProcess[str]]]:
    """The demo and what its first `make demo` printed."""
    require_weed()
    for _ in range(3):
        demo = _demo(tmp_path_factory.mktemp("demo"))
        done = demo.command("run")
        # Another program may have taken a port since it was found free.
        if "is taken" not in done.stdout:
            break
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield demo, done
    finally:
        demo.services.down()


def _demo(folder: Path) -> Demo:
    s3_port, rekognition_port = free_aws_ports()
    (airflow_port,) = free_ports(1)
    settings = Settings(
        demo_dir=folder / "demo",
        local_aws_dir=folder / "aws",
        airflow_port=airflow_port,
        s3_port=s3_port,
        rekognition_port=rekognition_port,
    )
    return Demo(settings=settings, services=Services(settings, say=print))


@pytest.fixture(scope="module")
def demo(first_run: tuple[Demo, object]) -> Demo:
    return first_run[0]


@pytest.fixture(scope="module")
def airflow(demo: Demo) -> Iterator[AirflowApi]:
    with demo.services.airflow() as airflow:
        yield airflow


@pytest.fixture(scope="module")
def dataset_arn(demo: Demo) -> str:
    return str(demo.record()[f"s3://{IMAGES_BUCKET}/alexa-devices/"]["dataset_arn"])


def test_the_demo_prints_its_result_and_where_everything_is(
    first_run: tuple[Demo, subprocess.CompletedProcess[str]], dataset_arn: str
) -> None:
    demo, done = first_run
    for text in ("echo-dot │     16", "quarantined NOT_PNG_OR_JPEG (1)", dataset_arn, demo.settings.airflow_url):
        assert text in done.stdout
    assert demo.services.password() not in done.stdout + done.stderr


def test_the_dataset_is_labelled_by_folder(demo: Demo, dataset_arn: str) -> None:
    labels = demo.labels(dataset_arn)
    folder = f"s3://{IMAGES_BUCKET}/alexa-devices/"
    expected = {
        f"{folder}alexa-devices-image-1.png": set(),
        f"{folder}echo/echo-image-1.png": {"echo"},
        f"{folder}echo/echo-image-3.jpg": {"echo"},
        f"{folder}echo-dot/echo-dot-image-1.png": {"echo-dot"},
        f"{folder}echo-dot/white-echo-dot/white-echo-dot-image-1.png": {"echo-dot"},
    }
    assert {source_ref: labels.get(source_ref) for source_ref in expected} == expected
    assert len(labels) == 30
    for source_ref, names in labels.items():
        inside = source_ref.removeprefix(folder)
        assert names == ({inside.split("/")[0]} if "/" in inside else set())


def test_the_other_sources_give_datasets_of_their_own(demo: Demo, dataset_arn: str) -> None:
    results = demo.record()
    local, boxes, copy = (
        results[source]["dataset_arn"] for source in ("Local computer", "SageMaker Ground Truth", "Existing dataset")
    )
    assert sorted(map(sorted, demo.labels(local).values())) == sorted(map(sorted, demo.labels(dataset_arn).values()))
    assert demo.labels(copy) == demo.labels(dataset_arn)
    listed = demo.services.rekognition().list_dataset_labels(DatasetArn=boxes)["DatasetLabelDescriptions"]
    counts = {label["LabelName"]: label["LabelStats"]["BoundingBoxCount"] for label in listed}
    assert counts == {"echo": 2, "echo-dot": 2}


def test_the_second_demo_is_a_no_op(demo: Demo, airflow: AirflowApi, dataset_arn: str) -> None:
    processes = demo.services.registry.all()
    runs = airflow.run_ids(DAG_ID)

    done = demo.command("run")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Already imported; nothing has changed since." in done.stdout
    assert dataset_arn in done.stdout
    assert "Starting" not in done.stdout
    assert demo.services.registry.all() == processes
    assert airflow.run_ids(DAG_ID) == runs


def test_a_plain_trigger_of_the_unchanged_folder_changes_nothing(
    demo: Demo, airflow: AirflowApi, dataset_arn: str
) -> None:
    before = demo.labels(dataset_arn)
    result = demo.run(airflow, {})
    assert result["dataset_arn"] == dataset_arn
    assert not result["changed"]
    assert demo.labels(dataset_arn) == before


def test_a_new_label_waits_for_a_person_who_sees_what_it_is_about(
    demo: Demo, airflow: AirflowApi, dataset_arn: str
) -> None:
    key = "alexa-devices/echo-show/écho #1 +.png"
    source = demo.settings.demo_dir / "images" / "alexa-devices" / "echo" / "echo-image-1.png"
    demo.services.s3().put_object(Bucket=IMAGES_BUCKET, Key=key, Body=source.read_bytes())
    before = demo.labels(dataset_arn)
    wanted = Import(dag_id=DAG_ID, conf={"s3_folder": f"s3://{IMAGES_BUCKET}/alexa-devices"})
    run_id = trigger_import(airflow, wanted)

    def is_asked() -> bool:
        states = {task["task_id"]: task["state"] for task in airflow.task_instances(DAG_ID, run_id)}
        return states.get("train.approve") == "awaiting_input"

    assert wait_until(is_asked, deadline_s=240, interval_s=1.0)
    question = airflow.question(DAG_ID, run_id, "train.approve")
    assert "Update the train dataset of alexa-devices?" in question["subject"]
    assert "NEW_LABELS" in question["body"]
    assert "echo-show" in question["body"]
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", question["body"])
    assert airflow.picture(picture).startswith(b"\xff\xd8")
    anonymous = httpx.get(f"{demo.settings.airflow_url}/{picture}", trust_env=False)
    assert anonymous.status_code == httpx.codes.UNAUTHORIZED
    assert demo.labels(dataset_arn) == before

    airflow.answer(DAG_ID, run_id, "train.approve", "Approve")
    done = follow_import(airflow, wanted, run_id, base_url=demo.settings.airflow_url, say=print)

    assert done.result["dataset_arn"] == dataset_arn
    assert demo.labels(dataset_arn)[f"s3://{IMAGES_BUCKET}/{key}"] == {"echo-show"}
    bucket, _, name = done.result["summary_uri"].removeprefix("s3://").partition("/")
    summary = json.loads(demo.services.s3().get_object(Bucket=bucket, Key=name)["Body"].read())
    assert (summary["details"]["approval"]["by"], summary["details"]["approval"]["option"]) == ("admin", "Approve")


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"project": "no spaces allowed"}, r"\(400\)"),
        ({"dataset_type": "validation"}, r"\(400\)"),
        ({"s3_folders": "s3://example-images/echo/"}, "UNKNOWN_PARAMETER.*s3_folders"),
    ],
)
def test_a_bad_parameter_is_refused_and_no_project_is_made(
    demo: Demo, airflow: AirflowApi, conf: dict[str, object], reason: str
) -> None:
    before = demo.services.rekognition().describe_projects()["ProjectDescriptions"]
    with pytest.raises(DemoError, match=f"(?s){reason}"):
        demo.run(airflow, conf)
    assert demo.services.rekognition().describe_projects()["ProjectDescriptions"] == before


def test_nothing_listens_beyond_this_machine(demo: Demo, airflow: AirflowApi) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in demo.services.registry.all()
        for member in [*process.members(), *psutil.Process(process.pid).children(recursive=True)]
        for connection in member.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in listening} >= {demo.settings.airflow_port, demo.settings.s3_port}
    assert {address for address, _ in listening} == {"127.0.0.1"}


def test_down_ends_what_was_started_and_leaves_no_process(demo: Demo, airflow: AirflowApi) -> None:
    started = [
        member
        for process in demo.services.registry.all()
        for member in [*process.members(), *psutil.Process(process.pid).children(recursive=True)]
    ]
    assert len(started) > 5

    done = demo.command("down")

    assert done.returncode == 0, done.stdout + done.stderr
    left = [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert demo.services.registry.all() == []
    # No process of ours carries the demo's folder in its command line or environment any more.
    marks = [process.info["pid"] for process in psutil.process_iter(["pid", "environ"]) if _belongs(process, demo)]
    assert marks == []


def _belongs(process: psutil.Process, demo: Demo) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("AIRFLOW_HOME") == str(demo.settings.airflow_home) or environment.get(
        "LOCAL_AWS_DIR"
    ) == str(demo.settings.local_aws_dir)
