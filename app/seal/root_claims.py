"""The claims of one root document and the value they make (protocol §3.2.1, schemas §0).

Form only: who may sign it and what may follow it is `seal/roots`. Members of a newer version are read over; what is known must
be right. Kids and keys are unique over root, registrar and node keys, and spelt with the id they belong to: `<jur>.root#…`,
`<jur>.registrar#…`, `<node id>#…`. Texts of note keys (`vkeys`) are kept as they stand: `seal/notes` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from ..domain.canonical import MAX_SAFE_INT, JsonValue, b64_decode, read_json
from ..domain.claims import is_origin
from ..domain.errors import Fault, Malformed, Schema
from ..domain.registry import node_of_origin, owner_of_kid
from .jws import PublicKey, public_key


@dataclass(frozen=True, slots=True)
class RootKey:
    """A key of a root document under its kid."""

    kid: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class RootLog:
    """One log: `vkeys` are its 0x01 keys and 0x04 heartbeat keys; times in epoch seconds; `final` is (size, root) of its end."""

    origin: str
    vkeys: tuple[str, ...]
    url: str
    valid_from: int
    until: int | None = None
    final: tuple[int, bytes] | None = None
    predecessor: str | None = None


@dataclass(frozen=True, slots=True)
class RootDocument:
    """One version of a root document. `sha256` is the hex digest of `payload`: what is pinned, logged and kept."""

    payload: bytes = field(repr=False)
    sha256: str
    version: int
    jurisdiction: str
    expires_at: int
    root_keys: tuple[RootKey, ...]
    threshold: int
    registrar_keys: tuple[RootKey, ...]
    logs: tuple[RootLog, ...]
    node_url: str
    node_keys: tuple[RootKey, ...]
    view_vkeys: tuple[str, ...]
    witness: tuple[str, str] | None
    contact: str | None
    licence: str | None
    claims: Mapping[str, JsonValue] = field(repr=False, compare=False)

    @property
    def keys(self) -> tuple[RootKey, ...]:
        """Every JWS key of the document."""
        return self.root_keys + self.registrar_keys + self.node_keys

    @property
    def registrar(self) -> str:
        """The id of the registrar: `<jur>.registrar`."""
        return f"{self.jurisdiction}.registrar"

    def find_log(self, origin: str) -> RootLog | None:
        """The log of this origin, if it is one of ours."""
        return next((log for log in self.logs if log.origin == origin), None)


def read_root_claims(payload: bytes) -> RootDocument:
    """The document that a decoded payload makes; BadJson for lax JSON, Schema for anything that is not its form."""
    claims = read_json(payload)
    if not isinstance(claims, dict):
        raise _refused("", "the payload of a root document is a JSON object")
    if type(claims.get("v")) is not int or claims["v"] != 1:
        raise _refused("/v", "v is 1")
    jurisdiction = _text(claims, "jur", "")
    if len(jurisdiction) != 2 or not (jurisdiction.isascii() and jurisdiction.isalpha() and jurisdiction.islower()):
        raise _refused("/jur", "jur is two lower-case letters")
    logs = tuple(_read_log(entry, f"/logs/{number}") for number, entry in enumerate(_list(claims, "logs", "")))
    root, registrar, node, view = (_object(claims, name) for name in ("root", "registrar", "node", "view"))
    root_keys = _read_keys(root, "/root")
    document = RootDocument(
        payload=payload,
        sha256=sha256(payload).hexdigest(),
        version=_integer(claims, "ver", "", minimum=1),
        jurisdiction=jurisdiction,
        expires_at=_integer(claims, "exp", "", minimum=0),
        root_keys=root_keys,
        threshold=_integer(root, "threshold", "/root", minimum=1, maximum=max(1, len(root_keys))),
        registrar_keys=_read_keys(registrar, "/registrar"),
        logs=logs,
        node_url=_text(node, "url", "/node"),
        node_keys=_read_node_keys(node.get("jwks")),
        view_vkeys=_texts(view, "vkeys", "/view"),
        witness=_read_witness(claims),
        contact=_text(claims, "contact", "") if "contact" in claims else None,
        licence=_text(claims, "licence", "") if "licence" in claims else None,
        claims=claims,
    )
    _check_unique(document)
    return document


def _check_unique(document: RootDocument) -> None:
    kids = [key.kid for key in document.keys]
    if len(set(kids)) != len(kids):
        raise _refused("", "a kid stands twice: each key has its own")
    if len({key.public_key.thumbprint for key in document.keys}) != len(kids):
        raise _refused("", "one key stands under two kids: a threshold counts keys, so each is named once")
    if len({log.origin for log in document.logs}) != len(document.logs):
        raise _refused("/logs", "an origin stands twice")


def check_owners(document: RootDocument) -> None:
    """Every kid begins with the id it belongs to; else Schema. Asked after `jur`, so that a document of another jurisdiction says so."""
    hosts = {node_of_origin(log.origin) for log in document.logs}
    owners: tuple[tuple[str, tuple[RootKey, ...], Callable[[str], bool]], ...] = (
        ("/root/keys", document.root_keys, lambda owner: owner == f"{document.jurisdiction}.root"),
        ("/registrar/keys", document.registrar_keys, lambda owner: owner == document.registrar),
        ("/node/jwks/keys", document.node_keys, lambda owner: owner in hosts),
    )
    for pointer, keys, belongs in owners:
        if not all(belongs(key.kid.partition("#")[0]) for key in keys):
            raise _refused(pointer, "a kid begins with the id it belongs to: <jur>.root, <jur>.registrar, or the host of a log")


def _read_keys(holder: Mapping[str, JsonValue], pointer: str) -> tuple[RootKey, ...]:
    keys = tuple(_read_key(entry, f"{pointer}/keys/{number}") for number, entry in enumerate(_list(holder, "keys", pointer)))
    if not keys:
        raise _refused(f"{pointer}/keys", "at least one key is needed")
    return keys


def _read_key(value: JsonValue, pointer: str) -> RootKey:
    match value:
        case {"kid": str(kid), "jwk": dict(jwk)} if owner_of_kid(kid) is not None:
            return RootKey(kid=kid, public_key=public_key(jwk))
    raise _refused(pointer, "a key is {kid, jwk}, the kid spelt <id>#<label>")


def _read_node_keys(value: JsonValue) -> tuple[RootKey, ...]:
    """An RFC 7517 set: besides the members of a public key each has `kid`, and may have `alg` ES256 and `use` sig."""
    match value:
        case {"keys": [*entries]}:
            return tuple(_read_set_key(entry, f"/node/jwks/keys/{number}") for number, entry in enumerate(entries))
    raise _refused("/node/jwks", "jwks is a JWK set: {keys: […]}")


def _read_set_key(value: JsonValue, pointer: str) -> RootKey:
    kid = value.get("kid") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(kid, str) and owner_of_kid(kid) is not None:
        if value.get("alg", "ES256") != "ES256" or value.get("use", "sig") != "sig":
            raise _refused(pointer, "keys of a node sign with ES256")
        return RootKey(kid=kid, public_key=public_key({name: value[name] for name in value.keys() - {"kid", "alg", "use"}}))
    raise _refused(pointer, "each key of the set has a kid spelt <node id>#<label>")


def _read_log(value: JsonValue, pointer: str) -> RootLog:
    if not isinstance(value, dict):
        raise _refused(pointer, "a log is an object")
    origin = _text(value, "origin", pointer)
    predecessor = _text(value, "predecessor", pointer) if "predecessor" in value else None
    if not is_origin(origin) or not (predecessor is None or is_origin(predecessor)):
        raise _refused(f"{pointer}/origin", "an origin is <host>/log or <host>/log/<n>, without scheme")
    return RootLog(
        origin=origin,
        vkeys=_texts(value, "vkeys", pointer),
        url=_text(value, "url", pointer),
        valid_from=_integer(value, "from", pointer, minimum=0),
        until=_integer(value, "until", pointer, minimum=0) if "until" in value else None,
        final=_read_final(value["final"], f"{pointer}/final") if "final" in value else None,
        predecessor=predecessor,
    )


def _read_final(value: JsonValue, pointer: str) -> tuple[int, bytes]:
    match value:
        case {"size": int(size), "root": str(text)} if size >= 0 and not isinstance(size, bool):
            try:
                root = b64_decode(text)
            except Malformed as error:
                raise Schema(error.detail, faults=(Fault(f"{pointer}/root", "form", error.detail),)) from error
            if len(root) == 32:
                return size, root
    raise _refused(pointer, "final is {size, root}: a number and the base64 of 32 bytes, as in a checkpoint")


def _read_witness(claims: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    if "witness" not in claims:
        return None
    witness = _object(claims, "witness")
    return _text(witness, "vkey", "/witness"), _text(witness, "url", "/witness")


def _object(claims: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise _refused(f"/{name}", f"{name} is an object")
    return value


def _list(claims: Mapping[str, JsonValue], name: str, pointer: str) -> list[JsonValue]:
    value = claims.get(name)
    if not isinstance(value, list):
        raise _refused(f"{pointer}/{name}", f"{name} is a list")
    return value


def _text(claims: Mapping[str, JsonValue], name: str, pointer: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 2048 or not value.isprintable():
        raise _refused(f"{pointer}/{name}", f"{name} is one line of text")
    return value


def _texts(claims: Mapping[str, JsonValue], name: str, pointer: str) -> tuple[str, ...]:
    values = _list(claims, name, pointer)
    texts = tuple(value for value in values if isinstance(value, str) and value.isprintable() and value)
    if len(set(texts)) != len(values):
        raise _refused(f"{pointer}/{name}", f"{name} is a list of texts, each once")
    return texts


def _integer(claims: Mapping[str, JsonValue], name: str, pointer: str, *, minimum: int, maximum: int = MAX_SAFE_INT) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise _refused(f"{pointer}/{name}", f"{name} is an integer from {minimum} to {maximum}")
    return value


def _refused(pointer: str, detail: str) -> Schema:
    return Schema(detail, faults=(Fault(pointer, "form", detail),))
