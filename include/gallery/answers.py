"""Messages as the answers to requests."""

from __future__ import annotations

from typing import Final

import msgspec
from fastapi.responses import Response

from include.gallery.messages import Message

JSON: Final = "application/json"


def answer(message: Message, status: int = 200) -> Response:
    """A message as an answer that no cache keeps."""
    return Response(msgspec.json.encode(message), status, {"Cache-Control": "no-store"}, media_type=JSON)
