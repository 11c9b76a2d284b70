"""The Rekognition endpoint as an ASGI application: JSON 1.1 on ``/``, and this machine's own paths on ``/_local``.

``GET /_local/health`` answers when the service does. ``/_local/faults`` takes the faults of `include.local_aws.faults`
by POST, lists those to come by GET and forgets them by DELETE; it asks for no signature and serves loopback only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.local_aws.configuration import LOCAL, Settings
from include.local_aws.errors import COMMON_CODES, ServiceError
from include.local_aws.faults import Fault, FaultPlan
from include.local_aws.lifecycle import Lifecycle
from include.local_aws.object_reader import ObjectReader, S3ObjectReader
from include.local_aws.operations import DatasetService
from include.local_aws.service_model import error_status, operation_model, parse_request, response_violations
from include.local_aws.signatures import authenticate
from include.local_aws.store import Store
from include.local_aws.throttle import Throttle

_log = logging.getLogger(__name__)
# UpdateDatasetEntries' 5 MiB in base64, and room for the rest.
_BODY_MAX_BYTES: Final = 8 * 1024**2
_CONTENT_TYPE: Final = "application/x-amz-json-1.1"


def create_app(settings: Settings, reader: ObjectReader | None = None) -> Starlette:
    """The service with its state in ``settings.database``; operations left under way there are finished.

    ``reader`` is where images and manifests come from: the S3 endpoint of the settings unless given.
    """
    endpoint = _Endpoint(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        store = Store(settings.database)
        objects = reader or S3ObjectReader(settings.s3_endpoint, LOCAL)
        lifecycle = Lifecycle(store, objects, settings)
        endpoint.service = DatasetService(store, objects, lifecycle, endpoint.faults, settings)
        lifecycle.start()
        try:
            yield
        finally:
            await run_in_threadpool(lifecycle.stop)
            if isinstance(objects, S3ObjectReader):
                objects.close()
            store.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", endpoint.answer, methods=["POST"]),
            Route("/_local/health", endpoint.health, methods=["GET"]),
            Route("/_local/faults", endpoint.inject, methods=["GET", "POST", "DELETE"]),
        ],
    )


class _Endpoint:
    service: DatasetService

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._throttle = Throttle()
        self.faults = FaultPlan()

    async def health(self, _: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def inject(self, request: Request) -> Response:
        if not _is_local(request):
            return Response("Faults are taken from this machine only.\n", 403, media_type="text/plain")
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            # A page in a browser cannot send this type to another origin without being asked first.
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                return Response("Send the fault as application/json.\n", 415, media_type="text/plain")
            try:
                fault = msgspec.json.decode(await request.body(), type=Fault)
            except msgspec.DecodeError as error:
                return Response(f"{error}\n", 400, media_type="text/plain")
            if problem := fault.problem():
                return Response(f"{problem}\n", 400, media_type="text/plain")
            self.faults.add(fault)
        return Response(msgspec.json.encode(self.faults.pending()), media_type="application/json")

    async def answer(self, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        try:
            content = await self._answer(request)
            status = 200
        except ServiceError as error:
            content = {"__type": error.code, "Message": error.message}
            status = error_status(error.code)
        return Response(
            msgspec.json.encode(content),
            status,
            headers={"x-amzn-requestid": request_id},
            media_type=_CONTENT_TYPE,
        )

    async def _answer(self, request: Request) -> dict[str, Any]:
        body = await _body(request)
        caller = authenticate(
            method=request.method,
            url=str(request.url),
            headers=request.headers,
            body=body,
            identities=self._settings.identities,
        )
        operation = operation_model(request.headers.get("x-amz-target", ""))
        declared = {shape.name for shape in operation.error_shapes} | COMMON_CODES
        try:
            if self._settings.throttle:
                self._throttle.take(caller, operation.name)
            await self._meet_fault(operation.name)
            try:
                decoded = msgspec.json.decode(body or b"{}")
            except msgspec.DecodeError as error:
                raise ServiceError("SerializationException", f"The request body is no JSON: {error}") from error
            arguments = parse_request(operation, decoded)
            response = await run_in_threadpool(self.service.call, operation.name, caller, arguments)
        except ServiceError as error:
            if error.code in declared:
                raise
            _log.exception("%s does not declare %s.", operation.name, error.code)
            raise ServiceError("InternalServerError", "The service broke its own contract.") from error
        if violations := response_violations(operation, response):
            _log.error("%s answers against its shape: %s", operation.name, "; ".join(violations))
            raise ServiceError("InternalServerError", "The service broke its own contract.")
        return response

    async def _meet_fault(self, operation: str) -> None:
        fault = self.faults.take(operation)
        if fault is None:
            return
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "throttle":
            raise ServiceError(
                "ThrottlingException", fault.message or "Slow down; sudden rise in the rate of requests."
            )
        else:
            raise ServiceError(fault.code or "InternalServerError", fault.message or "An injected fault.")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX_BYTES:
            raise ServiceError("RequestEntityTooLargeException", "The request is larger than 8 MiB.")
    return bytes(body)


def _is_local(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
