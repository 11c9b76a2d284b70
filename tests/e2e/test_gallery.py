"""The gallery inside a running Airflow, in a real browser, as a person uses it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demo.airflow_api import AirflowApi
from tests.fixtures.browser import DEADLINE_MS, Visitor, visiting
from tests.fixtures.pictures import Pictures
from tests.fixtures.running_demo import DAG_ID, Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]

expect.set_options(timeout=DEADLINE_MS)

DATASET = "#/datasets/alexa-devices/train"
REVIEWED, WHITE = "reviewed <b>&", "white"


@pytest.fixture
def visitor(browser: Browser, demo: Demo, token: str) -> Iterator[Visitor]:
    with visiting(browser, demo.settings.airflow_url, token) as visitor:
        yield visitor
    assert visitor.problems == []


def entries(demo: Demo, dataset_arn: str) -> list[dict[str, Any]]:
    """The dataset's entries, as `aws rekognition list-dataset-entries` prints them."""
    pages = demo.services.rekognition().get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn)
    return [json.loads(entry) for page in pages for entry in page["DatasetEntries"]]


def said(entries: list[dict[str, Any]]) -> Counter[str]:
    """How many entries have each image-level label, and each box label in brackets."""
    counts: Counter[str] = Counter()
    for entry in entries:
        for name, value in entry.items():
            if name.endswith("-metadata"):
                counts.update([value["class-name"]] if "class-name" in value else [])
                counts.update(f"[{label}]" for label in value.get("class-map", {}).values())
    return counts


