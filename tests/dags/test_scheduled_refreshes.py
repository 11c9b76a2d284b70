"""Dags of dataset files: what they are made of, what a faulty file does to the others, and whole runs."""

from __future__ import annotations

import copy
import os
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from include.pipelines import import_dags
from include.pipelines.dataset_files import DatasetFile, DatasetFileError, places, read_dataset
from include.pipelines.import_dags import refresh_dag, refresh_dags
from include.pipelines.policy import TAGS
from include.pipelines.requests import REQUEST_TYPES, GroundTruthRequest, S3FolderRequest, form
from include.pipelines.sources import SOURCE_TASKS
from tests.fixtures.airflow_database import DAGS, RunDag
from tests.fixtures.places import Place, end_of_second

SOURCES = {
    "s3_folder": "s3_folder: s3://example-images/alexa-devices/",
    "local_computer": "local_folder: /mnt/example-images",
    "ground_truth": "manifest: s3://example-images/output.manifest",
    "existing_dataset": "source_dataset: example-project/train",
}


def file(folder: Path, source: str = "s3_folder", name: str = "example", more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(f"project: {name}-project\nsource:\n  type: {source}\n  {SOURCES[source]}\n{more}")
    return path


def dag_file(folder: Path, datasets: Path) -> Path:
    """A Dags folder like the project's, for other dataset files."""
    folder.mkdir()
    for name in ("scheduled_refreshes", "dataset_files"):
        text = (DAGS / f"{name}.py").read_text()
        assert "(DATASETS)" in text
        (folder / f"{name}.py").write_text(text.replace("(DATASETS)", f"(type(DATASETS)({str(datasets)!r}))"))
    return folder


def test_there_are_tasks_for_every_request() -> None:
    assert SOURCE_TASKS.keys() == REQUEST_TYPES.keys() == SOURCES.keys()


@pytest.mark.parametrize("source", SOURCES)
def test_copied_tasks_are_those_of_the_source(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_database: None
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dataset = read_dataset(file(tmp_path, source, more='schedule: "@daily"\nstart_date: 2026-11-01\nowner: vision\n'))
    copied = DagSerialization.to_dict(refresh_dag(dataset))
    monkeypatch.setattr(import_dags, "_copy_tasks", lambda pattern, dag: SOURCE_TASKS[source](("train",)))
    made = DagSerialization.to_dict(refresh_dag(dataset))
    assert copied == made
    assert len(copied["dag"]["tasks"]) > 10


@pytest.mark.parametrize("source", SOURCES)
def test_no_object_is_copied_that_airflow_knows_by_its_identity(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Any] = []

    def deepcopy(value: Any, memo: dict[int, Any]) -> Any:
        result = copy.deepcopy(value, memo)
        # Where `deepcopy` keeps what it copied.
        copied.extend(memo[id(memo)])
        return result

    monkeypatch.setattr(import_dags, "deepcopy", deepcopy)
    dag = refresh_dag(read_dataset(file(tmp_path, source)))
    known = {
        id(value): f"{name}.{attribute}"
        for name, module in list(sys.modules.items())
        if name.startswith("airflow.")
        for attribute, value in list(vars(module).items())
    }
    assert len(copied) > len(dag.tasks)
    assert [
        known[id(each)] for each in copied if id(each) in known and type(each).__module__.startswith("airflow.")
    ] == []
    groups = list(dag.task_group.get_task_group_dict().values())
    assert len(groups) > 1
    for group in groups:
        for child in group.children.values():
            assert child.task_group is weakref.proxy(group)


def test_who_is_told_of_a_question_is_the_datasets_own(tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-east-1:111122223333:example-topic"
    text = f'notifications: [{{on: [approval], sns: "{topic}"}}]\n'
    dag = refresh_dag(read_dataset(file(tmp_path, "s3_folder", more=text)))
    other = refresh_dag(read_dataset(file(tmp_path, "s3_folder", name="other")))
    (notifier,) = dag.get_task("train.approve").notifiers
    assert notifier.target_arn == topic
    assert other.get_task("train.approve").notifiers == []


@pytest.mark.parametrize(
    ("more", "groups"), [("", {"train"}), ("dataset_type: test\n", {"test"}), ("split: {}\n", {"train", "test"})]
)
def test_a_dag_has_the_tasks_of_its_own_datasets(tmp_path: Path, more: str, groups: set[str]) -> None:
    dag = refresh_dag(read_dataset(file(tmp_path, "s3_folder", more=more)))
    assert {task.task_id.partition(".")[0] for task in dag.tasks if "." in task.task_id} == groups
    assert dag.params.get_param("dataset_type").schema["enum"] == [dag.params["dataset_type"]]


@pytest.mark.parametrize("source", SOURCES)
def test_the_policy_holds_for_every_source(source: str, tmp_path: Path) -> None:
    text = 'schedule: "@daily"\ntimezone: Europe/Berlin\nstart_date: 2026-11-01\nowner: vision\ntags: [devices]\n'
    dag = refresh_dag(read_dataset(file(tmp_path, source, more=text)))
    other = refresh_dag(read_dataset(file(tmp_path, source, name="other")))
    assert dag.dag_id == "refresh_example"
    assert dag.start_date == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert (dag.timetable.expression, dag.timetable.timezone) == ("0 0 * * *", "Europe/Berlin")  # type: ignore[union-attr]
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.tags == {*TAGS, "refresh", "devices"}
    assert dag.description
    assert dag.doc_md
    assert SOURCES[source] in dag.doc_md
    for task in dag.tasks:
        assert task.dag is dag
        assert task not in other.tasks
        assert (task.owner, task.start_date) == ("vision", dag.start_date)
        assert task.doc_md
    assert (other.schedule, other.start_date, {task.owner for task in other.tasks}) == (None, None, {"custom-labels"})


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ("s3_folder", "  label_aliases: {echo: Echo}\n  exclude: ['*/x/*']\n  automatic_labeling: false\n"),
        ("local_computer", "  destination: s3://example-images/uploads\n  automatic_labeling: true\n"),
        ("ground_truth", "  min_confidence: 0.5\n  repairs: [round_floats]\n  label_attribute: '*'\n"),
        ("existing_dataset", "  source_aws_conn_id: a\n  image_destination: s3://example-images/copies\n"),
    ],
)
def test_the_forms_defaults_are_the_files(source: str, more: str, tmp_path: Path) -> None:
    dataset = read_dataset(file(tmp_path, source, more=f"{more}register: false\n"))
    params = refresh_dag(dataset).params
    assert {name: params.get_param(name).value for name in params} == dataset.params
    # Airflow wants valid defaults of a Dag that has a schedule, and checks them again before each run.
    params.validate()
    assert [*params] == [*form(REQUEST_TYPES[source])]
    assert (params["register"], params["project"]) == (False, "example-project")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=5
)


