"""A worker may be killed at any write of a registration: the next run finishes or restores, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import IO, Any

import pytest

from include.object_store.registration_journal import Journal, read_journal
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder, Workspace, read_current
from tests.fixtures.existing_datasets import boxed, entries_of, image_level, labels_of
from tests.fixtures.local_aws import PROJECT, LocalAws
from tests.fixtures.places import Place, picture

pytestmark = pytest.mark.integration

_numbers = count(1)


@dataclass(frozen=True)
class Runs:
    """Runs of the registration in children of one process."""

    commands: IO[str]
    results: IO[str]
    aws: LocalAws

    def run(self, place: Place, **command: Any) -> dict[str, Any]:
        command |= {
            "run": f"run-{next(_numbers)}",
            "AIRFLOW_CONN_AWS_DEFAULT": self.aws.airflow_connection(),
            "AIRFLOW_VAR_CUSTOM_LABELS_WORKSPACE": f"s3://{place.workspace}/custom-labels",
            "conf": place.conf(),
        }
        self.commands.write(json.dumps(command) + "\n")
        self.commands.flush()
        result: dict[str, Any] = json.loads(self.results.readline())
        return result


@contextmanager
def running(aws: LocalAws, log_file: Path) -> Iterator[Runs]:
    reading, writing = os.pipe()
    with (
        log_file.open("w") as log,
        os.fdopen(reading) as results,
        subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.killed_runs", str(writing)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            text=True,
        ) as process,
    ):
        os.close(writing)
        assert process.stdin is not None
        yield Runs(process.stdin, results, aws)
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def crew(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Runs]]:
    """Two of them, for cases that run at the same time."""
    folder = tmp_path_factory.mktemp("killed-runs")
    with running(local_aws, folder / "0.log") as first, running(local_aws, folder / "1.log") as second:
        yield [first, second]


@pytest.fixture
def runs(crew: list[Runs]) -> Runs:
    return crew[0]


FOLDER = "alexa-devices/"
IMAGES = ("echo/a.png", "echo/b.png", "echo/human.png", "dot/c.png", "dot/boxes.png")


def registered(place: Place, runs: Runs) -> None:
    """A dataset of the folder, with a person's label, a person's boxes, and an entry of another origin."""
    place.put(*(FOLDER + name for name in IMAGES), "elsewhere/other.png")
    first = runs.run(place)
    assert first.get("action") == "create", first
    ref = f"s3://{place.images}/{FOLDER}"
    lines = [
        image_level(f"{ref}echo/human.png", "echo plus"),
        boxed(f"{ref}dot/boxes.png", "dot"),
        image_level(f"s3://{place.images}/elsewhere/other.png", "other"),
    ]
    arn = place.dataset_arn()
    place.rekognition.update_dataset_entries(
        DatasetArn=arn, Changes={"GroundTruth": "\n".join(map(json.dumps, lines)).encode()}
    )
    place.wait_until_ready(str(arn))


HUMAN = {f"{FOLDER}echo/human.png": {"echo plus"}, f"{FOLDER}dot/boxes.png": {"dot"}, "elsewhere/other.png": {"other"}}


def said(place: Place) -> dict[str, set[str]]:
    """What each entry of the dataset says, by key."""
    head = f"s3://{place.images}/"
    return {
        ref.removeprefix(head): labels_of(entry) for ref, entry in entries_of(place, place.project, "train").items()
    }


def folder_of(place: Place) -> tuple[S3Session, DatasetFolder]:
    return S3Session(place.s3), Workspace.parse(f"s3://{place.workspace}/custom-labels").dataset(place.project, "train")


def assert_nothing_is_lost(place: Place) -> None:
    """A person's work is in the dataset, or in the export that the journal names."""
    session, dataset = folder_of(place)
    journal = read_journal(session, dataset)
    found: dict[str, set[str]] = {}
    if journal.replacement:
        lines = place.read(journal.replacement.entries).splitlines()
        found = {
            entry["source-ref"].removeprefix(f"s3://{place.images}/"): labels_of(entry)
            for entry in map(json.loads, lines)
        }
    if place.dataset_arn() and not is_deleting(place):
        place.wait_until_ready(str(place.dataset_arn()))
        found |= said(place)
    assert {key: found.get(key) for key in HUMAN} == HUMAN


def is_deleting(place: Place) -> bool:
    (project,) = place.rekognition.describe_projects(ProjectNames=[place.project])["ProjectDescriptions"]
    return any(dataset["Status"] == "DELETE_IN_PROGRESS" for dataset in project["Datasets"])


