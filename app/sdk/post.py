"""One POST to an address that somebody else has named, through the guard of `outbound`; its outcome is a value, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from ..domain.errors import CordonError
from .outbound import LIMITS, Limits, Transport, make_client

MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: the status of the answer, or None and why there was none. `retry_after`: the header, empty without one."""

    status: int | None
    note: str
    retry_after: str = ""

    @property
    def arrived(self) -> bool:
        """Only 2xx says that it was taken."""
        return self.status is not None and 200 <= self.status < 300


class Poster:
    """Posts; the answers' bodies are not read."""

    def __init__(self, *, allow_loopback: bool = False, timeout_s: float = 15.0, transport: Transport | None = None) -> None:
        self._client = make_client(allow_loopback, transport)
        self._limits = Limits(deadline_s=timeout_s, max_bytes=MAX_ANSWER, idle_s=timeout_s)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Send; redirects are failures, as is whatever the guard refuses."""
        try:
            async with self._client.stream("POST", url, content=body, headers=dict(headers), extensions={LIMITS: self._limits}) as answer:
                return Outcome(answer.status_code, f"answered {answer.status_code}", answer.headers.get("retry-after", ""))
        except CordonError as error:
            return Outcome(None, error.detail)
        except httpx.HTTPError as error:
            return Outcome(None, f"no answer ({type(error).__name__})")

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()
