r"""Signed notes with Ed25519: checkpoints, cosignatures, view heads, receipts and fork evidence, made and checked.

A 0x01 line signs the text of the note; a 0x04 line signs `cosignature/v1\ntime <t>\n` before it and carries `u64 t ‖ signature`.
Lines of unknown keys are passed over; every line of a known key must verify, and each key counts once. A checkpoint counts only
when a 0x01 key named like its origin signed it. Freshness comes from 0x04 lines alone: a checkpoint has no time of its own.
Protocol §1.2, §3.6, §3.7. What cannot be read is Malformed, what does not verify InvalidProof.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..domain.checkpoint import Checkpoint, TlogProof, parse_checkpoint, parse_proof
from ..domain.errors import InvalidProof, Malformed
from ..domain.fork import check_contradiction, parse_evidence
from ..domain.merkle import verify_inclusion
from ..domain.note import KeyType, Note, NoteSignature, VerifierKey, check_name, check_text, parse_note, parse_vkey
from ..domain.view import ViewHead, parse_head

STALE_AFTER_S = 300
MAX_AHEAD_S = 60
MAX_TIME = 2**63 - 1
_TIME_BYTES = 8


# --- keys ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A private note key under its name. One pair of the curve as 0x01 and as 0x04 is two keys with two ids."""

    public: VerifierKey
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, *, key_type: KeyType = KeyType.ED25519) -> NoteKey:
        """From the 32 secret bytes of RFC 8032; Malformed if the name cannot name a key or the seed has another length."""
        check_name(name)
        if len(seed) != 32:
            raise Malformed(f"the seed of a note key has 32 bytes, not {len(seed)}")
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(VerifierKey(name, key_type, private.public_key().public_bytes_raw()), private)

    @property
    def name(self) -> str:
        return self.public.name

    @property
    def vkey(self) -> str:
        """The text by which others know this key."""
        return self.public.text()

    def sign(self, text: str) -> str:
        """The 0x01 signature line for the text of a note, with its line end."""
        return self._line(KeyType.ED25519, self._private.sign(_signable(text)))

    def cosign(self, text: str, *, time: int) -> str:
        """The 0x04 line: this key saw the checkpoint `text` at `time` (seconds since 1970)."""
        signature = self._private.sign(_cosigned(_signable(text), time))
        return self._line(KeyType.COSIGNATURE, time.to_bytes(_TIME_BYTES, "big") + signature)

    def _line(self, key_type: KeyType, body: bytes) -> str:
        if self.public.type != key_type:
            raise ValueError(f"{self.name} is a key of type {self.public.type:#04x}, not {key_type:#04x}")
        return NoteSignature(self.name, self.public.key_id, body).line()


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public note key, ready to verify: read it once and keep it."""

    key: VerifierKey
    _public: Ed25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_vkey(cls, text: str) -> Verifier:
        """From the text of a verifier key; Malformed if it is none of type 0x01 or 0x04."""
        key = parse_vkey(text)
        return cls(key, Ed25519PublicKey.from_public_bytes(key.public))

    def verify(self, text: bytes, body: bytes) -> int | None:
        """The time of a cosignature (None of a plain signature) whose line says `body`; InvalidProof if it is not by this key."""
        if self.key.type == KeyType.ED25519:
            self._check(text, body)
            return None
        time = int.from_bytes(body[:_TIME_BYTES], "big")
        if time > MAX_TIME:
            raise InvalidProof(f"the cosignature of {self.key.name} names a time that cannot be")
        self._check(_cosigned(text, time), body[_TIME_BYTES:])
        return time

    def _check(self, message: bytes, signature: bytes) -> None:
        try:
            self._public.verify(signature, message)
        except InvalidSignature as error:
            raise InvalidProof(f"the signature of {self.key.name} is not of this note") from error


def read_vkeys(texts: Iterable[str]) -> tuple[Verifier, ...]:
    """Verifiers from texts of verifier keys; Malformed if one of them is none."""
    return tuple(Verifier.from_vkey(text) for text in texts)


def _signable(text: str) -> bytes:
    check_text(text)
    return text.encode()


def _cosigned(text: bytes, time: int) -> bytes:
    if not 0 <= time <= MAX_TIME:
        raise ValueError(f"a cosignature cannot name the time {time}")
    return b"cosignature/v1\ntime %d\n" % time + text


# --- signing and opening -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    """A key whose lines in a note all verify; `time` is the newest that a 0x04 key named, None for a 0x01 key."""

    key: VerifierKey
    time: int | None


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """The text of a note, and who signed it, in the order of the lines, each key once."""

    text: str
    verified: tuple[Verified, ...]


def sign_note(text: str, *signers: NoteKey) -> str:
    """The complete note: the text, an empty line, one 0x01 line a signer."""
    return add_lines(text + "\n", *(signer.sign(text) for signer in signers))


def add_lines(note: str, *lines: str) -> str:
    """The note with further signature lines at its end (cosignatures that came in later)."""
    return note + "".join(lines)


def cosign(checkpoint_text: str, key: NoteKey, *, time: int) -> str:
    """The 0x04 line of a witness or heartbeat key for the text of a checkpoint; Malformed if it is no checkpoint."""
    parse_checkpoint(checkpoint_text)
    return key.cosign(checkpoint_text, time=time)


def open_note(note: str | bytes, verifiers: Iterable[Verifier]) -> OpenedNote:
    """The text that at least one known key signed.

    Malformed if it is no note; InvalidProof if no key of `verifiers` signed it, or a line of one of them does not verify.
    """
    parsed = parse_note(note)
    verified = _verify_lines(parsed, verifiers)
    if not verified:
        raise InvalidProof("no known key has signed this note: check which keys are trusted")
    return OpenedNote(parsed.text, verified)


def _verify_lines(note: Note, verifiers: Iterable[Verifier]) -> tuple[Verified, ...]:
    known = {(one.key.name, one.key.key_id): one for one in verifiers}
    text = note.text.encode()
    times: dict[VerifierKey, int | None] = {}
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        time = verifier.verify(text, line.body)
        before = times.get(verifier.key)
        times[verifier.key] = time if before is None or time is None else max(before, time)
    return tuple(Verified(key, time) for key, time in times.items())


# --- checkpoints and freshness -------------------------------------------------------------------------------------


def read_checkpoint(note: str | bytes, origin: str, *, verifiers: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint that the log of `origin` signed with one of its 0x01 keys.

    Malformed if the note or its text cannot be read; InvalidProof if no such key signed it, or it is of another log.
    """
    opened = open_note(note, verifiers)
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != origin:
        raise InvalidProof(f"this is a checkpoint of {checkpoint.origin}, not of {origin}")
    if not any(one.key.type == KeyType.ED25519 and one.key.name == origin for one in opened.verified):
        raise InvalidProof(f"no log key of {origin} has signed this checkpoint")
    return checkpoint


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A known witness or heartbeat key saw the checkpoint at `time` (seconds)."""

    name: str
    time: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a checkpoint is known to be: `age_s` of the newest cosignature that counts, None without one."""

    cosignatures: tuple[Cosignature, ...]
    age_s: int | None

    @property
    def stale(self) -> bool:
        return self.age_s is None or self.age_s > STALE_AFTER_S


