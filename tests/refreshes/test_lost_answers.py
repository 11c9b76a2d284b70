"""A conditional write whose answer is lost has happened: nobody else has taken over, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from include.object_store.registration_journal import Journal
from tests.refreshes.imports import Import, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


@contextmanager
def lost_answers(
    client: Any, operation: str, name: str = "", *, then: Callable[[], object] = lambda: None
) -> Iterator[list[str]]:
    """Of every request, the first answer is lost; the client then asks again.

    :param name: at the end of the addresses concerned
    :param then: called before the client asks again
    """
    lost: list[str] = []
    is_repeated = False

    def lose(request: Any, **_: Any) -> None:
        nonlocal is_repeated
        if not request.url.endswith(name):
            return
        is_repeated = not is_repeated
        if is_repeated:
            lost.append(request.url)
            client._endpoint.http_session.send(request)
            then()
            raise ConnectionClosedError(endpoint_url=request.url)

    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register(event, lose)
    try:
        yield lost
    finally:
        client.meta.events.unregister(event, lose)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client repeats at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def registers(imports: Imports) -> Import:
    done = imports.run(label_aliases={"echo": "Echo"})
    assert done.journal == Journal()
    assert (done.changed, len(done.events)) == (True, 1)
    assert done.current
    assert done.current.snapshot_id == done.published["snapshot_id"]
    return done


@pytest.mark.parametrize("name", ["registration.json", "current.json", "summary.json"])
def test_a_document_whose_write_is_not_answered_was_written(registered: Imports, people: People, name: str) -> None:
    client = registered.begin().run.s3.client
    with lost_answers(client, "PutObject", name) as lost:
        registers(registered)
    assert lost
    assert people.said()["echo/0.png"] == {"Echo"}


def test_a_dataset_whose_creation_is_not_answered_is_ours(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.delete("dot/0.png")
    client = registered.begin().run.rekognition.conn
    with lost_answers(client, "CreateDataset") as lost:
        registers(registered)
    assert lost
    assert people.boxes("echo/0.png") == [7]
    assert len(people.said()) == 7


@pytest.mark.parametrize("operation", ["DeleteDataset", "UpdateDatasetEntries"])
def test_an_operation_that_is_not_answered_is_waited_for(registered: Imports, people: People, operation: str) -> None:
    people.draw("echo/0.png", "echo", left=7)
    if operation == "DeleteDataset":
        people.delete("dot/0.png")
    client = registered.begin().run.rekognition.conn
    with lost_answers(client, operation) as lost:
        registers(registered)
    assert lost
    assert people.boxes("echo/0.png") == [7]


def test_a_dataset_that_is_gone_before_its_deletion_is_asked_for_again_was_deleted(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.delete("dot/0.png")
    client = registered.begin().run.rekognition.conn
    with lost_answers(client, "DeleteDataset", then=people.await_deletion) as lost:
        registers(registered)
    assert lost
    assert people.boxes("echo/0.png") == [7]
