"""The ceiling: an ASGI application that answers every request with the same small JSON, on the same server as the node."""

from __future__ import annotations

from typing import Any

BODY = b'{"message":"hello"}'
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"19")]}
END = {"type": "http.response.body", "body": BODY}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Say hello."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send(START)
    await send(END)
