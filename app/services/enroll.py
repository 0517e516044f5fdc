"""Founding a jurisdiction, and the words by which members enter: keys, root document 1, registrar statements, API keys.

Everything here makes values and files; nothing reaches a log but through the gate, in `cli` or by HTTP. Protocol §3.2, schemas §2, §3.

Files of a data directory (keys 0600, never overwritten):
    node.json                     who this node is
    keys/root-<n>.jwk             root keys: belong offline, each with another person
    keys/registrar-<n>.jwk        sign members, groups, policy
    keys/log.key, heartbeat.key, witness.key, view-<tier>.key    Ed25519 note keys, 32 bytes as base64url
    keys/node.jwk                 signs what the node says by itself
    keys/log-<ver>.key, node-<ver>.jwk    keys that root document <ver> brought in; the newest document says which ones sign
    root/<version>.json           root documents as served
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha512
from pathlib import Path

from app.domain.api_key import ApiKey
from app.domain.canonical import JsonValue, b64u_decode, b64u_encode, read_json
from app.domain.claims import is_node_id
from app.domain.errors import BadRequest, CordonError
from app.domain.note import KeyType
from app.domain.registry import KINDS_OF_CLASS, Member, MemberClass, MemberKey
from app.domain.statement import Kind
from app.seal.disclosure import build_statement
from app.seal.jws import SigningKey
from app.seal.notes import NoteKey
from app.seal.roots import RootDocument, draft, read_document, sign_root
from app.storage.keyfiles import read_secret, write_secret

YEAR_S = 365 * 86_400
ROOT_LIVES_S = 5 * YEAR_S
KEY_LIVES_S = 2 * YEAR_S
TIERS = ("green", "clear")
NEEDS2 = ("member", "key-revoke", "group", "policy")


# --- who a node is -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeFile:
    """`node.json`: what `init` decided once and for all."""

    jurisdiction: str
    node: str
    name: str
    origin: str
    public_url: str
    demonstration: bool

    @property
    def registrar(self) -> str:
        """The id of the registrar."""
        return f"{self.jurisdiction}.registrar"


def read_node_file(data_dir: Path) -> NodeFile:
    """Who the node of this directory is; BadRequest if `cordon init` has not made it."""
    path = data_dir / "node.json"
    try:
        record = read_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BadRequest(
            f"{data_dir} holds no node: `cordon init --jurisdiction XX --node HOST --data-dir {data_dir}` makes one, `cordon demo` a demonstration"
        ) from error
    match record:
        case {
            "jurisdiction": str(jurisdiction),
            "node": str(node),
            "name": str(name),
            "origin": str(origin),
            "public_url": str(public_url),
            "demonstration": bool(demonstration),
        }:
            return NodeFile(jurisdiction, node, name, origin, public_url, demonstration)
    raise BadRequest(f"{path} is damaged: restore it from a backup")


# --- founding ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Founding:
    """What `cordon init` was told. `seed` makes every key a function of it: for the demonstration, whose keys protect nothing."""

    jurisdiction: str
    node: str
    name: str
    public_url: str
    root_keys: int = 3
    threshold: int = 2
    registrar_keys: int = 1
    contact: str | None = None
    licence: str | None = None
    demonstration: bool = False
    seed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Founded:
    """What came of it: `pin` is the SHA-256 that peers compare out of band."""

    node: NodeFile
    pin: str
    key_files: tuple[Path, ...]


def found(data_dir: Path, founding: Founding, *, now: int) -> Founded:
    """Make the keys, root document 1 and node.json of a new node; `now` in seconds. Refuses a directory that has one."""
    _check_founding(data_dir, founding)
    node = NodeFile(
        founding.jurisdiction, founding.node, founding.name, f"{founding.node}/log", founding.public_url, founding.demonstration
    )
    keys = data_dir / "keys"
    roots = [_signing_key(founding, f"{node.jurisdiction}.root#{n}") for n in range(1, founding.root_keys + 1)]
    registrars = [_signing_key(founding, f"{node.registrar}#{n}") for n in range(1, founding.registrar_keys + 1)]
    node_key = _signing_key(founding, f"{node.node}#1")
    notes = {file: _note_seed(founding, file) for file in ("log", "heartbeat", "witness", *(f"view-{tier}" for tier in TIERS))}
    document = draft(_root_claims(founding, node, (roots, registrars, node_key), notes, now))
    for key in roots:
        document = sign_root(document, key)
    files = [
        *((keys / f"root-{n}.jwk", key) for n, key in enumerate(roots, 1)),
        *((keys / f"registrar-{n}.jwk", key) for n, key in enumerate(registrars, 1)),
        (keys / "node.jwk", node_key),
    ]
    for path, key in files:
        write_key(path, key)
    for file, seed in notes.items():
        write_secret(keys / f"{file}.key", b64u_encode(seed) + "\n")
    (data_dir / "root").mkdir(exist_ok=True)
    (data_dir / "root" / "1.json").write_bytes(document)
    # Last of all: a directory without node.json holds no node, and a broken founding can be cleared away and done again.
    (data_dir / "node.json").write_text(json.dumps(asdict(node), indent=2) + "\n", "utf-8")
    return Founded(node, read_document(document).document.sha256, tuple(sorted(keys.iterdir())))


def _check_founding(data_dir: Path, founding: Founding) -> None:
    jurisdiction = founding.jurisdiction
    if not (len(jurisdiction) == 2 and jurisdiction.isascii() and jurisdiction.isalpha() and jurisdiction.islower()):
        raise BadRequest("a jurisdiction is two lower-case letters: --jurisdiction de")
    if not is_node_id(founding.node):
        raise BadRequest("a node id is the host name under which others reach it, without scheme: --node node.de.example")
    if not 1 <= founding.threshold <= founding.root_keys <= 16:
        raise BadRequest("--threshold is at least 1 and at most --root-keys (up to 16): 2 of 3 is usual")
    if not 1 <= founding.registrar_keys <= 16:
        raise BadRequest("--registrar-keys is 1 to 16; with two or more every registrar act needs a second person")
    if (data_dir / "node.json").exists():
        raise BadRequest(f"{data_dir} holds a node already: start it with `cordon serve`, or give another --data-dir")
    if (data_dir / "keys").exists() and any((data_dir / "keys").iterdir()):
        raise BadRequest(f"{data_dir / 'keys'} holds keys of a founding that was not finished: move them away, then init again")


def _root_claims(
    founding: Founding,
    node: NodeFile,
    keys: tuple[Sequence[SigningKey], Sequence[SigningKey], SigningKey],
    notes: Mapping[str, bytes],
    now: int,
) -> dict[str, JsonValue]:
    roots, registrars, node_key = keys
    claims: dict[str, JsonValue] = {
        "v": 1,
        "jur": node.jurisdiction,
        "ver": 1,
        "exp": now + ROOT_LIVES_S,
        "root": {"keys": _key_list(roots), "threshold": founding.threshold},
        "registrar": {"keys": _key_list(registrars)},
        "logs": [
            {
                "origin": node.origin,
                "vkeys": [log_key(node, notes["log"]).vkey, heartbeat_key(node, notes["heartbeat"]).vkey],
                "url": f"{node.public_url}/log",
                "from": now,
            }
        ],
        "node": {"url": node.public_url, "jwks": {"keys": [{"kid": node_key.kid, **node_key.public_jwk}]}},
        "view": {"vkeys": [view_key(node, tier, notes[f"view-{tier}"]).vkey for tier in TIERS]},
        "witness": {"vkey": witness_key(node, notes["witness"]).vkey, "url": f"{node.public_url}/witness"},
    }
    said = {"contact": founding.contact, "licence": founding.licence}
    return {**claims, **{name: value for name, value in said.items() if value}}


def _key_list(keys: Sequence[SigningKey]) -> list[JsonValue]:
    return [{"kid": key.kid, "jwk": dict(key.public_jwk)} for key in keys]


def _signing_key(founding: Founding, kid: str) -> SigningKey:
    return SigningKey.generate(kid) if founding.seed is None else SigningKey.derive(kid, founding.seed + kid.encode("ascii"))


def _note_seed(founding: Founding, file: str) -> bytes:
    return os.urandom(32) if founding.seed is None else sha512(founding.seed + file.encode("ascii")).digest()[:32]


# --- keys of the node --------------------------------------------------------------------------------------------------


def log_key(node: NodeFile, seed: bytes) -> NoteKey:
    """The 0x01 key of the log: its name is the origin."""
    return NoteKey.from_seed(node.origin, seed)


def heartbeat_key(node: NodeFile, seed: bytes) -> NoteKey:
    """The 0x04 key that says how fresh a checkpoint is."""
    return NoteKey.from_seed(f"{node.node}/heartbeat", seed, key_type=KeyType.COSIGNATURE)


def witness_key(node: NodeFile, seed: bytes) -> NoteKey:
    """The 0x04 key by which the node, as a witness, says which checkpoints of others it has seen."""
    return NoteKey.from_seed(f"{node.node}/witness", seed, key_type=KeyType.COSIGNATURE)


def view_key(node: NodeFile, tier: str, seed: bytes) -> NoteKey:
    """The 0x01 key of the view of one tier."""
    return NoteKey.from_seed(f"{node.node}/view/{tier}", seed)


def log_keys(data_dir: Path, node: NodeFile, document: RootDocument) -> tuple[NoteKey, ...]:
    """The 0x01 keys of the log that `document` names and this directory has, in the order of the document: all of them sign.

    Two stand there in the overlap of a rotation (protocol §3.2.6). BadRequest if none is at hand.
    """
    log = document.find_log(node.origin)
    files = sorted((data_dir / "keys").glob("log*.key"))
    held = {key.vkey: key for key in (log_key(node, read_note_seed(data_dir, path.stem)) for path in files)}
    found = tuple(held[vkey] for vkey in (log.vkeys if log is not None else ()) if vkey in held)
    if not found:
        raise BadRequest(
            f"no key in {data_dir / 'keys'} is one that root document {document.version} names for {node.origin}: "
            "restore keys/log*.key from a backup of the keys"
        )
    return found


def node_key(data_dir: Path, node: NodeFile, document: RootDocument) -> SigningKey:
    """The key that signs what the node says by itself: the first of `document` that this directory has; BadRequest if it has none."""
    held = {key.kid: key for key in (read_key(path) for path in sorted((data_dir / "keys").glob("node*.jwk")))}
    for named in document.node_keys:
        key = held.get(named.kid)
        if key is not None and named.kid.partition("#")[0] == node.node and key.public_jwk == named.public_key.jwk:
            return key
    raise BadRequest(f"no key in {data_dir / 'keys'} is one that root document {document.version} names for {node.node}: restore node*.jwk")


def read_note_seed(data_dir: Path, file: str) -> bytes:
    """The seed in keys/<file>.key."""
    path = data_dir / "keys" / f"{file}.key"
    try:
        seed = b64u_decode(read_secret(path).rstrip("\n"))
    except CordonError as error:
        raise BadRequest(f"{path}: {error.detail}") from error
    if len(seed) != 32:
        raise BadRequest(f"{path} is damaged: restore it from a backup of the keys")
    return seed


def write_key(path: Path, key: SigningKey) -> None:
    """Write a private key as a JWK with mode 0600; refuses to overwrite."""
    write_secret(path, json.dumps(key.to_jwk(), indent=2) + "\n")


def read_key(path: Path) -> SigningKey:
    """A private key from its JWK file; refuses one that others may read."""
    record = read_json(read_secret(path).encode("utf-8"))
    if not isinstance(record, dict):
        raise BadRequest(f"{path} is not a JWK file")
    return SigningKey.from_jwk(record)


def read_root_documents(data_dir: Path) -> list[bytes]:
    """The root documents of the directory, version 1 first."""
    files = sorted((data_dir / "root").glob("*.json"), key=lambda path: int(path.stem) if path.stem.isdigit() else 0)
    return [path.read_bytes() for path in files if path.stem.isdigit()]


# --- what a registrar says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registrar:
    """Signs control statements for one log; `now` in seconds."""

    origin: str
    key: SigningKey
    now: int

    def root(self, document: RootDocument) -> str:
        """The `root` statement: version and digest of a root document."""
        return self._say(Kind.ROOT, {"ver": document.version, "sha256": document.sha256})

    def policy(self, policy: Mapping[str, JsonValue]) -> str:
        """The `policy` statement."""
        return self._say(Kind.POLICY, policy)

    def member(self, member: Member) -> str:
        """The `member` statement; it replaces the member's earlier one."""
        return self._say(Kind.MEMBER, member_claims(member))

    def group(self, group: Mapping[str, JsonValue], *, tlp: str = "GREEN") -> str:
        """The `group` statement {id, name, owner, members, releasability?}."""
        return self._say(Kind.GROUP, group, tlp=tlp)

    def revoke(self, kid: str, *, reason: str, from_index: int) -> str:
        """The `key-revoke` statement."""
        return self._say(Kind.KEY_REVOKE, {"kid": kid, "reason": reason, "from_index": from_index})

    def _say(self, kind: Kind, claims: Mapping[str, JsonValue], *, tlp: str = "CLEAR") -> str:
        issuer = self.key.kid.partition("#")[0]
        common: dict[str, JsonValue] = {"v": 1, "iss": issuer, "org": self.origin, "knd": str(kind), "iat": self.now, "tlp": tlp}
        return build_statement({**common, **claims}, {}, self.key)


