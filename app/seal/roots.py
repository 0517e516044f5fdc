"""Root documents: who may speak for a jurisdiction, which logs and node keys are its own, and how that changes.

`typ: cordon-root+json`, RFC 7515 general JSON, each signature checked as a compact token behind the fence of `seal/jws`
(protocol §3.2.1-2, decisions 36-37). Rules of a chain, after TUF: version exactly one more; a threshold of the old **and** of
the new root keys; one signature per kid; a signature that does not verify, or of a stranger, just does not count; a kid never
gets another key; `jur` never changes; expiry only of the last. Version 1 is pinned by the SHA-256 of its decoded payload, and
no version that a reader once held may change or vanish. Root keys are offline: drafting, signing and rotating are separate steps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ..domain.canonical import JsonValue, b64u_decode, b64u_encode, read_json, write_json
from ..domain.errors import BadSignature, Fault, InvalidProof, Malformed, Refused, Schema, TooLarge, UnknownKid
from .jws import PublicKey, SigningKey, open_token, read_kid, sign_token
from .root_claims import RootDocument, RootKey, RootLog, check_owners, read_root_claims

__all__ = [
    "TYP",
    "RootDocument",
    "RootKey",
    "RootLog",
    "SignedRoot",
    "count_signatures",
    "draft",
    "read_document",
    "read_root_chain",
    "rotate",
    "sign_root",
]

TYP = "cordon-root+json"
MAX_DOCUMENT_BYTES = 256 * 1024
_MAX_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root document with the signatures that came with it, none of them judged yet: (kid, compact token) each."""

    document: RootDocument
    signatures: tuple[tuple[str, str], ...]

    @property
    def kids(self) -> tuple[str, ...]:
        """Who signed, in the order of the signatures; whether it verifies is another question."""
        return tuple(kid for kid, _ in self.signatures)


# --- make -------------------------------------------------------------------------------------------------------------


def draft(claims: Mapping[str, JsonValue]) -> bytes:
    """A document of these claims that nobody has signed yet, as general JSON; Schema if no reader would take the claims."""
    payload = write_json(dict(claims))
    check_owners(read_root_claims(payload))
    return _write(b64u_encode(payload), [])


def rotate(previous: RootDocument, changes: Mapping[str, JsonValue]) -> bytes:
    """The unsigned draft of the next version: the claims of `previous` with `changes`, version one higher."""
    return draft({**previous.claims, **changes, "ver": previous.version + 1, "jur": previous.jurisdiction})


def sign_root(document: bytes, key: SigningKey) -> bytes:
    """The document with one signature more; the signature that the same kid gave before is replaced."""
    payload, signatures = _read_general(document)
    kept = [
        {"protected": protected, "signature": signature}
        for protected, signature in signatures
        if read_kid(f"{protected}.{payload}.{signature}", typ=TYP, max_bytes=MAX_DOCUMENT_BYTES) != key.kid
    ]
    protected, _, signature = sign_token(b64u_decode(payload), key, typ=TYP).split(".")
    return _write(payload, [*kept, {"protected": protected, "signature": signature}])


def _write(payload: str, signatures: list[dict[str, str]]) -> bytes:
    return write_json({"payload": payload, "signatures": signatures})


# --- read -------------------------------------------------------------------------------------------------------------


def read_document(data: bytes) -> SignedRoot:
    """One document by itself: its form and its claims, not yet whether anybody may sign it.

    Raises TooLarge, BadJson, Malformed (form, a kid that signed twice), BadHeader, Schema.
    """
    payload, signatures = _read_general(data)
    tokens = [f"{protected}.{payload}.{signature}" for protected, signature in signatures]
    signed = tuple((read_kid(token, typ=TYP, max_bytes=MAX_DOCUMENT_BYTES), token) for token in tokens)
    if len({kid for kid, _ in signed}) != len(signed):
        raise Malformed("two signatures of one kid: a document carries one for each")
    return SignedRoot(document=read_root_claims(b64u_decode(payload)), signatures=signed)


