"""A reader of tiled logs that knows nothing of this product: only what C2SP says of signed notes, checkpoints and tiles.

It imports nothing from `app`, and does everything the plain way: it keeps every entry, hashes the whole tree for each check, and compares
each tile that the log serves with the one it has made itself. For tests: what this reader can follow, any reader of the standard can.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], Awaitable[bytes | None]]
"""The body at a path below the log's prefix; None where there is none."""


class Dishonest(Exception):
    """The log is not what it signs, or not what the standard says."""


def require(good: bool, why: str) -> None:
    if not good:
        raise Dishonest(why)


def sha(*pieces: bytes) -> bytes:
    return hashlib.sha256(b"".join(pieces)).digest()


def tree_head(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1 as it is written, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01", tree_head(leaves[:split]), tree_head(leaves[split:]))


def path_of(level: str, index: int, width: int) -> str:
    """tlog-tiles: three digits a group, all but the last begin with x; `.p/<W>` for a partial tile."""
    digits = str(index)
    digits = "0" * (-len(digits) % 3) + digits
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < 256 else "")


def read_note(note: bytes, vkey: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint that the key of `vkey` has signed (signed-note, tlog-checkpoint)."""
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key, validate=True)
    require(public[0] == 1 and len(public) == 33, "the key is not of type Ed25519")
    require(sha(name.encode(), b"\n", public)[:4].hex() == key_id, "the key id is not that of the key")
    require(signatures.endswith(b"\n"), "the last line does not end")
    signed = 0
    for line in signatures[:-1].decode().split("\n"):
        dash, signer, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
        require(dash == "\u2014" and len(blob) > 4, "a malformed signature line")
        if signer == name and blob[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[4:], text)
            except InvalidSignature as error:
                raise Dishonest("the signature of the known key is wrong") from error
            signed += 1
    require(signed > 0, "the log has not signed its checkpoint")
    origin, size, root = text.decode().split("\n")[:3]
    require(origin == name, "the checkpoint is of another log")
    require(size == str(int(size)) and size.isascii(), "the size has another spelling")
    require(base64.b64encode(base64.b64decode(root)).decode() == root, "the root has another spelling")
    return origin, int(size), base64.b64decode(root)


class PlainReader:
    """Follows one log. `entries` are all that it has read, each proven to be in the signed tree."""

    def __init__(self, vkey: str, fetch: Fetch) -> None:
        self._vkey = vkey
        self._fetch = fetch
        self.entries: list[bytes] = []
        self._leaves: list[bytes] = []

    async def follow(self) -> int:
        """Read up to the newest checkpoint and check all of it; the size. Dishonest otherwise, also if the log went back."""
        _, size, root = read_note(await self._get("checkpoint"), self._vkey)
        require(size >= len(self.entries), "the log went back")
        for index in range(len(self.entries) // 256, (size + 255) // 256):
            await self._bundle(index, min(256, size - index * 256))
        require(tree_head(self._leaves) == root, "the entries do not make the signed tree")
        await self._tiles()
        return size

    async def _bundle(self, index: int, width: int) -> None:
        data, found = await self._get(path_of("entries", index, width)), []
        while data:
            length = int.from_bytes(data[:2], "big")
            require(len(data) >= 2 + length, "the bundle ends inside an entry")
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
        require(len(found) == width, "the bundle holds another number of entries")
        known = self.entries[index * 256 :]
        require(found[: len(known)] == known, "an entry that was read before has changed")
        self.entries += found[len(known) :]
        self._leaves += [sha(b"\x00", entry) for entry in found[len(known) :]]

    async def _tiles(self) -> None:
        """Every hash tile of every level is the one that the entries give."""
        level, row = 0, self._leaves
        while row:
            for index in range((len(row) + 255) // 256):
                hashes = row[index * 256 : index * 256 + 256]
                tile = await self._get(path_of(str(level), index, len(hashes)))
                require(tile == b"".join(hashes), f"tile {index} of level {level} does not hold the hashes of the entries")
            level, row = level + 1, [tree_head(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]

    async def _get(self, path: str) -> bytes:
        body = await self._fetch(path)
        require(body is not None, f"{path} is not there")
        return body or b""
