"""What a dataset's file may say, and what is said about a file that cannot be used."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from msgspec import Meta

from include.pipelines import dataset_files
from include.pipelines.dataset_files import (
    DATASETS,
    OF_A_RUN,
    REQUIRED,
    TYPE,
    Dataset,
    DatasetFile,
    DatasetFileError,
    places,
    read_dataset,
    read_datasets,
)
from include.pipelines.dataset_schema import SCHEMA_FILE, dataset_schema, render
from include.pipelines.requests import REQUEST_TYPES, ImportRequest, S3FolderRequest
from include.pipelines.requests.base import DATASET, GATES, SPLIT
from include.pipelines.yaml_documents import YamlDocument

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
SMALL = """\
project: alexa-devices
source:
  type: s3_folder
  s3_folder: s3://example-images/alexa-devices/
"""


def read(folder: Path, text: str | bytes, name: str = "example.yaml") -> Dataset:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_dataset(folder / name)


def test_the_smallest_file(tmp_path: Path) -> None:
    dataset = read(tmp_path, SMALL)
    assert (dataset.name, dataset.dag_id, dataset.source) == ("example", "refresh_example", "s3_folder")
    assert dataset.request == S3FolderRequest()
    assert dataset.content == DatasetFile()
    assert dataset.params["label_aliases"] == {}
    assert S3FolderRequest.parse(dataset.params) == dataset.request


def test_a_file_with_everything(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        """\
# yaml-language-server: $schema=./dataset.schema.json
name: example
description: Devices.
owner: vision
tags: [devices]
schedule: 0 3 * * *
timezone: Europe/Berlin
start_date: 2026-11-01
project: no
dataset_type: test
register: false
aws_conn_id: example
source:
  type: s3_folder
  s3_folder: s3://example-images/alexa-devices/
  automatic_labeling: true
  label_aliases: {echo-dot: Echo Dot, on: "On"}
  exclude: ["*/thumbs/*"]