def read_freshness(note: str | bytes, cosigners: Iterable[Verifier], *, now: int) -> Freshness:
    """Which 0x04 keys of `cosigners` cosigned, sorted by name, and the age at the reader's clock `now` (seconds).

    A time more than 60 s ahead of `now` verifies, but does not count: heartbeats must not be signed in advance.
    Malformed if it is no note; InvalidProof if a known line does not verify.
    """
    found = _cosignatures(parse_note(note), cosigners)
    ages = [max(0, now - one.time) for one in found if one.time <= now + MAX_AHEAD_S]
    return Freshness(found, min(ages, default=None))


def _cosignatures(note: Note, cosigners: Iterable[Verifier]) -> tuple[Cosignature, ...]:
    verified = _verify_lines(note, [one for one in cosigners if one.key.type == KeyType.COSIGNATURE])
    found = [Cosignature(one.key.name, one.time) for one in verified if one.time is not None]
    return tuple(sorted(found, key=lambda one: (one.name, one.time)))


def read_view_head(note: str | bytes, verifiers: Iterable[Verifier]) -> ViewHead:
    """The view head that a 0x01 key of the same name signed; Malformed or InvalidProof otherwise."""
    opened = open_note(note, verifiers)
    head = parse_head(opened.text)
    if not any(one.key.type == KeyType.ED25519 and one.key.name == head.name for one in opened.verified):
        raise InvalidProof(f"the head of the view {head.name} is not signed by its own key")
    return head


# --- receipts and fork evidence ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a verified tlog-proof shows: the entry stands at `index` of the log as of `checkpoint`. `extra` is not trusted."""

    index: int
    checkpoint: Checkpoint
    extra: bytes | None
    cosignatures: tuple[Cosignature, ...]

    @property
    def size(self) -> int:
        return self.checkpoint.size

    @property
    def cosigners(self) -> tuple[str, ...]:
        """The names of the known witnesses that cosigned, sorted."""
        return tuple(dict.fromkeys(one.name for one in self.cosignatures))


def make_receipt(index: int, path: Sequence[bytes], *, checkpoint_note: str, extra: bytes | None = None) -> str:
    """The `c2sp.org/tlog-proof@v1` text for an entry, its inclusion path, and the signed checkpoint it leads to."""
    return TlogProof(index, tuple(path), checkpoint_note, extra).text()


def verify_receipt(
    proof_text: str,
    leaf: bytes,
    *,
    origin: str,
    log_keys: Collection[Verifier],
    witness_keys: Iterable[Verifier] = (),
) -> Receipt:
    """Check a receipt offline for the leaf hash `leaf` (of an entry: `merkle.leaf_hash(entry)`).

    Malformed if the receipt cannot be read; InvalidProof if the log did not sign, a known witness's line is wrong, or the path fails.
    """
    proof = parse_proof(proof_text)
    checkpoint = read_checkpoint(proof.checkpoint, origin, verifiers=log_keys)
    cosignatures = _cosignatures(parse_note(proof.checkpoint), witness_keys)
    verify_inclusion(leaf, proof.path, index=proof.index, size=checkpoint.size, root=checkpoint.root)
    return Receipt(proof.index, checkpoint, proof.extra, cosignatures)


def verify_fork(evidence_text: str, origin: str, *, log_keys: Collection[Verifier]) -> tuple[Checkpoint, Checkpoint]:
    """The two checkpoints (A, B) by which the log of `origin` contradicted itself; Malformed or InvalidProof if it did not."""
    evidence = parse_evidence(evidence_text)
    a = read_checkpoint(evidence.note_a, origin, verifiers=log_keys)
    b = read_checkpoint(evidence.note_b, origin, verifiers=log_keys)
    check_contradiction(a, b, evidence.path)
    return a, b
