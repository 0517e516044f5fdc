"""`Idempotency-Key`: a POST sent again gets the answer that was given, not a second effect (schemas §3).

What is kept for a day would be worth stealing (addresses asked for, a new API key), so only the sender can open it: the row's name is a
hash of his key, and the answer is sealed under another hash of that key and of his credentials, which the database does not hold.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import BadRequest, IdempotencyMismatch, InProgress
from app.storage.database import Database, Transaction
from app.storage.idempotency import Begun, Kept

KEPT_MS = 24 * 3_600_000
_KEY = re.compile(r"[!-~]{1,64}")
_KEPT_HEADERS = frozenset({"content-type", "cache-control", "location", "etag"})


async def once(
    database: Database, request: Request, body: bytes, *, caller: str, now_ms: int, work: Callable[[], Awaitable[Response]]
) -> Response:
    """The answer of `work`, or the one given before to the same request under the same key. Refusals are not kept."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return await work()
    if _KEY.fullmatch(text) is None:
        raise BadRequest("an Idempotency-Key has 1 to 64 printable ASCII characters without blanks: a UUID will do")
    secret = sha256(b"\0".join((b"cordon-idempotency", text.encode(), request.headers.get("authorization", "").encode("utf-8")))).digest()
    name = sha256(b"name" + secret).hexdigest()
    fingerprint = hmac.digest(secret, _request_bytes(request, body), sha256)

    async def begin(tx: Transaction) -> Kept:
        await tx.idempotency.forget(now_ms - KEPT_MS)
        return await tx.idempotency.begin(name, caller, fingerprint, now_ms)

    kept = await database.run(begin)
    if kept.verdict is Begun.MISMATCH:
        raise IdempotencyMismatch("this Idempotency-Key stood on another request in the last 24 hours: draw a new one")
    if kept.verdict is Begun.RUNNING:
        raise InProgress("a request with this Idempotency-Key is still at work: send the same again in a second")
    if kept.verdict is Begun.REPLAY:
        return Response(_open(secret, kept.body), status_code=kept.status, headers={**dict(kept.headers), "Idempotency-Replayed": "true"})
    return await _first(database, name, caller, secret, work)


async def _first(database: Database, name: str, caller: str, secret: bytes, work: Callable[[], Awaitable[Response]]) -> Response:
    try:
        response = await work()
    except BaseException:

        async def abandon(tx: Transaction) -> None:
            await tx.idempotency.abandon(name, caller)

        await database.run(abandon)
        raise
    headers = tuple((key, value) for key, value in response.headers.items() if key in _KEPT_HEADERS)
    sealed = _seal(secret, bytes(response.body))

    async def finish(tx: Transaction) -> None:
        await tx.idempotency.finish(name, caller, status=response.status_code, headers=headers, body=sealed)

    await database.run(finish)
    return response


def _request_bytes(request: Request, body: bytes) -> bytes:
    named = [request.headers.get(name, "") for name in ("content-type", "accept", "cordon-purpose", "cordon-case")]
    return orjson.dumps([request.method, request.scope["path"], request.scope["query_string"].decode("latin-1"), *named]) + b"\0" + body


def _seal(secret: bytes, body: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + ChaCha20Poly1305(secret).encrypt(nonce, body, None)


def _open(secret: bytes, sealed: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(secret).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag as error:  # the name is a hash of the same secret: only a changed row leads here
        raise InProgress("the answer kept for this Idempotency-Key cannot be opened: draw a new key") from error
