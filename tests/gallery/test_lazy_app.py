"""The application is made once, when it is first asked."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from include.gallery.lazy_app import AsgiApp, LazyApp, Receive, Scope, Send


async def receive() -> MutableMapping[str, Any]:
    return {}


async def send(_message: MutableMapping[str, Any]) -> None:
    pass


async def test_requests_that_come_together_share_one_application() -> None:
    built: list[int] = []
    served: list[Scope] = []

    def build() -> AsgiApp:
        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            served.append(scope)

        built.append(1)
        return app

    lazy = LazyApp(build)
    assert built == []
    await asyncio.gather(*(lazy({"number": number}, receive, send) for number in range(5)))
    assert (len(built), len(served)) == (1, 5)


async def test_a_build_that_failed_is_tried_again() -> None:
    answers: list[str] = []

    def build() -> AsgiApp:
        if not answers:
            answers.append("failed")
            raise LookupError("not yet")

        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            answers.append("served")

        return app

    lazy = LazyApp(build)
    with pytest.raises(LookupError):
        await lazy({}, receive, send)
    await lazy({}, receive, send)
    assert answers == ["failed", "served"]
