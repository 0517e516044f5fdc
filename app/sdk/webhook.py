"""Webhooks after Standard Webhooks: sign what is sent, verify what was received (trust-and-ops §4).

    webhook-id          the same over all attempts: whoever has seen it has acted on it
    webhook-timestamp   Unix seconds of this attempt
    webhook-signature   one or more, by blanks: v1,<base64 HMAC-SHA256>  v1a,<base64 Ed25519>  over  <id>.<timestamp>.<body>

A receiver needs one line:  `webhook_id = verify(headers, body, "whsec_…")`  (or `whpk_…`, which signs nothing if it is stolen).
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..domain.canonical import b64_decode, read_decimal
from ..domain.errors import InvalidProof, Malformed

SHARED: Final = "whsec_"
PUBLIC: Final = "whpk_"
TOLERANCE_S: Final = 300
MAX_SIGNATURES: Final = 16


@dataclass(frozen=True, slots=True)
class WebhookKey:
    """What one address is signed with: 24 to 64 bytes for the HMAC, the 32 secret bytes of an Ed25519 key (RFC 8032)."""

    hmac: bytes = field(repr=False)
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 24 <= len(self.hmac) <= 64 or len(self.seed) != 32:
            raise Malformed("a webhook secret has 24 to 64 bytes, the seed of its key pair 32")

    @property
    def secret(self) -> str:
        """The shared secret, as the receiver is given it once."""
        return SHARED + b64encode(self.hmac).decode("ascii")

    @property
    def public(self) -> str:
        """The public half of the key pair."""
        return PUBLIC + b64encode(Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()).decode("ascii")

    def sign(self, webhook_id: str, timestamp: int, body: bytes) -> tuple[str, str]:
        """Both signatures of one attempt."""
        said = _signed(webhook_id, timestamp, body)
        shared = hmac.digest(self.hmac, said, sha256)
        own = Ed25519PrivateKey.from_private_bytes(self.seed).sign(said)
        return f"v1,{b64encode(shared).decode('ascii')}", f"v1a,{b64encode(own).decode('ascii')}"


def headers_for(keys: Sequence[WebhookKey], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt; with several keys (a rotation) a receiver may know any of them."""
    signatures = [signature for key in keys for signature in key.sign(webhook_id, timestamp, body)]
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def verify(headers: Mapping[str, str], body: bytes, secret: str, *, now: float | None = None, tolerance_s: int = TOLERANCE_S) -> str:
    """The `webhook-id` of a request that the node made; InvalidProof for any other, Malformed for a secret that is none.

    `secret`: `whsec_…` or `whpk_…`; `body`: the bytes as received. Act once for each id: a delivery may come again.
    """
    check = _checker(secret)
    named = {name.lower(): value for name, value in headers.items()}
    webhook_id, stated, signatures = (named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    try:
        timestamp = read_decimal(stated)
    except Malformed as error:
        raise InvalidProof("the request carries no `webhook-timestamp` in Unix seconds") from error
    if abs((time.time() if now is None else now) - timestamp) > tolerance_s:
        raise InvalidProof(f"the request was signed more than {tolerance_s} s from now: an old one repeated, or a wrong clock")
    said = _signed(webhook_id, timestamp, body)
    if not webhook_id or not any(check(one, said) for one in signatures.split(" ")[:MAX_SIGNATURES]):
        raise InvalidProof("no signature of the request is by the key of this webhook")
    return webhook_id


class _Shared:
    """`v1`, by the shared secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, signature: str, said: bytes) -> bool:
        expected = "v1," + b64encode(hmac.digest(self._key, said, sha256)).decode("ascii")
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


class _Public:
    """`v1a`, by the public key."""

    def __init__(self, key: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(key)

    def __call__(self, signature: str, said: bytes) -> bool:
        version, _, text = signature.partition(",")
        try:
            self._key.verify(b64_decode(text) if version == "v1a" else b"", said)
        except (InvalidSignature, Malformed):
            return False
        return True


def _checker(secret: str) -> _Shared | _Public:
    kind, prefix = (_Public, PUBLIC) if secret.startswith(PUBLIC) else (_Shared, SHARED)
    if not secret.startswith(prefix):
        raise Malformed("a webhook secret begins with `whsec_`, a public key with `whpk_`")
    key = b64_decode(secret.removeprefix(prefix))
    if len(key) != 32 if kind is _Public else not 24 <= len(key) <= 64:
        raise Malformed("the key of a webhook has not the right length: copy all of it")
    return kind(key)


def _signed(webhook_id: str, timestamp: int, body: bytes) -> bytes:
    return f"{webhook_id}.{timestamp}.".encode() + body
