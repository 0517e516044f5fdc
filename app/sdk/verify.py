"""Checking a receipt offline: receipt + statement + root document, and nothing from the network.

    root document   pinned by the reader; names the log, its keys, the registrar's keys
    receipt         tlog-proof: the log signed a tree in which this entry stands at this index
    statement       its bytes make the entry, `<accepted_ms> SP <JWS>`; its disclosures match the digests that were signed

The log's inclusion shows that the home node took the statement, and so had checked the agency's signature; who has the agency's key
beside (a member record) can check that signature too. Protocol §3.3, §3.6, schemas §4.1. Whatever does not fit is InvalidProof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.canonical import JsonValue, b64u_decode, read_decimal, read_json
from ..domain.checkpoint import parse_proof
from ..domain.errors import BadJson, InvalidProof, Malformed, NotFound, Refused, UnknownKid
from ..domain.merkle import leaf_hash
from ..domain.statement import TYP, Disclosure, Stub, read_stub, sid_of
from ..seal.disclosure import read_disclosures, split_wire
from ..seal.jws import PublicKey, open_token, public_key, read_kid
from ..seal.notes import Receipt, read_vkeys, verify_receipt
from ..seal.roots import RootDocument, read_document, read_root_chain

FindKey = Callable[[str], PublicKey | None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a receipt proves. `signature` says how the issuer's signature was judged: `verified`, or `by the log` when its key is not at hand."""

    sid: str
    stub: Stub
    disclosures: tuple[Disclosure, ...]
    index: int
    size: int
    accepted_ms: int
    cosigners: tuple[str, ...]
    signature: str


def verify(receipt: str, wire: str, root: RootDocument, *, find_key: FindKey | None = None) -> Verified:
    """Check a receipt against its statement (full or redacted) under a root document.

    `find_key` gives the keys of members where the reader has them. Raises InvalidProof, Malformed, or what is wrong with the statement.
    """
    jws, texts = split_wire(wire)
    sid = sid_of(jws)
    stub, signature = _open(jws, sid, root, find_key)
    disclosures = read_disclosures(stub, texts, home=False)
    log = root.find_log(stub.origin)
    if log is None:
        raise InvalidProof(
            f"the root document of {root.jurisdiction} names no log {stub.origin}: take the one of the jurisdiction that logged this"
        )
    accepted_ms = _accepted_ms(receipt, sid)
    leaf = leaf_hash(f"{accepted_ms} {jws}".encode("ascii"))
    proven: Receipt = verify_receipt(receipt, leaf, origin=stub.origin, log_keys=read_vkeys(log.vkeys))
    return Verified(sid, stub, disclosures, proven.index, proven.size, accepted_ms, proven.cosigners, signature)


def _open(jws: str, sid: str, root: RootDocument, find_key: FindKey | None) -> tuple[Stub, str]:
    """The stub, and how its signature was judged."""
    registrar = {key.kid: key.public_key for key in root.registrar_keys}

    def find(kid: str) -> PublicKey | None:
        return registrar.get(kid) or (find_key(kid) if find_key is not None else None)

    try:
        token = open_token(jws, typ=TYP, find_key=find)
    except UnknownKid:
        kid = read_kid(jws, typ=TYP)
        claims = read_json(b64u_decode(jws.split(".")[1]))
        if not isinstance(claims, dict):
            raise Malformed("the payload of a statement is a JSON object") from None
        return read_stub(claims, kid=kid, sid=sid, lenient=True), "by the log"
    return read_stub(token.claims, kid=token.kid, sid=sid, lenient=True), "verified"


def _accepted_ms(receipt: str, sid: str) -> int:
    """The time of acceptance from the `extra` line `<accepted_ms> <sid>`; the leaf then proves it."""
    extra = parse_proof(receipt).extra
    words = (extra or b"").split(b" ")
    if len(words) != 2:
        raise InvalidProof("the receipt does not name a statement (its extra line is missing): ask the node for the proof again")
    try:
        accepted_ms, named = read_decimal(words[0].decode("ascii")), words[1].decode("ascii")
    except (Malformed, UnicodeDecodeError) as error:
        raise InvalidProof("the receipt's extra line is not `<accepted_ms> <sid>`: it was changed") from error
    if named != sid:
        raise InvalidProof(f"the receipt is for statement {named}, the statement beside it is {sid}: put the right two together")
    return accepted_ms


# --- root documents ----------------------------------------------------------------------------------------------------


def read_roots(path: Path, *, now: int, pin: str | None = None) -> RootDocument:
    """The newest root document of a file, or of a folder with `1.json`, `2.json`, …; verified as a chain from version 1.

    `pin` is the hex SHA-256 of version 1 as agreed out of band; without it the file itself is what is trusted.
    """
    documents = [file.read_bytes() for file in _files(path)]
    first = read_document(documents[0]).document
    if first.version == 1:
        return read_root_chain(pin or first.sha256, documents, now=now)[-1]
    if pin is not None or len(documents) > 1:
        raise InvalidProof(f"{path} does not begin with version 1, so its chain cannot be checked: keep every version from 1 on")
    return first


def _files(path: Path) -> Sequence[Path]:
    if path.is_dir():
        numbered = sorted((file for file in path.glob("*.json") if file.stem.isdigit()), key=lambda file: int(file.stem))
        if numbered:
            return numbered
    elif path.is_file():
        return [path]
    raise NotFound(f"no root document at {path}: give the one of the jurisdiction with --root FILE")


# --- keys of members ---------------------------------------------------------------------------------------------------


def keys_of_record(record: JsonValue) -> dict[str, PublicKey]:
    """The keys of a member record or of its keys (`GET /v1/members/{id}/keys`), or of a public JWK with its kid; others are left out."""
    found: dict[str, PublicKey] = {}
    entries = record.get("keys", record.get("items", [record])) if isinstance(record, dict) else record
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(kid := entry.get("kid"), str):
            continue
        jwk = entry.get("jwk", entry)
        members = {name: value for name, value in jwk.items() if name in ("kty", "crv", "x", "y")} if isinstance(jwk, dict) else {}
        try:
            found[kid] = public_key(members)
        except Refused:
            continue
    return found


def read_key_file(path: Path) -> dict[str, PublicKey]:
    """Public keys from a file: a member record as the node gives it, or a JWK; Malformed if there is none in it."""
    try:
        found = keys_of_record(read_json(path.read_bytes(), max_depth=16))
    except BadJson as error:
        raise Malformed(f"{path} is not JSON: {error.detail}") from error
    if not found:
        raise Malformed(f"{path} holds no public key with a kid: save the answer of /v1/members/<id>/keys there")
    return found
