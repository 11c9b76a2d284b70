"""`make demo` for real: local AWS, a running `airflow standalone`, and imports over the REST API."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, expect

from demo.airflow_api import AirflowApi
from demo.errors import DemoError
from demo.imports import Import, follow_import, trigger_import
from demo.processes import wait_until
from demo.services import IMAGES_BUCKET
from tests.fixtures.browser import visiting
from tests.fixtures.pictures import Pictures
from tests.fixtures.running_demo import DAG_ID, Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


def test_the_demo_prints_its_result_and_where_everything_is(
    first_run: tuple[Demo, subprocess.CompletedProcess[str]], dataset_arn: str
) -> None:
    demo, done = first_run
    for text in ("echo-dot │     16", "quarantined NOT_PNG_OR_JPEG (1)", dataset_arn, demo.settings.airflow_url):
        assert text in done.stdout
    assert demo.services.password() not in done.stdout + done.stderr


def test_airflow_shows_the_form_and_the_summary(
    demo: Demo, airflow: AirflowApi, browser: Browser, token: str, pictures: Pictures
) -> None:
    run_id = airflow.run_ids(DAG_ID)[-1]
    with visiting(browser, demo.settings.airflow_url, token) as visitor:
        page = visitor.page
        page.goto(f"{visitor.base_url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/train.summarize")
        pictures.take("summary", page, shows=page.get_by_text("report.html").first)
        # As large as the form.
        page.set_viewport_size({"width": 900, "height": 760})
        page.goto(f"{visitor.base_url}/dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").click()
        form = page.get_by_role("dialog")
        pictures.take("trigger-form", form, shows=form.get_by_text("Advanced Options"))


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


def test_a_new_label_waits_for_a_person_who_sees_what_it_is_about_and_approves(
    demo: Demo,
    airflow: AirflowApi,
    dataset_arn: str,
    browser: Browser,
    token: str,
    pictures: Pictures,
    tmp_path: Path,
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

    with visiting(browser, demo.settings.airflow_url, token) as visitor:
        page = visitor.page
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.goto(
            f"{visitor.base_url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/train.approve/required_actions"
        )
        pictures.take("required-action", page, shows=page.get_by_text("Update the train dataset of alexa-devices?"))
        frame = visitor.open_in_airflow(DAG_ID, run_id)
        expect(frame.get_by_text("NEW_LABELS").first).to_be_visible()
        expect(frame.locator("img").first).to_have_js_property("complete", True)
        frame.get_by_role("button", name="Approve").click()
        frame.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
        expect(frame.get_by_role("dialog")).to_be_hidden()
    assert visitor.problems == []
    done = follow_import(airflow, wanted, run_id, base_url=demo.settings.airflow_url, say=print)

    assert done.result["dataset_arn"] == dataset_arn
    assert demo.labels(dataset_arn)[f"s3://{IMAGES_BUCKET}/{key}"] == {"echo-show"}
    summary = json.loads(demo.read(done.result["summary_uri"]))
    assert (summary["details"]["approval"]["by"], summary["details"]["approval"]["option"]) == ("admin", "Approve")
    report = tmp_path / "report.html"
    report.write_bytes(demo.read(done.result["report_uri"]))
    page = browser.new_page(viewport={"width": 1100, "height": 1100})
    page.goto(report.as_uri())
    pictures.take("report", page, shows=page.get_by_role("heading", name="Risks and approval"))


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
