"""Notifications become notifiers of the amazon provider, and connect to nothing before they are called."""

from __future__ import annotations

import socket
from typing import Any
from unittest.mock import create_autospec

import msgspec
import pytest
from airflow.providers.amazon.aws.hooks.ses import SesHook
from airflow.providers.amazon.aws.hooks.sns import SnsHook
from airflow.providers.amazon.aws.hooks.sqs import SqsHook
from airflow.sdk import DAG

from include.pipelines.notifications import Notification, notifiers

TOPIC = "arn:aws:sns:eu-central-1:111122223333:example-topic"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/example-queue"
MAIL = {"mail_from": "airflow@example.com", "to": ["team@example.com"]}
CONTEXT = {
    "dag": DAG("refresh_example", schedule=None),
    "run_id": "scheduled__2026-11-22T20:00:00+00:00",
    "reason": "task_failure",
}


def notification(**members: Any) -> Notification:
    return msgspec.convert(members, Notification)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a notifier reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_each_event_has_its_own_list() -> None:
    asked = [
        notification(on=["failure", "approval"], sns=TOPIC),
        notification(on=["failure", "success"], sqs=QUEUE),
        notification(on=["success"], ses=MAIL),
    ]
    names = {
        event: [type(made).__name__ for made in notifiers(asked, event)] for event in ("failure", "success", "approval")
    }
    assert names == {
        "failure": ["SnsNotifier", "SqsNotifier"],
        "success": ["SqsNotifier", "SesNotifier"],
        "approval": ["SnsNotifier"],
    }


@pytest.mark.parametrize(
    ("place", "hook", "method", "sent"),
    [
        (
            {"sns": TOPIC},
            SnsHook,
            "publish_to_target",
            {"target_arn": TOPIC, "subject": "refresh_example failed", "message_attributes": None},
        ),
        (
            {"sqs": QUEUE},
            SqsHook,
            "send_message",
            {"queue_url": QUEUE, "delay_seconds": 0, "message_attributes": {}, "message_group_id": None},
        ),
        ({"ses": MAIL}, SesHook, "send_email", {"subject": "refresh_example failed", **MAIL}),
    ],
)
def test_what_is_sent(place: dict[str, Any], hook: type[Any], method: str, sent: dict[str, Any]) -> None:
    (notifier,) = notifiers([notification(on=["failure"], aws_conn_id="example", **place)], "failure")
    assert notifier.aws_conn_id == "example"
    # `hook` is a cached property: what stands in its place is not made.
    notifier.__dict__["hook"] = fake = create_autospec(hook, instance=True)
    notifier(dict(CONTEXT))
    (call,) = getattr(fake, method).call_args_list
    message = {"message", "message_body", "html_content"} & call.kwargs.keys()
    text = call.kwargs[message.pop()]
    assert text.startswith("refresh_example failed (task_failure). Run: scheduled__2026-11-22T20:00:00+00:00")
    assert sent.items() <= call.kwargs.items()


def test_the_region_is_the_topics_and_the_queues() -> None:
    for place in ({"sns": TOPIC}, {"sqs": QUEUE}):
        (notifier,) = notifiers([notification(on=["success"], **place)], "success")
        assert notifier.region_name == "eu-central-1"  # type: ignore[attr-defined]
    (elsewhere,) = notifiers([notification(on=["success"], sqs="http://127.0.0.1:9324/queue")], "success")
    assert elsewhere.region_name is None  # type: ignore[attr-defined]


def test_a_subject_fits_into_sns() -> None:
    (notifier,) = notifiers([notification(on=["approval"], sns=TOPIC)], "approval")
    notifier.__dict__["hook"] = fake = create_autospec(SnsHook, instance=True)
    notifier({**CONTEXT, "dag": DAG("refresh_" + "x" * 200, schedule=None)})
    assert len(fake.publish_to_target.call_args.kwargs["subject"]) <= 100


@pytest.mark.parametrize(
    "members",
    [
        {"on": [], "sns": TOPIC},
        {"on": ["retry"], "sns": TOPIC},
        {"on": ["failure"]},
        {"on": ["failure"], "sns": TOPIC, "sqs": QUEUE},
        {"on": ["failure"], "sns": "example-topic"},
        {"on": ["failure"], "sns": f"{TOPIC}.fifo"},
        {"on": ["failure"], "sqs": f"{QUEUE}.fifo"},
        {"on": ["failure"], "ses": {**MAIL, "to": []}},
        {"on": ["failure"], "sns": TOPIC, "slack": "x"},
    ],
)
def test_what_is_no_notification(members: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        notification(**members)
