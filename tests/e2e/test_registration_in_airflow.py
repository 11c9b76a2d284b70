"""The promises of `docs/refreshes.md` in a real Airflow: runs that are cleared, deleted or stopped in the middle."""

from __future__ import annotations

from itertools import count

import pytest

from demo.airflow_api import AirflowApi
from tests.e2e.registrations import Story
from tests.fixtures.running_demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

FIRST = ("echo/0.png", "echo/1.png", "dot/0.png", "dot/1.png")
NEW = "dot/new.png"


_numbers = count(1)


@pytest.fixture
def story(demo: Demo, airflow: AirflowApi) -> Story:
    """A folder of four images that was never imported."""
    story = Story(demo=demo, airflow=airflow, project=f"example-registration-{next(_numbers)}")
    story.put(*FIRST)
    return story


def test_tasks_that_are_cleared_after_a_success_change_nothing(story: Story) -> None:
    older = story.run()
    story.draw("echo/0.png", left=7)
    story.put(NEW)
    newest = story.run()
    story.draw("echo/1.png", left=9)
    before, registered = story.entries(), story.document("current.json")
    assert (story.boxes("echo/0.png"), story.boxes("echo/1.png")) == ([7], [9])

    # Tasks of an older run, which would remove the new image.
    for task in ("train.register", "train.plan_registration"):
        assert story.cleared(older, task) == "failed"
        said = story.why(older)
        assert "RUN_OUTDATED" in said
        assert "trigger the Dag" in said
        assert story.entries() == before
        assert story.document("current.json") == registered

    # Tasks of the newest run.
    for task in ("train.register", "train.plan_registration"):
        assert story.cleared(newest, task) == "success"
        assert story.result(newest)["action"] == "unchanged"
        assert story.entries() == before
    assert story.journal()["lease"] is None


def test_a_run_that_is_deleted_in_the_middle_of_a_replacement_holds_nobody_up_and_loses_nothing(story: Story) -> None:
    story.run()
    story.draw("echo/0.png", left=7)
    story.delete("dot/1.png")
    with story.barrier(lambda registration: registration["step"] == "create") as barrier:
        deleted = story.trigger(aws_conn_id=barrier.connection)
        barrier.wait()
        # The dataset is gone already, and the lease says whose it is for a day.
        assert story.journal()["lease"]["holder"]["run_id"] == deleted
        story.delete_run(deleted)
        # It fails where it has to wait for anybody; that the dataset is gone is what it finds.
        story.run(accept_risks=["REGISTERED_DATASET_GONE"])
        finished = story.entries()
    assert finished.keys() == {"echo/0.png", "echo/1.png", "dot/0.png"}
    assert story.boxes("echo/0.png") == [7]
    assert story.journal()["lease"] is None
    # What was left of the deleted run has sent nothing, neither before nor after it could go on.
    assert "createdataset" not in barrier.asked
    assert story.entries() == finished


def test_a_run_that_is_stopped_right_before_its_update_keeps_what_a_person_does_meanwhile(story: Story) -> None:
    story.run()
    story.put(NEW, "echo/new.png")
    with story.barrier(lambda registration: bool(registration["sending_bytes"])) as barrier:
        run = story.trigger(aws_conn_id=barrier.connection, max_wait_minutes=10)
        barrier.wait()
        with story.stopped(run, "train.register"):
            assert story.journal()["registration"]["step"] == "update"
            # The very image that the run is about to send.
            story.draw(NEW, left=9)
            assert "updatedatasetentries" not in barrier.asked
            barrier.lift()
        assert story.ended(run) == "success", story.log(run)
    assert story.boxes(NEW) == [9]
    assert story.entries().keys() == {*FIRST, NEW, "echo/new.png"}
    # It has sent what is left, after it had planned again.
    assert barrier.asked.count("updatedatasetentries") == 1


def test_a_run_that_is_stopped_right_before_its_update_finds_that_another_has_taken_over(story: Story) -> None:
    story.run()
    story.put(NEW)
    with story.barrier(lambda registration: bool(registration["sending_bytes"])) as barrier:
        run = story.trigger(aws_conn_id=barrier.connection)
        barrier.wait()
        with story.stopped(run, "train.register"):
            # For Airflow it still runs, so that its lease is over by its time alone.
            story.end_lease()
            story.import_job(NEW, "job")
            story.draw("echo/0.png", left=9)
            before, registered = story.entries(), story.document("current.json")
            barrier.lift()
        assert story.ended(run) == "failed"
    assert "LEASE_LOST" in story.log(run)
    assert "updatedatasetentries" not in barrier.asked
    assert story.entries() == before
    assert (story.labels(NEW), story.boxes("echo/0.png")) == ({"job"}, [9])
    assert story.document("current.json") == registered


def test_a_rejection_fails_the_run_and_changes_nothing(story: Story) -> None:
    rejected = story.trigger(approval="always")
    assert story.asked(rejected) == f"Create the train dataset of {story.project}? 4 images, 2 labels; 0 risks"
    projects = story.demo.services.rekognition().describe_projects()["ProjectDescriptions"]
    assert story.answer(rejected, "Reject") == "failed"
    assert story.tasks(rejected)["train.register"] in {"skipped", "upstream_failed"}
    assert story.demo.services.rekognition().describe_projects()["ProjectDescriptions"] == projects
    assert story.documents() == []
