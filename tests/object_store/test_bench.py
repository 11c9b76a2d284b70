"""The benchmark's own parts: a benchmark that checks nothing measures nothing."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config

from bench.contenders import CONTENDERS, OUTPUT, prepare
from bench.fixture import BUCKET, PREFIX, all_keys, contents, expected_lines, image_keys
from bench.measurement import check_output, connection, spread, stub_keys_per_second
from bench.stub import Stub, running_stub
from include.custom_labels.image_headers import read_header

# Enough for the folder with awkward names.
IMAGES = 8_500


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with running_stub(all_keys(IMAGES), BUCKET) as stub:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(stub.url))
        yield stub


# Airflow's own, when a test is the first to look a connection up.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
@pytest.mark.parametrize("name", ["hook_manifest", "our_manifest", "our_manifest_validated"])
def test_contenders_write_the_same_bytes(stub: Stub, name: str) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    CONTENDERS[name](S3Hook(), IMAGES)
    check_output(stub.url, IMAGES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"label-00001", b"label-00002", 1),
        lambda data: data.rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n",
        lambda data: b"".join(sorted(data.splitlines(keepends=True), reverse=True)),
        lambda data: data + b"{\n",
    ],
    ids=["one label", "a line missing", "order", "not JSON"],
)
def test_a_wrong_manifest_does_not_pass(stub: Stub, spoil: object) -> None:
    assert callable(spoil)
    client = boto3.client(
        "s3",
        endpoint_url=stub.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="localsecret",
        config=Config(proxies={}),
    )
    manifest = b"".join(expected_lines(IMAGES))
    client.put_object(Bucket=BUCKET, Key=OUTPUT, Body=manifest)
    check_output(stub.url, IMAGES)
    client.put_object(Bucket=BUCKET, Key=OUTPUT, Body=spoil(manifest))
    with pytest.raises(ValueError, match=r"."):
        check_output(stub.url, IMAGES)


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
@pytest.mark.parametrize("name", ["our_diff", "json_diff"])
def test_contenders_find_the_same_differences(stub: Stub, name: str) -> None:
    hook = prepare(name, IMAGES)
    CONTENDERS[name](hook, IMAGES)
    with pytest.raises(ValueError, match="removed, relabelled and added"):
        CONTENDERS[name](hook, 2 * IMAGES)


def test_the_stub_lists_as_boto3_expects(stub: Stub) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=stub.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="localsecret",
        config=Config(proxies={}),
    )
    paginator = client.get_paginator("list_objects_v2")
    keys = [entry["Key"] for page in paginator.paginate(Bucket=BUCKET) for entry in page["Contents"]]
    assert keys == all_keys(IMAGES)
    after = keys[4_000]
    rest = [
        entry["Key"]
        for page in paginator.paginate(Bucket=BUCKET, Prefix=PREFIX, StartAfter=after)
        for entry in page["Contents"]
    ]
    assert rest == keys[4_001:]
    folders = client.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX, Delimiter="/")
    assert [entry["Prefix"] for entry in folders["CommonPrefixes"]] == [f"{PREFIX}label-{at:05d}/" for at in range(9)]


def test_the_fixture_is_what_it_says() -> None:
    keys = list(image_keys(IMAGES))
    assert len(keys) == IMAGES
    assert keys == sorted(keys)
    assert any("%" in key and '"' in key and "\\" in key for key in keys)
    small, large = contents()[0], contents()[9]
    assert read_header(small.data[:4096], size_bytes=len(small.data)) == small.header
    assert read_header(large.data[:4096], size_bytes=len(large.data)) != large.header


def test_the_capacity_of_the_stub_is_measured(stub: Stub) -> None:
    assert stub_keys_per_second(stub.url, IMAGES, seconds=0.1) > 1_000


def test_spread() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