def drag(page: Page, picture: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw over a picture, from one to another place that are given as shares of its sides."""
    box = picture.bounding_box()
    assert box is not None
    (left, top), (right, bottom) = (
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
    )
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (top + bottom) / 2, steps=4)
    page.mouse.move(right, bottom, steps=4)
    page.mouse.up()


def test_a_person_reviews_a_run_labels_and_draws_and_a_refresh_keeps_it(
    demo: Demo, airflow: AirflowApi, dataset_arn: str, visitor: Visitor, pictures: Pictures
) -> None:
    page = visitor.page
    first_run = airflow.run_ids(DAG_ID)[-1]
    frame = visitor.open_in_airflow(DAG_ID, first_run)
    pictures.take("gallery-run", page, shows=frame.get_by_role("heading", name="alexa-devices train"))
    frame.get_by_role("link", name="The dataset as it is now").click()

    # Beside the run's tasks there is little room, so that the filters are closed.
    frame.get_by_role("button", name="Filters").click()
    filters = frame.get_by_role("complementary", name="Filters")
    filters.get_by_text("echo-dot", exact=True).click()
    expect(frame.get_by_role("strong").filter(has_text="16 images")).to_be_visible()
    tiles = frame.get_by_role("gridcell")
    expect(tiles.first).to_have_attribute("aria-busy", "false")
    tiles.first.focus()
    page.keyboard.press("Space")
    for _ in range(9):
        page.keyboard.press("Shift+ArrowRight")
    expect(frame.get_by_role("toolbar").get_by_text("10 images selected")).to_be_visible()
    page.keyboard.press("l")
    page.keyboard.type(REVIEWED)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    edits = frame.get_by_role("region", name="Edits")
    expect(edits.get_by_text("10 images changed")).to_be_visible()

    page.keyboard.press("Escape")
    tiles.first.focus()
    page.keyboard.press("Enter")
    side = frame.get_by_role("complementary", name="The image")
    side.get_by_label("New boxes are").fill(WHITE)
    picture = frame.locator(".stage[data-loaded] .stage-picture")
    # Around the device of the last of the ten, which the keyboard has reached.
    drag(page, picture, (0.33, 0.58), (0.75, 0.94))
    expect(side.get_by_label(f"Box 1: {WHITE}")).to_be_visible()
    numbers = {name: float(side.get_by_label(name).input_value()) for name in ("Left", "Top", "Width", "Height")}
    edits.get_by_role("button", name="Save").click()
    expect(edits).to_be_hidden()

    saved = entries(demo, dataset_arn)
    assert said(saved)[REVIEWED] == 10
    assert said(saved)[f"[{WHITE}]"] == 1
    (boxed,) = [
        entry for entry in saved if any("class-map" in value for value in entry.values() if type(value) is dict)
    ]
    (drawn,) = [value for value in boxed.values() if isinstance(value, dict) and "annotations" in value]
    (annotation,), (size,) = drawn["annotations"], drawn["image_size"]
    assert {name: annotation[name.lower()] for name in numbers} == numbers
    assert abs(annotation["left"] - 0.33 * size["width"]) <= 2
    assert abs(annotation["top"] - 0.58 * size["height"]) <= 2
    assert abs(annotation["width"] - 0.42 * size["width"]) <= 3

    # The folder says nothing of this, and lets it stand.
    result = demo.run(airflow, {"accept_risks": ["NEW_LABELS"]})
    assert result["dataset_arn"] == dataset_arn
    assert said(entries(demo, dataset_arn)) == said(saved)
    visitor.open(f"{DATASET}?label={REVIEWED.replace('&', '%26')}")
    expect(page.get_by_role("strong").filter(has_text="10 images")).to_be_visible()
    visitor.open(f"{DATASET}?boxed=true")
    page.get_by_role("gridcell").first.dblclick()
    expect(page.locator(".stage[data-loaded]")).to_be_visible()
    pictures.take("gallery-image", page, shows=page.get_by_label(f"Box 1: {WHITE}"))


def test_the_menu_leads_to_the_datasets(visitor: Visitor, pictures: Pictures) -> None:
    visitor.page.goto(visitor.base_url)
    visitor.page.get_by_role("link", name="Custom Labels").click()
    frame = visitor.page.frame_locator("iframe")
    pictures.take("gallery-datasets", visitor.page, shows=frame.get_by_role("article", name="alexa-devices").first)


@pytest.mark.parametrize(
    ("address", "sign"),
    [
        ("#/", "alexa-devices"),
        (DATASET, re.compile(r"\d+ images")),
        (f"{DATASET}/ledger", "registered"),
        (f"{DATASET}/compare", "added"),
        (f"{DATASET}/balance", "echo-dot"),
        ("#/upload", re.compile("30")),
    ],
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out(
    browser: Browser,
    demo: Demo,
    token: str,
    pictures: Pictures,
    address: str,
    sign: str | re.Pattern[str],
    theme: str,
) -> None:
    with visiting(browser, demo.settings.airflow_url, token, theme=theme) as visitor:
        visitor.open(address)
        shown = visitor.page.get_by_text(sign).locator("visible=true").first
        expect(shown).to_be_visible()
        expect(visitor.page.locator("html")).to_have_attribute("data-theme", theme)
        assert visitor.serious_faults() == []
        if (address, theme) == (f"{DATASET}/ledger", "light"):
            pictures.take("gallery-ledger", visitor.page, shows=shown)
        if (address, theme) == (f"{DATASET}/balance", "dark"):
            pictures.take("gallery-balance", visitor.page, shows=shown)
    assert visitor.problems == []


def test_every_file_of_a_snapshot_can_be_downloaded(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{DATASET}/ledger")
    page.get_by_role("button", name="Download").click()
    items = page.get_by_role("menuitem")
    expect(items.first).to_be_visible()
    addresses = [str(item.get_attribute("href")) for item in items.all()]
    with page.expect_download() as begun:
        items.first.click()
    assert begun.value.suggested_filename.endswith(".manifest")
    answers = {address.rpartition("/")[2].partition("?")[0]: page.request.get(address) for address in addresses}
    assert {answer.status for answer in answers.values()} == {200}
    assert answers.keys() == {"manifest", "ledger.csv", "ledger.parquet", "coco.json"}
    kinds = {kind: answer.body() for kind, answer in answers.items()}
    images = [json.loads(line)["source-ref"] for line in kinds["manifest"].splitlines()]
    assert len(json.loads(kinds["coco.json"])["images"]) == len(images) >= 30
    assert kinds["ledger.parquet"].startswith(b"PAR1")
    assert kinds["ledger.csv"].startswith(b"key,state,")


def test_images_are_uploaded_and_imported(demo: Demo, airflow: AirflowApi, visitor: Visitor) -> None:
    folder = demo.settings.demo_dir / "images" / "alexa-devices" / "echo"
    images = sorted(folder.glob("*.png"))[:2]
    visitor.open("#/upload?project=uploaded-devices&type=train")
    page = visitor.page
    page.locator("input[type=file]").first.set_input_files([*map(str, images), str(_text_file(demo.settings.demo_dir))])
    page.get_by_role("button", name="Upload 3 images").click()
    expect(page.get_by_text("uploaded", exact=True)).to_have_count(2)
    expect(page.get_by_role("alert")).to_contain_text("PNG")
    page.get_by_role("button", name="Take away no-image.png").click()
    page.get_by_role("button", name="Import 2 images").click()
    page.get_by_role("link", name="See the run").click()
    expect(page.get_by_role("heading", name=re.compile("manual__"))).to_be_visible()
    newest = airflow.run_ids("import_local_computer")[0]
    assert page.url.endswith(f"#/runs/import_local_computer/{quote(newest, safe='')}")


def _text_file(folder: Path) -> Path:
    path = folder / "no-image.png"
    path.write_text("<svg onload=alert(1)>")
    return path


@pytest.mark.parametrize("path", ["", "assets/custom-labels-light.svg", "api/session", "api/projects", "api/runs/a/b"])
def test_nothing_is_shown_to_who_is_not_logged_in(demo: Demo, path: str) -> None:
    answer = httpx.get(f"{demo.settings.airflow_url}/custom-labels/{path}", trust_env=False)
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_page_of_another_origin_cannot_write(demo: Demo, token: str) -> None:
    """Not even with the cookie of somebody who may."""
    url = f"{demo.settings.airflow_url}/custom-labels/api/uploads"
    own = {"Origin": demo.settings.airflow_url, "X-Custom-Labels": "1", "Content-Type": "application/json"}
    with httpx.Client(cookies={"_token": token}, trust_env=False) as client:
        assert client.post(url, headers=own, content=b"{}").status_code == httpx.codes.CREATED
        for changed in (
            {"Origin": "http://localhost:1"},
            {"Origin": "null"},
            {"X-Custom-Labels": "0"},
            {"Content-Type": "text/plain"},
        ):
            refused = client.post(url, headers=own | changed, content=b"{}")
            assert refused.status_code in (403, 415), changed
