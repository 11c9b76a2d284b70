"""The question for approval: what it says, as Markdown that hostile text cannot change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from include.custom_labels.visible_text import shortened, visible
from include.gallery.addresses import MAX_SAMPLES, SampleAddress
from include.pipelines.required_action import MAX_BODY_BYTES, approval_body, approval_subject
from include.pipelines.snapshot_report import ImageChange, SampleImage
from tests.pipelines.snapshot_reports import HOSTILE, snapshot_report

PLACES = {"report": "s3://example-workspace/report.html", "project": "https://example.com/projects?name=alexa-devices"}


def sample_images(text: str = "echo", count: int = 2) -> list[SampleImage]:
    change = ImageChange(image=f"s3://example-images/{text}", before=text)
    address = SampleAddress(dag_id="import_s3_folder", run_id="manual__2026+00:00", dataset_type="train", number=0)
    return [
        SampleImage(what="removed", change=change, url=address.url),
        *[SampleImage(what="removed", change=change, missing="The object is gone.")] * (count - 1),
    ]


def tokens(markdown: str) -> list[Token]:
    """All tokens, those within lines included, of GitHub's Markdown, which makes links of what looks like one."""
    flat = []
    for token in MarkdownIt("gfm-like").parse(markdown):
        flat += [token, *(token.children or [])]
    return flat


def structure(found: list[Token]) -> list[str]:
    """Kinds of tokens but for text and code, of which foreign text may need more or fewer, and lists alike."""
    return [token.type for token in found if token.type not in ("text", "code_inline", "inline")]


def test_the_question_in_one_line() -> None:
    assert approval_subject(snapshot_report()) == (
        "Replace the train dataset of alexa-devices? 1,005 removed, 7 relabelled, 1,230 added, 2 moved; 2 risks"
    )
    first = snapshot_report(action="create", difference=None, risks=[])
    assert approval_subject(first) == "Create the train dataset of alexa-devices? 1,240 images, 2 labels; 0 risks"


def test_the_question_says_what_would_happen_why_and_what_to_do() -> None:
    body = approval_body(snapshot_report(), sample_images(), PLACES)
    for said in (
        "would be replaced",
        "**Approve** does exactly this; **Reject** leaves the dataset as it is.",
        "| removed | relabelled | changed | added | moved |",
        "| 1,005 | 7 | not known | 1,230 | 2 |",
        "### 2 risks",
        "**`MANY_REMOVED`** 1,005 of 1,043 images, of echo. More images are gone than `max_removed_percent` allows",
        "**`NEW_LABEL`** 1. A label is new.",
        "- … and 1,002 more",
        "| ![removed 1](custom-labels/samples/import_s3_folder/manual__2026%2B00%3A00/train/0) "
        "| The object is gone. |  |",
        "| removed `echo`: `echo` | removed `echo`: `echo` |  |",
        "- report: `s3://example-workspace/report.html`",
        "- project: <https://example.com/projects?name=alexa-devices>",
    ):
        assert said in body, said


def test_what_the_merge_says_of_images_that_are_gone_counts() -> None:
    report = snapshot_report(departures={"removed": 120, "moved": 4, "kept_aside": 7})
    assert approval_subject(report) == (
        "Replace the train dataset of alexa-devices? 120 removed, 7 relabelled, 1,230 added, 4 moved; 2 risks"
    )
    body = approval_body(report)
    assert "| 120 | 7 | not known | 1,230 | 4 |" in body
    assert "Moved images keep their labels and boxes, and are not among the others: 4." in body
    assert "Images that earlier runs removed, and people's work on which the ledger keeps: 7." in body
    assert "ledger keeps" not in approval_body(snapshot_report())
    body = approval_body(snapshot_report(departures={"gave_way": 7}))
    assert "give way to later ones of theirs; the snapshot's `entries.manifest` keeps them: 7." in body


def test_removed_images_come_before_others() -> None:
    body = approval_body(snapshot_report(), sample_images())
    headings = [line for line in body.splitlines() if line.startswith("### ")]
    assert headings == [
        "### 2 risks",
        "### Images",
        "### New labels",
        "### Labels gone",
        "### Removed",
        "### Relabelled",
        "### Added",
        "### Moved",
    ]


def test_a_first_registration_without_a_risk() -> None:
    body = approval_body(snapshot_report(action="create", difference=None, risks=[]))
    assert "The dataset would be created." in body
    assert "No risk was found." in body
    assert "###" not in body


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str) -> None:
    plain = tokens(approval_body(snapshot_report(), sample_images(), PLACES))
    hostile = tokens(approval_body(snapshot_report(text), sample_images(text), PLACES))
    assert structure(hostile) == structure(plain)
    links = [token.attrs["href"] for token in hostile if token.type == "link_open"]
    assert links == ["https://example.com/projects?name=alexa-devices"]
    assert [token.attrs["src"] for token in hostile if token.type == "image"] == [sample_images()[0].url]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from("`|\\ ab<&*_[]()!\n#-$~") | st.characters(), min_size=1))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    body = approval_body(snapshot_report(text), sample_images(text), PLACES)
    found = MarkdownIt("gfm-like").parse(body)
    assert structure(tokens(body)) == structure(tokens(approval_body(snapshot_report(), sample_images(), PLACES)))
    shown = shortened(visible(text), 120)
    contents = ["".join(child.content for child in token.children or ()) for token in found if token.type == "inline"]
    # A sample of each of both risks, and a new label.
    assert contents.count(shown) >= 3 + 1 + 1
    # In a table.
    short = shortened(visible(text), 40)
    assert contents.count(f"removed {short}: {short}") == 2


def test_the_body_is_never_too_long_and_names_every_risk() -> None:
    text = "\U0001f5bc" * 900
    many = [
        {"code": f"RISK_{number}", "explanation": "Look at it.", "detail": text, "count": 50, "samples": [text] * 20}
        for number in range(10)
    ]
    body = approval_body(snapshot_report(text, risks=many), sample_images(text, MAX_SAMPLES), PLACES)
    assert MAX_BODY_BYTES * 0.8 < len(body.encode()) <= MAX_BODY_BYTES
    assert all(f"`RISK_{number}`" in body for number in range(10))
    assert "- report: " in body


def test_a_web_address_that_could_end_a_link_is_code() -> None:
    body = approval_body(snapshot_report(), places={"report": "https://example.com/> [x](y)"})
    assert "- report: `https://example.com/> [x](y)`" in body
