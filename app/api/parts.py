"""An answer of known length that leaves part by part: of a caller who does not read, the node holds one part and not the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Parts(Response):
    """Each part is made when the one before it has left, or nearly: the server waits while its buffer is full (`patience`)."""

    def __init__(self, parts: Iterator[bytes], length: int, *, media_type: str, headers: Mapping[str, str]) -> None:
        """`length`: of all parts together."""
        super().__init__(media_type=media_type, headers=headers)
        self.headers["content-length"] = str(length)
        self._parts = parts

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
