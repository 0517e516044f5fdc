"""Checking offline what a node told: screening receipts, bucket answers, and the two against each other (protocol §3.10).

A receipt alone shows who said what when. With its salts it shows of which ids. With the head that it names, and a bucket under that
head, it shows that the node told the truth, or is itself the proof of a fraud: *not listed* was said while the view, which stands for
the same logs at the same moment, lists the id. Nothing here asks the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from ..domain.answer import Match
from ..domain.errors import InvalidProof
from ..domain.identifiers import id_key
from ..domain.screening_receipt import ScreeningReceipt
from ..domain.view import BucketEntry, ViewHead, verify_answer
from ..domain.view_wire import BucketWords, read_bucket
from ..seal.jws import PublicKey
from ..seal.notes import read_view_head, read_vkeys
from ..seal.roots import RootDocument
from ..seal.screened import open_screening

__all__ = ["Asked", "Bucket", "check_head", "contradictions", "open_bucket", "open_receipt", "positions"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the client knows of one question of his receipt: the salt, and the text that was hashed with it."""

    salt: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that was proved under an opened head; `digest`: hex SHA-256 of the head note."""

    tier: str
    number: int
    head: ViewHead
    digest: str
    _words: BucketWords

    def find(self, text: str) -> BucketEntry | None:
        """The entry of an id, None for *not listed*; InvalidProof if the id belongs into another bucket."""
        return verify_answer(id_key(text), self._words.answer, root=self.head.root)


def open_receipt(token: str, root: RootDocument) -> ScreeningReceipt:
    """A receipt signed by a node key of the root document."""
    keys: dict[str, PublicKey] = {key.kid: key.public_key for key in root.node_keys}
    return open_screening(token, keys.get)


def check_head(receipt: ScreeningReceipt, note: str, root: RootDocument) -> ViewHead:
    """The head that a receipt names, under a view key of the root document; InvalidProof if it names another."""
    head = read_view_head(note, read_vkeys(root.view_vkeys))
    if sha256(note.encode("utf-8")).hexdigest() != receipt.view:
        raise InvalidProof("the receipt names another view head than this one")
    if head.as_of > receipt.as_of:
        raise InvalidProof("the receipt names a view head of a later moment than its own")
    return head


def positions(receipt: ScreeningReceipt, asked: Sequence[Asked]) -> list[int]:
    """Where each question stands in the receipt; InvalidProof names the first that does not."""
    found: list[int] = []
    for place, one in enumerate(asked):
        position = receipt.find(one.salt, one.text)
        if position is None:
            raise InvalidProof(f"question {place} is not one of those in the receipt: its text or its salt was changed")
        found.append(position)
    return found


def open_bucket(body: bytes, root: RootDocument) -> Bucket:
    """A bucket answer, its head opened under a view key of the root document and its path checked; else InvalidProof or Malformed."""
    words = read_bucket(body)
    head = read_view_head(words.head, read_vkeys(root.view_vkeys))
    if not head.name.endswith(f"/view/{words.tier}"):
        raise InvalidProof(f"the answer calls itself {words.tier}, its head is of {head.name}")
    number = words.answer.number
    verify_answer(number.to_bytes(2, "big") + bytes(30), words.answer, root=head.root)
    return Bucket(words.tier, number, head, sha256(words.head.encode("utf-8")).hexdigest(), words)


def contradictions(receipt: ScreeningReceipt, asked: Sequence[Asked], buckets: Sequence[Bucket]) -> list[Asked]:
    """The questions that the receipt answers *not listed*, and the view that it names lists: each is a fraud proof.

    Only buckets under the very head of the receipt count.
    """
    frauds: list[Asked] = []
    by_number = {bucket.number: bucket for bucket in buckets if bucket.digest == receipt.view}
    for one, position in zip(asked, positions(receipt, asked), strict=True):
        if receipt.matches[position] != Match.NOT_LISTED:
            continue
        bucket = by_number.get(int.from_bytes(id_key(one.text)[:2], "big"))
        if bucket is not None and bucket.find(one.text) is not None:
            frauds.append(one)
    return frauds
