"""Links from a task to the AWS console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink


class JournalLink(BaseAwsLink):
    """Leads to the journal of a dataset's registration in S3."""

    name = "Registration journal"
    key = "registration_journal"
    format_str = BASE_AWS_CONSOLE_LINK + "/s3/object/{bucket}?region={region_name}&prefix={object_key}"