def first_policy(registrar_keys: int) -> dict[str, JsonValue]:
    """The policy of a new jurisdiction: persons need four eyes; with two or more registrar keys its own acts need two (schemas §2)."""
    needs2: list[JsonValue] = list(NEEDS2) if registrar_keys >= 2 else []
    return {
        "needs2": needs2,
        "four_eyes": ["person"],
        "public_delay_h": 72,
        "review_months": 12,
        "freeze_days": {},
        "neutrality": True,
    }


def founding_statements(data_dir: Path, *, now: int) -> list[str]:
    """The first two statements of a log, `root` and `policy`, signed by registrar key 1."""
    document = read_document(read_root_documents(data_dir)[-1]).document
    registrar = Registrar(read_node_file(data_dir).origin, read_key(data_dir / "keys" / "registrar-1.jwk"), now)
    return [registrar.root(document), registrar.policy(first_policy(len(document.registrar_keys)))]


def member_claims(member: Member) -> dict[str, JsonValue]:
    """The claims of a `member` statement."""
    kinds: list[JsonValue] = [*sorted(member.mandate.kinds)]
    mandate: dict[str, JsonValue] = {
        "kinds": kinds,
        "categories": list(member.mandate.categories),
        "tlp_max": str(member.mandate.tlp_max),
        "quota_per_hour": member.mandate.quota_per_hour,
        "persons": member.mandate.persons,
    }
    claims: dict[str, JsonValue] = {
        "id": member.id,
        "name": member.name,
        "class": str(member.member_class),
        "mandate": mandate,
        "keys": [{"kid": key.kid, "jwk": dict(key.jwk), "nbf": key.not_before, "exp": key.expires} for key in member.keys],
    }
    said = {"country": member.country, "url": member.url, "contact": member.contact, "lei": member.lei}
    claims |= {name: value for name, value in said.items() if value is not None}
    if member.licence is not None:
        claims["licence"] = dict(member.licence)
    return claims


def default_kinds(member_class: MemberClass) -> frozenset[str]:
    """Every kind that a member of this class may hold."""
    return KINDS_OF_CLASS[member_class]


def member_key(kid: str, jwk: Mapping[str, str], *, now: int, lives_s: int = KEY_LIVES_S) -> MemberKey:
    """A key as registered from `now` (seconds) on; ten minutes earlier, so that clocks may differ."""
    return MemberKey(kid, {name: jwk[name] for name in ("kty", "crv", "x", "y")}, now - 600, now + lives_s)


# --- API keys ----------------------------------------------------------------------------------------------------------


def new_api_key(*, environment: str = "live") -> ApiKey:
    """A new API key; its `text()` is shown once, only `secret_sha256` is kept (schemas §3)."""
    if environment not in ("live", "test"):
        raise BadRequest("an API key is for `live` or `test`")
    return ApiKey(environment, os.urandom(8).hex(), os.urandom(32).hex())
