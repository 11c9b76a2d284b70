"""Imports of a small folder in a running Airflow, and what people and machines do to their runs meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from bench.slow_s3 import slow_s3
from demo.airflow_api import AirflowApi
from demo.imports import Import, run_import, trigger_import
from demo.processes import wait_until
from demo.services import IMAGES_BUCKET, WORKSPACE_BUCKET
from demo.settings import ACCESS_KEY, REGION, SECRET_KEY
from tests.fixtures.annotation_samples import line, metadata
from tests.fixtures.existing_datasets import boxed, labels_of
from tests.fixtures.places import picture
from tests.fixtures.running_demo import DAG_ID, Demo

RUN_DEADLINE_S = 480.0
_OPERATION = "x-amz-target: rekognitionservice."


@dataclass(frozen=True, kw_only=True)
class Story:
    """A project, and the folder of the same name that it is imported from."""

    demo: Demo
    airflow: AirflowApi
    project: str

    # In the folder.

    def ref(self, name: str) -> str:
        return f"s3://{IMAGES_BUCKET}/{self.project}/{name}"

    def put(self, *names: str) -> None:
        """Upload images that differ from all others."""
        for name in names:
            # What follows a picture's end is not looked at.
            body = picture() + self.ref(name).encode()
            self.demo.services.s3().put_object(Bucket=IMAGES_BUCKET, Key=f"{self.project}/{name}", Body=body)

    def delete(self, name: str) -> None:
        self.demo.services.s3().delete_object(Bucket=IMAGES_BUCKET, Key=f"{self.project}/{name}")

    # In Airflow.

    def trigger(self, **conf: object) -> str:
        """Trigger an import of the folder that asks nobody and waits for nobody, unless it is told to; its run id."""
        common = {
            "project": self.project,
            "s3_folder": f"s3://{IMAGES_BUCKET}/{self.project}/",
            "approval": "never",
            "max_removed_percent": 100,
            "max_wait_minutes": 0,
        }
        return trigger_import(self.airflow, Import(dag_id=DAG_ID, conf={**common, **conf}))

    def import_job(self, name: str, label: str) -> None:
        """Import a labeling job's manifest of one image, by another Dag, so that it runs beside the folder's run."""
        body = line(IMAGES_BUCKET, f"{self.project}/{name}", job=0, job_metadata=metadata(label))
        self.demo.services.s3().put_object(Bucket=IMAGES_BUCKET, Key=f"{self.project}.manifest", Body=body)
        manifest = f"s3://{IMAGES_BUCKET}/{self.project}.manifest"
        conf = {"project": self.project, "manifest": manifest, "accept_risks": ["NEW_LABELS"], "max_wait_minutes": 0}
        wanted = Import(dag_id="import_ground_truth", conf=conf)
        run_import(self.airflow, wanted, base_url=self.demo.settings.airflow_url, say=print)

    def ended(self, run_id: str) -> str:
        """The state of a run, once it has ended."""
        states: list[str] = []

        def has_ended() -> bool:
            states.append(self.airflow.run_state(DAG_ID, run_id))
            return states[-1] in {"success", "failed"}

        assert wait_until(has_ended, deadline_s=RUN_DEADLINE_S, interval_s=0.5), self.tasks(run_id)
        return states[-1]

    def run(self, **conf: object) -> str:
        """A whole import that succeeds; its run id."""
        run_id = self.trigger(**conf)
        assert self.ended(run_id) == "success", self.log(run_id)
        return run_id

    def cleared(self, run_id: str, task: str) -> str:
        """Clear a task and all that come after it; the state that the run ends in."""
        self.airflow.clear(DAG_ID, run_id, task)
        return self.ended(run_id)

    def delete_run(self, run_id: str) -> None:
        """Airflow deletes no run that is running, so that people mark it as failed before they delete it."""
        self.airflow.mark_failed(DAG_ID, run_id)
        self.airflow.delete_run(DAG_ID, run_id)
        assert run_id not in self.airflow.run_ids(DAG_ID)

    def asked(self, run_id: str) -> str:
        """What a run asks a person in Required Actions, once it does."""

        def asks() -> bool:
            return self.tasks(run_id).get("train.approve") == "awaiting_input"

        assert wait_until(asks, deadline_s=RUN_DEADLINE_S, interval_s=0.5), self.tasks(run_id)
        return str(self.airflow.question(DAG_ID, run_id, "train.approve")["subject"])

    def answer(self, run_id: str, option: str) -> str:
        """A person's answer; the state that the run ends in."""
        self.airflow.answer(DAG_ID, run_id, "train.approve", option)
        return self.ended(run_id)

    def tasks(self, run_id: str) -> dict[str, str]:
        return {each["task_id"]: each["state"] for each in self.airflow.task_instances(DAG_ID, run_id)}

    def instance(self, run_id: str, task: str) -> dict[str, Any]:
        (found,) = [each for each in self.airflow.task_instances(DAG_ID, run_id) if each["task_id"] == task]
        return found

    def log(self, run_id: str, task: str = "train.register") -> str:
        """The log of a task's last try."""
        return "\n".join(self.airflow.log_lines(DAG_ID, run_id, self.instance(run_id, task)))

    def why(self, run_id: str) -> str:
        """The log of the one task that has failed."""
        (failed,) = [task for task, state in self.tasks(run_id).items() if state == "failed"]
        return self.log(run_id, failed)

    def result(self, run_id: str) -> dict[str, Any]:
        """What the run says at its end."""
        found: dict[str, Any] = self.airflow.return_value(DAG_ID, run_id, "train.summarize")
        return found

    @contextmanager
    def stopped(self, run_id: str, task: str) -> Iterator[None]:
        """The process of a task stands still until the block ends, as on a worker that has no time for it."""
        pid = self.instance(run_id, task)["pid"]
        (airflow,) = [each for each in self.demo.services.registry.all() if each.name == "airflow"]
        (worker,) = [each for each in airflow.members() if each.pid == pid]
        # Airflow gives each task a process group of its own, so that what stops it stops nobody else.
        assert os.getpgid(pid) == pid
        os.killpg(pid, signal.SIGSTOP)
        try:
            assert wait_until(lambda: worker.status() == psutil.STATUS_STOPPED, deadline_s=10, interval_s=0.01)
            yield
            assert worker.status() == psutil.STATUS_STOPPED
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)

    # In the workspace and in the dataset.

    def document(self, name: str) -> dict[str, Any]:
        """A JSON document of the dataset's folder."""
        uri = f"s3://{WORKSPACE_BUCKET}/datasets/{self.project}/train/{name}"
        found: dict[str, Any] = json.loads(self.demo.read(uri))
        return found

    def documents(self) -> list[str]:
        """The names of all objects in the dataset's folder."""
        prefix = f"datasets/{self.project}/train/"
        page = self.demo.services.s3().list_objects_v2(Bucket=WORKSPACE_BUCKET, Prefix=prefix)
        return [each["Key"].removeprefix(prefix) for each in page.get("Contents", [])]

    def journal(self) -> dict[str, Any]:
        return self.document("registration.json")

    def end_lease(self) -> None:
        """Let the time of the lease be over, as after a day."""
        journal = self.journal()
        journal["lease"]["expires_at"] = "2026-01-01T00:00:00Z"
        key = f"datasets/{self.project}/train/registration.json"
        self.demo.services.s3().put_object(Bucket=WORKSPACE_BUCKET, Key=key, Body=json.dumps(journal).encode())

    def dataset_arn(self) -> str:
        (project,) = self.demo.services.rekognition().describe_projects(ProjectNames=[self.project])[
            "ProjectDescriptions"
        ]
        (dataset,) = project["Datasets"]
        return dataset["DatasetArn"]

    def draw(self, name: str, *, left: int) -> None:
        """A person gives an image a box, and no label beside it."""
        rekognition, arn = self.demo.services.rekognition(), self.dataset_arn()
        entry = json.dumps(boxed(self.ref(name), "person", left=left)).encode()
        rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": entry})

        def is_done() -> bool:
            status = rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["Status"]
            return status == "UPDATE_COMPLETE"

        assert wait_until(is_done, deadline_s=30)

    def entries(self) -> dict[str, dict[str, Any]]:
        """The dataset's entries, by the image's name below the folder."""
        pages = self.demo.services.rekognition().get_paginator("list_dataset_entries")
        entries = [
            json.loads(entry)
            for page in pages.paginate(DatasetArn=self.dataset_arn())
            for entry in page["DatasetEntries"]
        ]
        return {entry["source-ref"].removeprefix(self.ref("")): entry for entry in entries}

    def labels(self, name: str) -> set[str]:
        return labels_of(self.entries()[name])

    def boxes(self, name: str) -> list[int]:
        """Where the boxes of an image begin, in pixels from the left."""
        members = self.entries()[name].values()
        boxes = [each["annotations"] for each in members if isinstance(each, dict) and "annotations" in each]
        return [box["left"] for attribute in boxes for box in attribute]

    # On the way to Rekognition.

    @contextmanager
    def barrier(self, is_here: Callable[[dict[str, Any]], bool]) -> Iterator[Barrier]:
        """A way to Rekognition on which a run is held right before a request.

        :param is_here: whether that is before the next request; called with what the journal says of a registration
        """

        def says_the_journal() -> bool:
            registration = self.journal()["registration"]
            return registration is not None and is_here(registration)

        barrier = Barrier(f"{self.project}-barrier", says_the_journal)
        settings = self.demo.settings
        with slow_s3(settings.rekognition_url, barrier) as rekognition_url:
            services = {"rekognition": {"endpoint_url": rekognition_url}}
            extra = {"region_name": REGION, "endpoint_url": settings.s3_url, "service_config": services}
            fields = {"conn_type": "aws", "login": ACCESS_KEY, "password": SECRET_KEY, "extra": json.dumps(extra)}
            self.airflow.add_connection(barrier.connection, fields)
            try:
                yield barrier
            finally:
                barrier.lift()


class Barrier:
    """Holds the requests of a run to Rekognition from a point on, before they are sent on, until it is lifted.

    :ivar connection: of Airflow's, for runs that are to meet it
    """

    def __init__(self, connection: str, is_here: Callable[[], bool]) -> None:
        self.connection = connection
        self._is_here = is_here
        self._is_met = threading.Event()
        self._is_lifted = threading.Event()
        self._asked: list[str] = []

    async def __call__(self, request: str) -> None:
        _, _, operation = request.lower().partition(_OPERATION)
        self._asked.append(operation.partition("\r\n")[0])
        if not self._is_met.is_set() and not self._is_here():
            return
        self._is_met.set()
        while not self._is_lifted.is_set():  # noqa: ASYNC110  it is lifted by another thread
            await asyncio.sleep(0.05)

    def wait(self) -> None:
        """Until a run has met it."""
        assert self._is_met.wait(RUN_DEADLINE_S), self._asked

    def lift(self) -> None:
        self._is_lifted.set()

    @property
    def asked(self) -> list[str]:
        """Operations that runs have asked for, in lower case, in their order."""
        return list(self._asked)
