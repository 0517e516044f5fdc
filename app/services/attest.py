"""Attesting: signed receipts of what clients were told, kept with the view heads that they name (protocol §3.10).

A receipt is in the database before it is in the client's hands. What was asked is not in it, nor anywhere here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.answer import Moment
from app.domain.canonical import b64u_encode
from app.domain.errors import NotFound, TooLarge
from app.domain.screening_receipt import MOST_HITS, SALT_BYTES, ScreeningReceipt, Told, hits_of, question
from app.domain.sources import is_degraded
from app.seal.keyrings import NodeKey
from app.seal.screened import sign_screening
from app.storage.database import Database, Transaction
from app.storage.receipts import HeadNote, KeptReceipt


@dataclass(frozen=True, slots=True)
class Attested:
    """A receipt and the salts that open it, one a row."""

    rid: str
    token: str
    salts: tuple[str, ...]


class Attestation:
    """Receipts of one node."""

    def __init__(self, database: Database, *, node_id: str, key: NodeKey, clock: Callable[[], int]) -> None:
        self._database = database
        self._node_id = node_id
        self._key = key
        self._clock = clock

    async def attest(self, owner: str, rows: Sequence[Told], moment: Moment, head: HeadNote) -> Attested:
        """Sign and keep what was told to `owner` at a moment for which `head` stands; TooLarge if it told of too many statements."""
        hits = hits_of(rows)
        if len(hits) > MOST_HITS:
            raise TooLarge(f"the answer tells of {len(hits)} statements, a receipt holds {MOST_HITS}: ask fewer items at once")
        salts = [secrets.token_bytes(SALT_BYTES) for _ in rows]
        now_ms = self._clock()
        receipt = ScreeningReceipt(
            issuer=self._node_id,
            subject=owner,
            issued_at=now_ms // 1000,
            rid=b64u_encode(secrets.token_bytes(16)),
            as_of=moment.now_s,
            view=head.digest,
            degraded=is_degraded(moment.sources, moment.now_s),
            questions=tuple(question(salt, row.text) for salt, row in zip(salts, rows, strict=True)),
            matches=tuple(str(row.match) for row in rows),
            hits=hits,
        )
        token = sign_screening(receipt, self._key.current)

        async def keep(tx: Transaction) -> None:
            await tx.receipts.put(KeptReceipt(receipt.rid, owner, now_ms, token, head))

        await self._database.at_once(keep)
        return Attested(receipt.rid, token, tuple(map(b64u_encode, salts)))

    async def kept(self, rid: str) -> KeptReceipt:
        """A receipt by id, whosever it is; NotFound without one."""
        found = await self._database.quick.receipts.get(rid)
        if found is None:
            raise NotFound("no such receipt for this caller")
        return found