@pytest.fixture
def _recursion_limit() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    # Airflow sets it when it copies a task, and Hypothesis wants nobody to.
    sys.setrecursionlimit(5000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("_recursion_limit")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from(sorted(SOURCES)),
    members=st.dictionaries(
        st.sampled_from([*DatasetFile.__struct_fields__, *places(S3FolderRequest), "split", "gates"]),
        VALUES,
        max_size=2,
    ),
    within=st.dictionaries(st.sampled_from([*places(GroundTruthRequest), "exclude", "type"]), VALUES, max_size=1),
)
def test_whatever_a_file_says_it_is_faulty_or_a_dag(
    tmp_path: Path, source: str, members: dict[str, Any], within: dict[str, Any]
) -> None:
    content = yaml.safe_load(file(tmp_path, source).read_text())
    content["source"] |= within
    path = tmp_path / "example.yaml"
    path.write_text(yaml.safe_dump(content | members, allow_unicode=True))
    try:
        dataset = read_dataset(path)
    except DatasetFileError as error:
        event(f"faulty: {error.details['member']}")
        return
    refresh_dag(dataset).params.validate()


def test_notifications_are_the_dags(tmp_path: Path) -> None:
    text = "notifications:\n- {on: [failure, approval], sns: 'arn:aws:sns:us-east-1:111122223333:example-topic'}\n"
    dag = refresh_dag(read_dataset(file(tmp_path, more=text)))
    assert [type(callback).__name__ for callback in dag.on_failure_callback] == ["SnsNotifier"]  # type: ignore[union-attr]
    assert dag.on_success_callback is None


