"""What stands between a browser and the gallery, apart from the question who is asking.

Airflow's session is a cookie that the browser sends along whoever made the request, and that a script could read.
So nothing but the gallery's own page may make it write, and nothing that the gallery sends may run as a script:

* every answer carries a Content-Security-Policy without inline scripts, styles and third parties;
* a request that could change something has a header that no form can send, comes from the gallery's own origin,
  and is JSON, or the bytes of an image where those are sent; a body is measured while it is read;
* a person may make so many of them in a while.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from fastapi import Depends, Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders

from include.custom_labels.errors import CustomLabelsError, RequestError
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.gallery.lazy_app import AsgiApp, Receive, Scope, Send
from include.gallery.problems import refuse
from include.gallery.services import Rights

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
"""A save that names 500,000 images has 10 MB."""
MAX_IMAGE_BYTES: Final = MAX_IMAGE_FILE_BYTES.value

GUARD_HEADER: Final = "X-Custom-Labels"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_IMAGE_BYTES: Final = re.compile(r"/api/uploads/[^/]+/images/[^/]+")
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "font-src 'self'",
            "frame-ancestors 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole gallery.

    :param app: what is guarded
    :param origins: other origins at which the gallery is reached, such as ``https://airflow.example.com`` where a proxy
        stands before it; asked anew for each request that could change something
    """

    def __init__(self, app: AsgiApp, origins: Callable[[], Collection[str]] = tuple) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    # A picture's own policy is stricter.
                    headers.setdefault(name, value)
            await send(message)

        try:
            limit_bytes = 0 if scope["method"] in _SAFE_METHODS else self._check(scope, Headers(scope=scope))
        except RequestError as error:
            await refuse(Request(scope), error)(scope, receive, send_guarded)
            return
        await self._app(scope, _measured(receive, limit_bytes), send_guarded)

    def _check(self, scope: Scope, headers: Headers) -> int:
        """How many bytes the body may have.

        :raises RequestError: ORIGIN_REFUSED, HEADER_MISSING, CONTENT_TYPE_REFUSED, or BODY_TOO_LARGE
        """
        origin = headers.get("origin", "")
        if origin != f"{scope['scheme']}://{headers.get('host', '')}" and origin not in self._origins():
            raise RequestError(
                "ORIGIN_REFUSED",
                f"The request comes from {origin or 'no page'}, which is not where the gallery is.",
                "Open the gallery in Airflow. Behind a proxy, set Airflow's `[api] base_url` to the address that "
                "browsers use.",
            )
        if headers.get(GUARD_HEADER) != "1":
            raise RequestError(
                "HEADER_MISSING",
                f"The request lacks the header `{GUARD_HEADER}: 1`.",
                "Use the gallery's own page, or send the header.",
            )
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        takes_bytes = scope["method"] == "PUT" and _IMAGE_BYTES.fullmatch(path) is not None
        wanted = "application/octet-stream" if takes_bytes else "application/json"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
            raise RequestError(
                "CONTENT_TYPE_REFUSED",
                f"The request is no {wanted}.",
                "Use the gallery's own page, or send the header `Content-Type`.",
            )
        limit_bytes = MAX_IMAGE_BYTES if takes_bytes else MAX_JSON_BYTES
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit_bytes:
            raise _too_large(limit_bytes)
        return limit_bytes


def _measured(receive: Receive, limit_bytes: int) -> Receive:
    """Reads no more than that, whatever the request says of its length."""
    read_bytes = 0

    async def receive_measured() -> Any:
        nonlocal read_bytes
        message = await receive()
        read_bytes += len(message.get("body", b""))
        if read_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        return message

    return receive_measured


def _too_large(limit_bytes: int) -> RequestError:
    return RequestError(
        "BODY_TOO_LARGE",
        f"The request has more than {limit_bytes:,} bytes.",
        "Send less at a time; an image may have 15 MB.",
    )


class WriteLimits:
    """How often a person may ask for what changes something; counted by each process of the API server.

    :param rights: say who asks
    """

    def __init__(self, rights: Rights) -> None:
        self._user = rights.user
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def per_minute(self, requests: int, name: str) -> Any:
        """A dependency of FastAPI that lets so many requests pass.

        :param name: what is counted together
        """
        item = RateLimitItemPerMinute(requests)

        def count(user: str = Depends(self._user)) -> None:
            if not self._limiter.hit(item, name, user):
                raise self._refusal(item, name, user)

        return Depends(count)

    def _refusal(self, item: RateLimitItemPerMinute, name: str, user: str) -> CustomLabelsError:
        wait_s = max(1.0, self._limiter.get_window_stats(item, name, user).reset_time - time.time())
        return RequestError(
            "TOO_MANY_REQUESTS",
            f"More than {item.amount} requests of this kind came from one person within a minute.",
            "Wait a little, then try again.",
            retry_after_s=round(wait_s, 1),
        )