def assert_done(place: Place, expected: Mapping[str, set[str]]) -> None:
    assert said(place) == expected
    session, dataset = folder_of(place)
    assert read_journal(session, dataset) == Journal()
    current = read_current(session, dataset)
    assert current is not None
    assert current[0].dataset_arn == place.dataset_arn()


def other_project(place: Place) -> Place:
    """A place whose project no earlier case has touched, in the same buckets."""
    number = next(_numbers)
    return replace(place, project=f"{place.project}-{number}", images=make_bucket(place, number))


def make_bucket(place: Place, number: int) -> str:
    bucket = f"{place.images}-{number}"
    place.aws.create_buckets(bucket)
    return bucket


def changed(place: Place, runs: Runs, case: str) -> dict[str, set[str]]:
    """A registered dataset whose folder has changed since; what the dataset has to say after the next run."""
    registered(place, runs)
    expected = {FOLDER + name: {name.split("/")[0]} for name in IMAGES} | HUMAN
    return change(place, case, expected, gone=f"{FOLDER}echo/b.png", new=f"{FOLDER}spot/new.png")


def change(place: Place, case: str, before: Mapping[str, set[str]], *, gone: str, new: str) -> dict[str, set[str]]:
    """A folder with one image more, and one less where the dataset is to be replaced; what comes of it."""
    place.put(new, body=picture())
    expected = {**before, new: {"spot"}}
    if case == "replace":
        place.s3.delete_object(Bucket=place.images, Key=gone)
        del expected[gone]
    return expected


WRITES = {"replace": {"PutObject", "CopyObject", "DeleteDataset", "CreateDataset"}, "update": {"UpdateDatasetEntries"}}


@pytest.mark.parametrize("case", ["replace", "update"])
def test_a_worker_may_be_killed_at_every_write(place: Place, crew: list[Runs], case: str) -> None:
    """Two folders that change again and again: each time a worker is killed one write later, and the next one mends it.

    The last worker is never killed: it has no more writes.
    """

    def killed_at_every_second(runs: Runs, first: int) -> None:
        here = other_project(place)
        new = f"{FOLDER}spot/new.png"
        expected = changed(here, runs, case)
        for at in count(first, len(crew)):
            ended = runs.run(here, at=at)
            if "killed" not in ended:
                break
            assert_nothing_is_lost(here)
            finished = runs.run(here)
            assert "error" not in finished, (at, finished)
            assert_done(here, expected)
            gone, new = new, f"{FOLDER}spot/new-{at}.png"
            expected = change(here, case, expected, gone=gone, new=new)
        assert ended["action"] == case, ended
        assert_done(here, expected)
        assert set(ended["writes"]) >= WRITES[case]
        assert at > len(ended["writes"]) >= len(WRITES[case])

    with ThreadPoolExecutor(len(crew)) as threads:
        for half in [threads.submit(killed_at_every_second, runs, first) for first, runs in enumerate(crew, start=1)]:
            half.result()


def test_a_replacement_that_fails_is_undone_at_once(place: Place, runs: Runs) -> None:
    expected = changed(place, runs, "replace")
    before = said(place)
    place.aws.faults("CreateDataset", "fail", message="The manifest file has too many labels.", code="CLIENT_ERROR")
    failed = runs.run(place)
    assert "ERROR_MANIFEST_TOO_MANY_LABELS" in failed["error"]
    # The image that is gone could not be created again; its entry is in the export, which stays named.
    assert said(place) == {key: labels for key, labels in before.items() if key != f"{FOLDER}echo/b.png"}
    session, dataset = folder_of(place)
    journal = read_journal(session, dataset)
    assert (journal.lease, journal.registration) == (None, None)
    assert journal.replacement is not None
    assert b"echo/b.png" in place.read(journal.replacement.entries)
    assert runs.run(place)["action"] == "update"
    assert_done(place, expected)


def test_a_dataset_that_is_edited_after_the_export_is_exported_again(place: Place, runs: Runs) -> None:
    """Between the plan and the deletion a person saves their work."""
    changed(place, runs, "replace")
    edit = json.dumps(image_level(f"s3://{place.images}/{FOLDER}echo/a.png", "late"))
    ended = runs.run(place, edit=[str(place.dataset_arn()), edit])
    assert ended["action"] == "replace", ended
    assert said(place)[f"{FOLDER}echo/a.png"] == {"late"}
