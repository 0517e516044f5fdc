"""What the process logs: JSON, a line an event, no secrets, no addresses (S-23)."""

from __future__ import annotations

import io
import json
import logging

import pytest

from app.api.logs import JsonFormatter, configure
from tests.api.front import Front
from tests.factories import accept, wallet, wallet_id
from tests.waiting import until


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


async def test_no_key_address_or_body_is_ever_logged(front: Front, written: io.StringIO) -> None:
    """Canaries in key, path, query, body and headers: the log has none of them, and each of its lines is JSON."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    key = await front.key()
    address = wallet_id(1).rpartition(":")[2]
    canaries = [address, key, key.split("_")[3], "canary-case", "canary-agent", "canary.example", "203.0.113.77"]
    hostile = 'canary\r\n{"a":1}\x1b[31m\u2028'
    async with front.at(key, peer="203.0.113.77", **{"User-Agent": "canary-agent", "Cordon-Case": "canary-case"}) as client:
        await client.get(f"/v1/screen/{address}")
        await client.get("/v1/indicators", params={"id": "canary.example"})
        await client.get("/v1/search", params={"q": hostile})
        await client.post("/v1/screen", json={"items": [{"address": "canary.example", "reference": hostile}]})
        await client.post("/v1/statements", content="canary.example", headers={"Content-Type": "application/sd-jwt"})
        await client.get("/canary.example")
        await client.get("/v1/members", headers={"Authorization": f"Bearer {key}x"})
        await client.get("/v1/members", headers={"X-Request-Id": "canary-request-id"})
    await until(lambda: written.getvalue().count("cordon.request") >= 8)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    requests = [line for line in lines if line["logger"] == "cordon.request"]
    assert [(line["route"], line["status"]) for line in requests][:2] == [("/v1/screen/{address}", 200), ("/v1/indicators", 200)]
    assert len(requests) == 8
    assert {line["actor"].partition("/")[0] for line in requests} == {"de.exchange", ""}
    assert requests[-1]["request_id"] == "canary-request-id"
    assert set(requests[0]) == {"time", "level", "logger", "event", "request_id", "method", "route", "status", "ms", "actor"}
    for canary in canaries:
        assert canary not in written.getvalue(), canary


def test_an_event_is_one_line_whatever_it_holds() -> None:
    """Line breaks, terminal escapes, quotes and separators are escaped, long values cut; exceptions tell class and place, not text."""
    formatter = JsonFormatter()
    for text in ("a\r\nb", "\x1b[31m", '"}', "\u2028\u2029", "\ud800", "x" * 5000, "\x00"):
        try:
            raise ValueError(text)
        except ValueError:
            import sys

            record = logging.LogRecord("cordon", logging.ERROR, __file__, 1, "%s", (text,), sys.exc_info())
        record.detail = text
        line = formatter.format(record)
        assert line.isascii()
        assert line.isprintable()
        read = json.loads(line)
        assert read["event"] == read["detail"] == text[:1024]
        assert read["exception"] == "ValueError"
        assert len(line) < 10_000
