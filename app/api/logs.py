"""Logs as JSON, one line an event, to standard output (trust-and-ops S-23, §4).

No line carries an address, an id that was asked for, a body, a query or a key: of a request it tells route template, status, time
taken, request id and the caller's key id. Values are escaped to ASCII and cut at 1 KiB. Lines of requests are gathered for a moment
and written together: what must never be lost is in the access log of the database, not here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")

MOST_CHARACTERS = 1024
GATHER_S = 0.25
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """One record, one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _cut(record.getMessage()),
        }
        if current := request_id.get():
            line["request_id"] = current
        line.update((name, _cut(value)) for name, value in record.__dict__.items() if name not in _OWN)
        if record.exc_info and record.exc_info[0] is not None:
            # The text of a foreign exception may repeat what was sent: its class and place are enough to find it.
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record)
        return json.dumps(line, ensure_ascii=True, default=str)


def _cut(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    return str(value)[:MOST_CHARACTERS]


def _places(record: logging.LogRecord) -> list[str]:
    """file:line of the frames of an exception, the innermost last."""
    found: list[str] = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('app/')[2] or code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[-12:]


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process through the JSON formatter; for `cordon serve`."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they would write whole URLs
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"


class RequestLines:
    """The lines of requests, written a few times a second; nothing is kept while the level of `cordon.request` is above info."""

    def __init__(self) -> None:
        self._log = logging.getLogger("cordon.request")
        self._waiting: list[tuple[float, str, str, str, int, float, str]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether anybody reads them."""
        return self._log.isEnabledFor(logging.INFO)

    def add(self, line: tuple[float, str, str, str, int, float, str]) -> None:
        """(time, request id, method, route template, status, seconds, actor) of one request."""
        self._waiting.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        self._timer = None
        lines, self._waiting = self._waiting, []
        for at, number, method, route, status, taken, actor in lines:
            extra = {"request_id": number, "method": method, "route": route, "status": status, "ms": round(taken * 1000, 3), "actor": actor}
            record = self._log.makeRecord(self._log.name, logging.INFO, "", 0, "request", (), None, extra=extra)
            record.created = at
            self._log.handle(record)
