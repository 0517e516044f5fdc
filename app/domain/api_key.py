"""The text of an API key: `cordon_<live|test>_<id>_<64 hex>_<crc32 hex>` (schemas §3, trust-and-ops S-02).

The checksum lets scanners and clients tell a mistyped or cut key from a wrong one; it protects nothing. The secret has 256 bits, so
its SHA-256 is kept and nothing slower is needed.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass

_KEY = re.compile(r"cordon_(live|test)_([a-z0-9]{8,32})_([0-9a-f]{64})_([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key taken apart; `secret` is 64 hex digits."""

    environment: str
    id: str
    secret: str

    @property
    def secret_sha256(self) -> bytes:
        """What the node keeps of the secret."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()

    def text(self) -> str:
        """The key as its owner sends it."""
        body = f"cordon_{self.environment}_{self.id}_{self.secret}"
        return f"{body}_{zlib.crc32(body.encode('ascii')):08x}"


def read_api_key(text: str) -> ApiKey | None:
    """The key, or None for any text that is not one: the caller answers the same for a bad form and a wrong secret."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    key = ApiKey(found[1], found[2], found[3])
    return key if key.text() == text else None
