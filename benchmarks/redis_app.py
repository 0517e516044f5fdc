"""Redis behind FastAPI: what one would write for speed. Keys, listed addresses and their details in Redis, redis-py with hiredis, answers as bytes.

It has no labels, no quota, no access log and checks no address. The benchmark starts a `redis-server` of its own on a free port of 127.0.0.1,
which keeps nothing on disk; the package and the server are needed for this comparison alone, and its absence is said loudly.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

PORT = "BENCH_REDIS_PORT"
DETAILS = orjson.dumps({"issuer": "zz.bench", "typology": "fraud", "severity": 3, "listed_at": "2026-11-22T00:00:00Z"})
PORTION = 1_000
app = FastAPI()


def missing() -> str:
    """What has to be done before this can be compared; empty if nothing."""
    if shutil.which("redis-server") is None:
        return "install a redis-server (Debian: apt-get install redis-server)"
    if importlib.util.find_spec("redis") is None:
        return "run `make bench`, which installs requirements/bench.txt"
    return ""


def warn() -> None:
    """Say that the comparison is left out, and how to have it."""
    print(f"\n*** Redis behind FastAPI IS NOT COMPARED: {missing()} ***")


def redis() -> Any:
    """The client of this process, opened at the first use."""
    from redis.asyncio import Redis  # noqa: PLC0415 - needed by this comparison alone

    if not hasattr(app.state, "redis"):
        app.state.redis = Redis(port=int(os.environ[PORT]))
    return app.state.redis


@app.get("/v1/screen/{address}")
async def screen(address: str, request: Request) -> Response:
    """One address, with its details if it is listed."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    known, details = await redis().pipeline(transaction=False).sismember("keys", key).hget("details", address).execute()
    if not known:
        return Response(status_code=401)
    statements = [orjson.loads(details)] if details else []
    words = {"address": address, "match": "listed" if details else "not_listed", "statements": statements}
    return Response(orjson.dumps(words), media_type="application/json")


@app.post("/bulk")
async def bulk(request: Request) -> Response:
    """A list of addresses; those that are listed, with their details."""
    items = orjson.loads(await request.body())["items"]
    asked = redis().pipeline(transaction=False)
    for start in range(0, len(items), PORTION):
        asked.smismember("listed", items[start : start + PORTION])
    flags = [flag for some in await asked.execute() for flag in some]
    hits = [(row, text) for row, (text, flag) in enumerate(zip(items, flags, strict=True)) if flag]
    details = await redis().hmget("details", [text for _, text in hits]) if hits else []
    results = [
        {"row": row, "address": text, "statements": [orjson.loads(one)] if one else []}
        for (row, text), one in zip(hits, details, strict=True)
    ]
    return Response(orjson.dumps({"results": results}), media_type="application/json")


@contextmanager
def serving(key: str, listed: Iterable[str], others: Iterable[str] = ()) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """A server that knows `listed` with details, and `others` as listed without: the environment of the application, and the process."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([*command, "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        try:
            _fill(port, key, listed, others)
            yield {PORT: str(port)}, process
        finally:
            process.terminate()
            process.wait(30)


def _fill(port: int, key: str, listed: Iterable[str], others: Iterable[str]) -> None:
    with _connected(port) as connection:
        file = connection.makefile("rb")

        def send(*words: str | bytes) -> None:
            encoded = [word.encode() if isinstance(word, str) else word for word in words]
            connection.sendall(b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(one), one) for one in encoded]))
            if not file.readline().startswith(b":"):
                raise RuntimeError("redis-server did not take what it was told")

        send("SADD", "keys", key)
        rest = iter(listed)
        while some := list(islice(rest, PORTION)):
            send("SADD", "listed", *some)
            send("HSET", "details", *[word for text in some for word in (text, DETAILS)])
        rest = iter(others)
        while some := list(islice(rest, PORTION)):
            send("SADD", "listed", *some)


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