notifications:
- {on: [failure, approval], sns: "arn:aws:sns:us-east-1:111122223333:example-topic"}
- {on: [success], ses: {mail_from: airflow@example.com, to: [team@example.com]}, aws_conn_id: mail}
""",
    )
    assert dataset.request == S3FolderRequest(
        project="no",
        dataset_type="test",
        register=False,
        aws_conn_id="example",
        label_aliases={"echo-dot": "Echo Dot", "on": "On"},
        exclude=["*/thumbs/*"],
    )
    content = dataset.content
    assert (content.schedule, content.timezone, content.start_date) == ("0 3 * * *", "Europe/Berlin", date(2026, 11, 1))
    assert (content.owner, content.tags, len(content.notifications)) == ("vision", ("devices",), 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the file is empty. Write members such as"),
        ("- a\n", "line 1: the file is no mapping."),
        (b"\xff\n", "the file is not UTF-8. Save it as UTF-8."),
        ("project: [\n", "line 2: no YAML: did not find expected node content."),
        (f"{SMALL}project: other\n", "line 5: no YAML: the key 'project' is there twice."),
        (f"{SMALL}tags: !!python/object:os.system [x]\n", "line 5: no YAML: could not determine a constructor"),
        ("a: \x01\n", "no YAML: unacceptable character #x0001"),
        (
            "project: p\n",
            "line 1: `source` has no type. Give `source` a member `type`, one of s3_folder, local_computer",
        ),
        ("project: p\nsource: s3_folder\n", "line 2, `source`: `source` has no type."),
        ("project: p\nsource:\n  type: s3\n", "line 3, `source.type`: 's3' is no source. The sources are s3_folder,"),
        ("project: p\nsource:\n  type: s3_folder\n", "line 2, `source`: `source.s3_folder` is missing."),
        (SMALL.partition("\n")[2], "line 1: `project` is missing."),
        (
            f"{SMALL}  s3_foldr: x\n",
            "line 5, `source.s3_foldr`: there is no such member. Did you mean `source.s3_folder`?",
        ),
        (f"{SMALL}schedul: x\n", "line 5, `schedul`: there is no such member. Did you mean `schedule`?"),
        (f"{SMALL}colour: x\n", "line 5, `colour`: there is no such member. They are name, description, owner,"),
        (f"{SMALL}1: x\n", "`1`: there is no such member."),
        (f"{SMALL}exclude: [x]\n", "line 5, `exclude`: it stands in another place. Write it as `source.exclude`."),
        (
            f"{SMALL}  register: false\n",
            "line 5, `source.register`: it stands in another place. Write it as `register`.",
        ),
        (f"{SMALL}as_of: 2026-11-01T00:00:00Z\n", "line 5, `as_of`: no file has it: it belongs to a run"),
        ("project: p\nsource:\n  type: local_computer\n  upload_id: x\n", "line 4, `source.upload_id`: no file has it"),
        (f"{SMALL}register: yes\n", "line 5, `register`: expected `bool`, got `str`. Write true or false; yes, no, on"),
        (
            "project: 7\nsource: {type: ground_truth}\n",
            "line 1, `project`: expected `str`, got `int`. Put the value in",
        ),
        (f"{SMALL}description:\n", "line 5, `description`: expected `str`, got `null`. Give it a value, or remove it."),
        (
            f"{SMALL}dataset_type: both\n",
            "line 5, `dataset_type`: invalid enum value 'both'. It is one of test, train, train+test.",
        ),
        (f"{SMALL}  label_aliases: {{1: One}}\n", "line 5, `source.label_aliases`: expected `str`, got `int`."),
        (f"{SMALL}  exclude:\n  - a\n  - 3\n", "line 7, `source.exclude[1]`: expected `str`, got `int`."),
        (
            "project: p\nsource: {type: s3_folder, s3_folder: example}\n",
            "`source.s3_folder`: expected `str` matching regex",
        ),
        (
            "project: p\nsource:\n  type: ground_truth\n",
            "example.yaml, line 1: Give either `manifest` or `labeling_job`",
        ),
        (
            "project: p\nsource:\n  type: existing_dataset\n  source_dataset: a/b\n",
            "line 4, `source.source_dataset`: 'a/b' names no dataset.",
        ),
        (
            "project: p\nsource: {type: existing_dataset, source_dataset: a, source_aws_conn_id: b}\n",
            "line 1: IMAGE_DESTINATION_NEEDED: The dataset is read with the connection 'b'",
        ),
        (f"{SMALL}name: other\n", "line 5, `name`: the file is named 'example'."),
        (f"{SMALL}schedule: 0 3 * *\n", "line 5, `schedule`: '0 3 * *' has 4 fields"),
        (f"{SMALL}schedule: '@once'\n", "line 5, `schedule`: '@once' is none of the presets"),
        (f"{SMALL}schedule: 5\n", "line 5, `schedule`: expected `str | null`, got `int`."),
        (
            f"{SMALL}timezone: Berlin\n",
            "line 5, `timezone`: there is no time zone 'Berlin'. Write it as Europe/Berlin.",
        ),
        (
            f"{SMALL}start_date: yesterday\n",
            "line 5, `start_date`: invalid RFC3339 encoded date. Write it as 2026-11-01.",
        ),
        (f"{SMALL}start_date: 0001-01-01\n", "line 5, `start_date`: 0001-01-01 is in no year of ours."),
        (f"{SMALL}tags: devices\n", "line 5, `tags`: expected `array`, got `str`."),
        (f"{SMALL}split: 1\n", "line 5, `split`: "),
        (
            f"{SMALL}notifications:\n- {{on: [failure]}}\n",
            "line 6, `notifications[0]`: a notification has exactly one of",
        ),
        (f"{SMALL}notifications:\n- {{on: [never], sns: x}}\n", "line 6, `notifications[0].on[0]`: invalid enum value"),
        (
            f"{SMALL}notifications:\n- {{on: [failure], sms: x}}\n",
            "`notifications[0]`: object contains unknown field `sms`",
        ),
    ],
)
def test_a_faulty_file_says_where_and_what_to_do(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(DatasetFileError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"INVALID_DATASET_FILE: {tmp_path}/example.yaml")
    assert said in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("example.yml", "the file ends in .yml. Rename it to end in .yaml."),
        ("Example.yaml", "'Example' is no name of a dataset."),
        ("example one.yaml", "'example one' is no name of a dataset."),
        ("_example.yaml", "'_example' is no name of a dataset."),
        (f"{'x' * 201}.yaml", "is no name of a dataset."),
    ],
)
def test_names(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DatasetFileError, match=re.escape(said)):
        read(tmp_path, SMALL, name)


def test_faulty_files_do_not_touch_the_others(tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.yaml").write_text(SMALL.replace("alexa-devices\n", f"{name}\n", 1))
    (tmp_path / "b.yaml").write_text("project: [")
    (tmp_path / "d.yml").write_text(SMALL)
    (tmp_path / "e.yaml").symlink_to(tmp_path / "gone.yaml")
    for other in (".#a.yaml", "notes.md", "dataset.schema.json"):
        (tmp_path / other).write_text("not looked at")
    files = read_datasets(tmp_path)
    assert [dataset.name for dataset in files.datasets] == ["a", "c"]
    assert [Path(str(error.details["file"])).name for error in files.errors] == ["b.yaml", "d.yml", "e.yaml"]
    with pytest.raises(DatasetFileError) as caught:
        files.raise_on_errors()
    assert all(str(error.details["file"]) in str(caught.value) for error in files.errors)
    assert str(caught.value).startswith("INVALID_DATASET_FILE: 3 dataset files cannot be used. \n- ")


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ("", "", "train"),
        ("", "dataset_type: test\n", None),
        ("dataset_type: test\n", "dataset_type: test\n", "test"),
        ("split: {}\n", "dataset_type: test\n", "test"),
        ("", "split: {}\n", "train"),
        ("", "aws_conn_id: other\n", "train"),
    ],
)
def test_a_dataset_belongs_to_the_first_file_that_names_it(
    tmp_path: Path, first: str, second: str, taken: str | None
) -> None:
    for name, more in (("a", first), ("b", f"{second}schedule: '@daily'\n"), ("c", "")):
        text = SMALL.replace("alexa-devices\n", "c\n", 1) if name == "c" else SMALL
        (tmp_path / f"{name}.yaml").write_text(f"description: A file.\n{text}{more}")
    files = read_datasets(tmp_path)
    assert [dataset.name for dataset in files.datasets] == (["a", "c"] if taken else ["a", "b", "c"])
    if taken:
        said = f"b.yaml, line 2, `project`: the {taken} dataset of alexa-devices is that of {tmp_path}/a.yaml."
        with pytest.raises(DatasetFileError, match=re.escape(said)):
            files.raise_on_errors()
    # A task reads its own file, and cannot know of another.
    assert read_datasets(tmp_path, "b").errors == []


def test_one_faulty_file_speaks_for_itself(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("project: [")
    with pytest.raises(DatasetFileError, match=r"b\.yaml, line 2: no YAML"):
        read_datasets(tmp_path).raise_on_errors()


def test_a_folder_that_is_not_there_has_no_datasets(tmp_path: Path) -> None:
    assert read_datasets(tmp_path / "none").datasets == []


def test_the_shipped_files_can_be_used() -> None:
    files = read_datasets(DATASETS)
    assert not files.errors
    assert [dataset.file for dataset in files.datasets] == [f"include/datasets/{d.name}.yaml" for d in files.datasets]


@pytest.mark.parametrize("request_type", REQUEST_TYPES.values(), ids=REQUEST_TYPES)
def test_every_parameter_stands_in_one_place(request_type: type[ImportRequest]) -> None:
    found = places(request_type)
    assert {*found} | {*OF_A_RUN} & {*request_type.__struct_fields__} == {*request_type.__struct_fields__}
    top = {place[0] for place in found.values()}
    assert top & {*DatasetFile.__struct_fields__} == set()
    assert TYPE not in found
    assert {place[0] for place in found.values() if len(place) > 1} >= {"source"}


def test_every_required_parameter_exists() -> None:
    assert {*REQUIRED} <= {name for request_type in REQUEST_TYPES.values() for name in places(request_type)}


class GatedRequest(
    ImportRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="gated"
):
    """A source with parameters of every section."""

    dataset_type: Annotated[
        Literal["train", "test", "train+test"],
        Meta(title="Dataset type", description="Of the dataset.", extra_json_schema={"section": DATASET}),
    ] = "train"  # type: ignore[assignment]
    test_share: Annotated[
        float, Meta(title="Share", description="For tests.", extra_json_schema={"section": SPLIT})
    ] = 0.2
    approval: Annotated[str, Meta(title="Approval", description="When.", extra_json_schema={"section": GATES})] = (
        "never"
    )


@pytest.fixture
def _gated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REQUEST_TYPES, "gated", GatedRequest)


@pytest.mark.usefixtures("_gated")
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", GatedRequest(project="p")),
        ("split: {test_share: 0.3}\n", GatedRequest(project="p", dataset_type="train+test", test_share=0.3)),
        ("split: {}\n", GatedRequest(project="p", dataset_type="train+test")),
        ("split:\n", GatedRequest(project="p", dataset_type="train+test")),
        ("split: {}\ndataset_type: train+test\n", GatedRequest(project="p", dataset_type="train+test")),
        ("gates: {approval: always}\n", GatedRequest(project="p", approval="always")),
        ("gates:\n", GatedRequest(project="p")),
    ],
)
def test_groups_are_parameters_of_the_request(tmp_path: Path, more: str, expected: GatedRequest) -> None:
    text = f"project: p\nsource: {{type: gated}}\n{more}"
    assert read(tmp_path, text).request == expected
    jsonschema.validate(YamlDocument(text).value, dataset_schema())


@pytest.mark.usefixtures("_gated")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("split: {}\ndataset_type: test\n", "line 4, `dataset_type`: a dataset with a `split` is train+test."),
        ("split: {approval: never}\n", "`split.approval`: it stands in another place. Write it as `gates.approval`."),
        ("gates: {aproval: never}\n", "`gates.aproval`: there is no such member. Did you mean `gates.approval`?"),
        ("split: [1]\n", "line 3, `split`: no mapping."),
        ("gates: false\n", "line 3, `gates`: no mapping."),
    ],
)
def test_faults_in_groups(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(DatasetFileError, match=re.escape(said)):
        read(tmp_path, f"project: p\nsource: {{type: gated}}\n{more}")


def test_the_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text() == render(), "run make schema"


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(dataset_schema())


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_files_fit_their_schema(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=./dataset.schema.json\n")
    jsonschema.validate(YamlDocument(text).value, dataset_schema())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "project: p\n",
        SMALL.partition("\n")[2],
        f"{SMALL}colour: x\n",
        f"{SMALL}  colour: x\n",
        f"{SMALL}as_of: 2026-11-01T00:00:00Z\n",
        f"{SMALL}register: yes\n",
        f"{SMALL}dataset_type: both\n",
        f"{SMALL}split: {{colour: x}}\n",
        f"{SMALL}schedule: 5\n",
        f"{SMALL}  label_aliases: {{a: 1}}\n",
        f"{SMALL}notifications: [{{on: [failure]}}]\n",
        f"{SMALL}notifications: [{{on: [never], sqs: 'https://example.com/q'}}]\n",
        "project: p\nsource: {type: s3}\n",
        "project: p\nsource: {type: s3_folder, manifest: s3://example-images/m}\n",
    ],
)
def test_editors_see_what_the_reader_refuses(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetFileError):
        read(tmp_path, text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(YamlDocument(text).value, dataset_schema())


def test_the_schema_describes_every_member() -> None:
    schema = dataset_schema()
    members: dict[str, Any] = dict(schema["properties"])
    for source in schema["properties"]["source"]["oneOf"]:
        members |= source["properties"]
    members |= schema["definitions"]["Notification"]["properties"]
    assert [name for name, member in members.items() if not member.get("description")] == []


def test_every_member_of_a_file_is_documented() -> None:
    schema = dataset_schema()
    documented = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert {*schema["properties"], *schema["definitions"]["Notification"]["properties"]} <= documented


def test_the_examples_of_the_page_can_be_used(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) >= 4
    for number, text in enumerate(examples):
        read(tmp_path, text, f"example-{number}.yaml")
        jsonschema.validate(YamlDocument(text).value, dataset_schema())


def test_a_dataset_survives_as_a_value(tmp_path: Path) -> None:
    dataset = read(tmp_path, SMALL)
    assert msgspec.json.decode(msgspec.json.encode(dataset.params)) == dataset.params
    assert dataset_files.read_dataset(tmp_path / "example.yaml") == dataset