def test_a_text_with_a_fence_stays_within_the_documentation(tmp_path: Path) -> None:
    dag = refresh_dag(read_dataset(file(tmp_path, more="# ~~~~\n# ```\n")))
    assert (dag.doc_md or "").rstrip().endswith("# ~~~~\n# ```\n\n~~~~~~~~")


class TestTheDagFiles:
    """Parsed by Airflow, for a folder of dataset files of the test's own."""

    @pytest.fixture
    def datasets(self, tmp_path: Path) -> Path:
        folder = tmp_path / "datasets"
        folder.mkdir()
        for name, source in zip(("a", "b", "c", "d"), SOURCES, strict=True):
            file(folder, source, name, 'schedule: "@daily"\n')
        return folder

    @pytest.fixture
    def dags_folder(self, tmp_path: Path, datasets: Path) -> Path:
        return dag_file(tmp_path / "dags", datasets)

    @pytest.fixture(autouse=True)
    def _no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("a Dag file reached for the network while it was parsed")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    def test_each_file_is_a_dag_of_the_dag_file(self, airflow_database: None, dags_folder: Path) -> None:
        from airflow.dag_processing.dagbag import DagBag

        dagbag = DagBag(str(dags_folder))
        assert dagbag.import_errors == {}
        assert {dag_id: Path(dag.fileloc).name for dag_id, dag in dagbag.dags.items()} == {
            f"refresh_{name}": "scheduled_refreshes.py" for name in "abcd"
        }

    def test_a_faulty_file_fails_alone_and_by_name(
        self, airflow_database: None, dags_folder: Path, datasets: Path
    ) -> None:
        from airflow.dag_processing.dagbag import DagBag

        (datasets / "b.yaml").write_text("project: [\n")
        dagbag = DagBag(str(dags_folder))
        assert set(dagbag.dags) == {"refresh_a", "refresh_c", "refresh_d"}
        ((where, what),) = dagbag.import_errors.items()
        assert Path(where).name == "dataset_files.py"
        assert f"INVALID_DATASET_FILE: {datasets}/b.yaml, line 2: no YAML" in what
        assert "the above exception" not in what.lower()

        file(datasets, name="b")
        mended = DagBag(str(dags_folder))
        assert set(mended.dags) == {"refresh_a", "refresh_b", "refresh_c", "refresh_d"}
        assert mended.import_errors == {}

    def test_a_task_reads_its_own_file_only(
        self, airflow_database: None, dags_folder: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.dag_processing.dagbag import DagBag

        (datasets / "a.yaml").write_text("project: [\n")
        # How a worker tells a Dag file which Dag it is about to run (`airflow.sdk.get_parsing_context`).
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "refresh_c")
        dagbag = DagBag(str(dags_folder / "scheduled_refreshes.py"))
        assert (set(dagbag.dags), dagbag.import_errors) == ({"refresh_c"}, {})

        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "refresh_a")
        faulty = DagBag(str(dags_folder / "scheduled_refreshes.py"))
        (what,) = faulty.import_errors.values()
        assert f"{datasets}/a.yaml, line 2: no YAML" in what


