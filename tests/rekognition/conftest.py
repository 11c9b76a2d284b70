from __future__ import annotations

import json
from typing import Any

import pytest

from include.rekognition.hook import RekognitionHook
from tests.rekognition.scripted_service import ScriptedRekognition

CONN_ID = "aws_test"


@pytest.fixture(autouse=True)
def aws_connection(monkeypatch: pytest.MonkeyPatch) -> str:
    connection = {
        "conn_type": "aws",
        "login": "example",
        "password": "example",
        "extra": {"region_name": "eu-west-1", "endpoint_url": "https://rekognition.invalid"},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    return CONN_ID


@pytest.fixture
def rekognition(monkeypatch: pytest.MonkeyPatch) -> ScriptedRekognition:
    """Every client that a hook makes, sync or async, talks to the returned service."""
    service = ScriptedRekognition()
    make_client = RekognitionHook.get_client_type

    async def scripted(context_manager: Any) -> Any:
        client = await context_manager._coro
        client.meta.events.register_first("before-send.rekognition", service.answer_async)
        return client

    def get_client_type(hook: RekognitionHook, *args: Any, **kwargs: Any) -> Any:
        client = make_client(hook, *args, **kwargs)
        if kwargs.get("deferrable"):
            return type(client)(scripted(client))
        client.meta.events.register("before-send.rekognition", service.answer)
        return client

    monkeypatch.setattr(RekognitionHook, "get_client_type", get_client_type)
    # The pace has its own tests; here it would only make the others slow.
    monkeypatch.setattr("include.rekognition.hook.requests_per_s", lambda: 10_000.0)
    return service
