"""Who is told how a refresh went: the amazon provider's notifiers, as a dataset's file asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from airflow.configuration import conf
from msgspec import Meta

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

Event = Literal["failure", "success", "approval"]

PLACES = ("sns", "sqs", "ses")
"""Members of a notification that say where it goes; it has one of them."""

_WORDS: dict[Event, str] = {
    "failure": "failed",
    "success": "succeeded",
    "approval": "waits for an approval",
}
_QUEUE_REGION = re.compile(r"https://sqs\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")

_Address = Annotated[str, Meta(pattern=r"^[^\s@]+@[^\s@]+$")]


class Mail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message by Amazon SES."""

    mail_from: Annotated[_Address, Meta(description="The sender, an address or domain that SES has verified.")]
    to: Annotated[tuple[_Address, ...], Meta(min_length=1, description="The recipients.")]


class Notification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events, and the one place that hears of them."""

    on: Annotated[
        tuple[Event, ...],
        Meta(min_length=1, description="A run that failed or succeeded, or that waits for an approval."),
    ]
    sns: Annotated[
        Annotated[str, Meta(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_\-]{1,256}$")] | None,
        Meta(
            description=(
                "The ARN of an Amazon SNS topic that is no FIFO topic, such as "
                "arn:aws:sns:us-east-1:111122223333:example-topic."
            )
        ),
    ] = None
    sqs: Annotated[
        Annotated[str, Meta(pattern=r"^(?!.*\.fifo$)https?://\S+$")] | None,
        Meta(
            description=(
                "The URL of an Amazon SQS queue that is no FIFO queue, such as "
                "https://sqs.us-east-1.amazonaws.com/111122223333/example-queue."
            )
        ),
    ] = None
    ses: Annotated[Mail | None, Meta(description="A mail by Amazon SES.")] = None
    aws_conn_id: Annotated[
        str, Meta(min_length=1, description="The Airflow connection that the message is sent with.")
    ] = "aws_default"

    def __post_init__(self) -> None:
        if sum(getattr(self, place) is not None for place in PLACES) != 1:
            raise ValueError(f"a notification has exactly one of {', '.join(PLACES)}")


def notifiers(notifications: Iterable[Notification], event: Event) -> list[BaseNotifier]:
    """A notifier for each notification of the event; none of them connects to anything before it is called.

    They serve every Dag: what they say is rendered for the run.
    """
    return [_notifier(notification, event) for notification in notifications if event in notification.on]


def _notifier(notification: Notification, event: Event) -> BaseNotifier:
    # Imported where they are used: most files have none, and each import of a Dag file would pay for them.
    if notification.sns is not None:
        from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

        return SnsNotifier(
            target_arn=notification.sns,
            region_name=notification.sns.split(":")[3],
            subject=_subject(event),
            message=_message(event),
            aws_conn_id=notification.aws_conn_id,
        )
    if notification.sqs is not None:
        from airflow.providers.amazon.aws.notifications.sqs import SqsNotifier

        region = _QUEUE_REGION.match(notification.sqs)
        return SqsNotifier(
            queue_url=notification.sqs,
            region_name=region["region"] if region else None,
            message_body=_message(event),
            aws_conn_id=notification.aws_conn_id,
        )
    if notification.ses is None:
        raise TypeError("a notification without a place")
    from airflow.providers.amazon.aws.notifications.ses import SesNotifier

    return SesNotifier(
        mail_from=notification.ses.mail_from,
        to=list(notification.ses.to),
        subject=_subject(event),
        html_content=_message(event, "<br>"),
        aws_conn_id=notification.aws_conn_id,
    )


def _subject(event: Event) -> str:
    # SNS takes 100 characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    return f"{{{{ dag.dag_id[:70] }}}} {_WORDS[event]}"


@cache
def _message(event: Event, line_break: str = "\n") -> str:
    """What happened to which run, and where to look, if Airflow knows its own address."""
    reason = " ({{ reason }})" if event == "failure" else ""
    lines = [f"{{{{ dag.dag_id }}}} {_WORDS[event]}{reason}. Run: {{{{ run_id }}}}"]
    base_url = conf.get("api", "base_url", fallback="")
    if base_url:
        lines.append(f"{base_url.rstrip('/')}/dags/{{{{ dag.dag_id }}}}/runs/{{{{ run_id | urlencode }}}}")
    return line_break.join(lines)