class TestInAirflowsDatabase:
    """What the Dag processor leaves there, for those who look at import errors in the UI or over the REST API."""

    BUNDLE = "example-bundle"

    @pytest.fixture
    def parsed(self, airflow_database: None, tmp_path: Path) -> Iterator[Callable[[Path], tuple[dict[str, Any], Any]]]:
        """Parses a Dags folder as the Dag processor does; state of the Dags and texts of import errors, by file."""
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
        from airflow.models.dag import DagModel
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.errors import ParseImportError
        from airflow.utils.session import create_session
        from sqlalchemy import delete, select

        with create_session() as session:
            session.add(DagBundleModel(name=self.BUNDLE))

        def parse(folder: Path) -> tuple[dict[str, Any], Any]:
            sync_bag_to_db(BundleDagBag(str(folder), bundle_path=folder, bundle_name=self.BUNDLE), self.BUNDLE, None)
            with create_session() as session:
                dags = session.scalars(select(DagModel).where(DagModel.bundle_name == self.BUNDLE)).all()
                errors = session.scalars(
                    select(ParseImportError).where(ParseImportError.bundle_name == self.BUNDLE)
                ).all()
                return (
                    {dag.dag_id: (dag.is_stale, dag.has_import_errors) for dag in dags},
                    {error.filename: error.stacktrace for error in errors},
                )

        yield parse
        with create_session() as session:
            session.execute(delete(ParseImportError).where(ParseImportError.bundle_name == self.BUNDLE))
            session.execute(delete(DagModel).where(DagModel.bundle_name == self.BUNDLE))
            session.execute(delete(DagBundleModel).where(DagBundleModel.name == self.BUNDLE))

    def test_good_dags_stay_active_and_the_error_goes_when_the_file_is_mended(
        self, parsed: Callable[[Path], tuple[dict[str, Any], Any]], tmp_path: Path
    ) -> None:
        datasets = tmp_path / "datasets"
        datasets.mkdir()
        file(datasets, name="example-good")
        faulty = file(datasets, name="example-faulty", more="colour: red\n")
        folder = dag_file(tmp_path / "dags", datasets)
        dags, errors = parsed(folder)
        assert dags == {"refresh_example-good": (False, False)}
        assert [*errors] == ["dataset_files.py"]
        assert f"{faulty}, line 5, `colour`: there is no such member." in errors["dataset_files.py"]

        file(datasets, name="example-faulty")
        dags, errors = parsed(folder)
        assert dags == {"refresh_example-good": (False, False), "refresh_example-faulty": (False, False)}
        assert errors == {}


def test_generated_dags_are_only_made_where_they_are_asked_for(tmp_path: Path) -> None:
    file(tmp_path)
    assert "_AIRFLOW_PARSING_CONTEXT_DAG_ID" not in os.environ
    assert [dag.dag_id for dag in refresh_dags(tmp_path)] == ["refresh_example"]


@pytest.mark.integration
def test_a_run_that_was_triggered_without_a_logical_date(
    alexa_devices: Place, run_dag: RunDag, return_value: Callable[..., Any]
) -> None:
    triggered = end_of_second()
    run = run_dag("refresh_alexa-devices", alexa_devices.conf(), run_after=triggered)
    assert (run.state, run.logical_date, run.data_interval_end) == ("success", None, None)
    summary = return_value(run, "train.summarize")
    assert summary["as_of"] == triggered.isoformat()
    assert summary["dataset_arn"] == alexa_devices.dataset_arn()
    assert summary["states"]["registered"] == 6


@pytest.mark.integration
def test_a_run_for_a_tick_is_as_of_the_tick(place: Place, run_dag: RunDag, return_value: Callable[..., Any]) -> None:
    tick = datetime(2026, 11, 3, tzinfo=UTC)
    # The bucket is empty, so that the run ends with the access check.
    run = run_dag("refresh_alexa-devices", place.conf(), logical_date=tick)
    assert (run.logical_date, run.data_interval_start, run.data_interval_end) == (tick, tick, tick)
    assert return_value(run, "validate_request")["as_of"] == "2026-11-03T00:00:00Z"