def read_root_chain(pin: str, documents: Sequence[bytes], *, now: int, persisted: Sequence[str] = ()) -> tuple[RootDocument, ...]:
    """All versions from 1 on, verified; the last one is in force at `now` (epoch seconds).

    `pin` is the hex SHA-256 of the decoded payload of version 1, got out of band; `persisted` are the digests of the versions
    this reader held before, in order. InvalidProof names the rule that was broken in `faults[0].code` and the document in
    `faults[0].pointer` (`/0` is version 1, empty for the chain as a whole); faults of form keep their own class.
    """
    if len(documents) < max(1, len(persisted)):
        raise _broken("", "rollback", f"{len(documents)} versions are offered, {max(1, len(persisted))} were known: ask another source")
    chain: list[RootDocument] = []
    for number, data in enumerate(documents):
        where = f"/{number}"
        expected = persisted[number] if number < len(persisted) else None
        try:
            _check_digest(data, pin if number == 0 else None, expected, where)
            signed = read_document(data)
        except InvalidProof:
            raise
        except Refused as error:
            detail = f"root document {number + 1}: {error.detail}"
            raise type(error)(detail, faults=(Fault(where, error.slug, detail),)) from error
        _check_successor(chain, signed, where)
        chain.append(signed.document)
    if now >= chain[-1].expires_at:
        raise _broken("", "expired", f"version {chain[-1].version} has expired: the jurisdiction must publish the next")
    return tuple(chain)


def _check_digest(data: bytes, pin: str | None, expected: str | None, where: str) -> None:
    payload, _ = _read_general(data)
    digest = sha256(b64u_decode(payload)).hexdigest()
    if pin is not None and digest != pin:
        raise _broken(where, "bad_pin", "version 1 is not the pinned one: compare the pin with the one agreed out of band")
    if expected is not None and digest != expected:
        raise _broken(where, "changed", "a version differs from the one that was held before: keep both and call the jurisdiction")


def _check_successor(chain: Sequence[RootDocument], signed: SignedRoot, where: str) -> None:
    document = signed.document
    previous = chain[-1] if chain else None
    if previous is not None and document.jurisdiction != previous.jurisdiction:
        raise _broken(where, "wrong_jurisdiction", "the jurisdiction of a chain never changes")
    if document.version != len(chain) + 1:
        raise _broken(where, "bad_version", f"version {document.version} stands where version {len(chain) + 1} belongs")
    check_owners(document)
    _check_kids(chain, document, where)
    for keyholder in (document,) if previous is None else (previous, document):
        if count_signatures(signed, keyholder) < keyholder.threshold:
            detail = f"fewer than {keyholder.threshold} root keys of version {keyholder.version} signed version {document.version}"
            raise _broken(where, "threshold", detail)


def count_signatures(signed: SignedRoot, keyholder: RootDocument) -> int:
    """How many root keys of `keyholder` signed the document: strangers and signatures that do not verify are passed over."""
    return _count(signed, keyholder.root_keys)


def _check_kids(chain: Sequence[RootDocument], document: RootDocument, where: str) -> None:
    """A kid never gets another key, and a key never another kid, over the whole history (protocol §3.1)."""
    kid_of = {key.public_key.thumbprint: key.kid for earlier in chain for key in earlier.keys}
    thumbprint_of = {kid: thumbprint for thumbprint, kid in kid_of.items()}
    for key in document.keys:
        thumbprint = key.public_key.thumbprint
        if thumbprint_of.get(key.kid, thumbprint) != thumbprint or kid_of.get(thumbprint, key.kid) != key.kid:
            detail = f"{key.kid} had another key, or its key another kid, in an earlier version: take a new kid and a new key"
            raise Schema(detail, faults=(Fault(where, "schema", detail),))


def _count(signed: SignedRoot, keys: Collection[RootKey]) -> int:
    known = {key.kid: key.public_key for key in keys}
    return sum(_verifies(token, known[kid]) for kid, token in signed.signatures if kid in known)


def _verifies(token: str, key: PublicKey) -> bool:
    try:
        open_token(token, typ=TYP, find_key=lambda _: key, max_bytes=MAX_DOCUMENT_BYTES)
    except (BadSignature, UnknownKid):
        return False
    return True


def _read_general(data: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The payload segment and the (protected, signature) pairs of general JSON; unprotected headers are Malformed."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"a root document of more than {MAX_DOCUMENT_BYTES} bytes")
    match read_json(data):
        case {"payload": str(payload), "signatures": [*signatures], **other} if payload and not other:
            pass
        case _:
            raise Malformed("a root document is {payload, signatures} of RFC 7515 general JSON")
    if len(signatures) > _MAX_SIGNATURES:
        raise TooLarge(f"more than {_MAX_SIGNATURES} signatures")
    return payload, [_read_signature(signature) for signature in signatures]


def _read_signature(value: JsonValue) -> tuple[str, str]:
    match value:
        case {"protected": str(protected), "signature": str(signature), **other} if protected and signature and not other:
            return protected, signature
    raise Malformed("each signature has exactly protected and signature, and no unprotected header")


def _broken(where: str, code: str, detail: str) -> InvalidProof:
    return InvalidProof(detail, faults=(Fault(where, code, detail),))
