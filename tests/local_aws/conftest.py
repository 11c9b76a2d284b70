"""The dataset service in this process: boto3 above it, a dictionary of objects below it, no socket anywhere."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.validate import ParamValidator

from include.local_aws.app import create_app
from include.local_aws.configuration import GUEST, LOCAL, Identity, ImageChecks, Settings
from include.local_aws.images import ImageFacts, image_size
from include.local_aws.object_reader import BucketFacts, ObjectBody, ObjectForbiddenError, ObjectMissingError
from include.local_aws.service_model import operation_model, response_violations
from tests.local_aws.samples import BUCKET

ENDPOINT = "http://rekognition.test"
DEADLINE_S = 20.0


@dataclass(slots=True, kw_only=True)
class StoredObjects:
    """`ObjectReader` over a dictionary. ``sizes`` lets an object claim a size that it does not have."""

    contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    buckets: dict[str, BucketFacts] = field(default_factory=dict)
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    failure: Exception | None = None
    looked_at: list[tuple[str, str]] = field(default_factory=list)

    def put(self, key: str, content: bytes, bucket: str = BUCKET) -> None:
        self.contents[bucket, key] = content

    def bucket_facts(self, bucket: str) -> BucketFacts | None:
        return self.buckets.get(bucket, BucketFacts(owner=LOCAL.account, region=None))

    @contextmanager
    def open_object(self, bucket: str, key: str, version: str | None) -> Iterator[ObjectBody]:
        if self.failure is not None:
            raise self.failure
        if (bucket, key) in self.forbidden:
            raise ObjectForbiddenError(key)
        if (bucket, key) not in self.contents:
            raise ObjectMissingError(key)
        content = self.contents[bucket, key]
        # In small pieces, so that lines are cut where they like.
        chunks = (content[start : start + 1000] for start in range(0, len(content), 1000))
        yield ObjectBody(size_bytes=self.sizes.get((bucket, key), len(content)), chunks=chunks)

    def image_facts(self, images: list[tuple[str, str]], *, header: bool) -> list[ImageFacts | None]:
        self.looked_at += images
        return [self._facts(image) for image in images]

    def _facts(self, image: tuple[str, str]) -> ImageFacts | None:
        content = self.contents.get(image, b"")
        size = image_size(content)
        if size is None:
            return None
        return ImageFacts(size_bytes=self.sizes.get(image, len(content)), width_px=size[0], height_px=size[1])


@dataclass(slots=True, kw_only=True)
class Service:
    """One running application and clients for it."""

    portal: BlockingPortal
    http: httpx.AsyncClient
    objects: StoredObjects

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.portal.call(partial(self.http.request, method, path, **arguments))

    def client(self, identity: Identity = LOCAL, region: str = "us-east-1", **overrides: Any) -> Any:
        client = boto3.client(
            "rekognition",
            **{
                "endpoint_url": ENDPOINT,
                "aws_access_key_id": identity.access_key,
                "aws_secret_access_key": identity.secret_key,
                "region_name": region,
                # The service, and not the client, is to find what is wrong with a request.
                "config": Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            }
            | overrides,
        )
        client.meta.events.register("before-send.rekognition", self._send)
        return client

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        answer = self.request(
            request.method,
            request.url,
            content=request.body,
            headers={
                name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
            },
        )
        assert answer.headers["x-amzn-requestid"]
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        target = request.headers["X-Amz-Target"]
        operation = operation_model(target.decode() if isinstance(target, bytes) else target)
        if answer.is_success:
            assert response_violations(operation, answer.json()) == []
            assert not ParamValidator().validate(answer.json(), operation.output_shape).has_errors()
        return AWSResponse(request.url, answer.status_code, answer.headers, _Raw(answer.content))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        while chunk := self.read(1 << 16):
            yield chunk


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the application on the test's own database; a second start goes on where the first one was left."""
    with ExitStack() as stack:

        def start_service(objects: StoredObjects | None = None, **settings: Any) -> Service:
            stack.close()
            objects = objects or StoredObjects()
            arguments = {"status_delay_s": 0.0, "image_checks": ImageChecks.NONE, "identities": (LOCAL, GUEST)}
            app = create_app(
                Settings(
                    database=tmp_path / "rekognition.sqlite",
                    s3_endpoint="http://s3.test",
                    **(arguments | settings),
                ),
                objects,
            )
            portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(app.router.lifespan_context(app)))
            # As the service is told who calls: somebody on this machine.
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
            http = stack.enter_context(
                portal.wrap_async_context_manager(httpx.AsyncClient(transport=transport, base_url=ENDPOINT))
            )
            return Service(portal=portal, http=http, objects=objects)

        yield start_service


@pytest.fixture
def service(start: Start) -> Service:
    return start()


@pytest.fixture
def rekognition(service: Service) -> Any:
    return service.client()


@pytest.fixture
def project_arn(rekognition: Any) -> str:
    return str(rekognition.create_project(ProjectName="example-project")["ProjectArn"])


def settled(rekognition: Any, dataset_arn: str) -> dict[str, Any]:
    """The description of a dataset once no operation is under way on it."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        description: dict[str, Any] = rekognition.describe_dataset(DatasetArn=dataset_arn)["DatasetDescription"]
        if not description["Status"].endswith("_IN_PROGRESS"):
            return description
        time.sleep(0.01)
    raise TimeoutError(f"{dataset_arn} is still {description['Status']}.")


def gone(rekognition: Any, dataset_arn: str) -> None:
    """Wait until a deleted dataset is no more."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            rekognition.describe_dataset(DatasetArn=dataset_arn)
        except rekognition.exceptions.ResourceNotFoundException:
            return
        time.sleep(0.01)
    raise TimeoutError(f"{dataset_arn} is still there.")


def created(rekognition: Any, project_arn: str, content: bytes | None = None, dataset_type: str = "TRAIN") -> str:
    """ARN of an empty dataset that, with ``content``, has then been updated."""
    arn = str(rekognition.create_dataset(ProjectArn=project_arn, DatasetType=dataset_type)["DatasetArn"])
    assert settled(rekognition, arn)["Status"] == "CREATE_COMPLETE"
    if content is not None:
        rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": content})
        description = settled(rekognition, arn)
        assert description["Status"] == "UPDATE_COMPLETE", description
    return arn


def entries(rekognition: Any, dataset_arn: str, **filters: Any) -> list[str]:
    """All entries of a dataset, page after page."""
    pages = rekognition.get_paginator("list_dataset_entries").paginate(DatasetArn=dataset_arn, **filters)
    return [entry for page in pages for entry in page["DatasetEntries"]]
