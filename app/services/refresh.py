"""A new root document of our own, taken into force while the node runs: every worker looks into the data directory (protocol §3.2.1, §3.2.6).

`cordon root publish` has put it there, whole, after it has checked the chain; it is checked again here. From then on its registrar keys
are heard, its log keys sign every checkpoint, its node key speaks to peers, and peers that ask are given it. What would need another
log, address or witness than those that this process was built for waits for the next start, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from app.seal.jws import SigningKey
from app.seal.keyring import Keyring
from app.seal.keyrings import NodeKey
from app.seal.notes import NoteKey
from app.seal.roots import RootDocument, read_root_chain
from app.services.admit import OwnLog

log = logging.getLogger("cordon.root")


ReadAll = Callable[[], Sequence[bytes]]
"""The documents as they lie in the data directory, version 1 first."""
KeysOf = Callable[[RootDocument], tuple[Sequence[NoteKey], SigningKey]]
"""The log's keys and the node's key that a document names and this directory has; BadRequest if it lacks them."""


class OwnDocuments:
    """The root documents of this jurisdiction; `look` for a new one now and then."""

    def __init__(
        self, keyring: Keyring, own_log: OwnLog, key: NodeKey, *, read_all: ReadAll, keys_of: KeysOf, clock: Callable[[], int]
    ) -> None:
        self._read_all = read_all
        self._keys_of = keys_of
        self._keyring = keyring
        self._own_log = own_log
        self._key = key
        self._clock = clock
        self._raw = read_all()
        self._waiting = 0

    def find(self, version: int) -> bytes | None:
        """The document of a version that is in force or was, as signed."""
        return self._raw[version - 1] if 1 <= version <= len(self._raw) else None

    async def look(self) -> None:
        """Take what has come since; InvalidProof and the like for a chain that does not hold, then nothing changes."""
        raw = self._read_all()
        if len(raw) <= len(self._raw):
            return
        before = self._keyring.newest_document
        chain = read_root_chain(self._keyring.documents[0].sha256, raw, now=self._clock() // 1000)
        newest = chain[-1]
        if before is None or needs_restart(before, newest):
            if self._waiting != newest.version:
                log.warning(
                    "root document %d is in force from the next start on: it changes what this process was built for", newest.version
                )
            self._waiting = newest.version
            return
        keys, key = self._keys_of(newest)
        for document in chain[len(self._raw) :]:
            self._keyring.add_root(document)
        self._own_log.use_keys(keys)
        self._key.current = key
        self._raw = raw
        log.warning("root document %d (SHA-256 %s) is in force", newest.version, newest.sha256)


def needs_restart(before: RootDocument, after: RootDocument) -> bool:
    """Whether a running node cannot follow: another log, an end, another address, other keys of views or of the witness."""
    return (
        [(one.origin, one.url, one.final) for one in before.logs] != [(one.origin, one.url, one.final) for one in after.logs]
        or before.node_url != after.node_url
        or before.view_vkeys != after.view_vkeys
        or before.witness != after.witness
    )
