"""What the next root document says: the one in force with some keys more, some less, or with another log (protocol §3.2.1, §3.2.6).

Pure: documents in, a draft out, which nobody has signed. Three things change in different ways:

- Keys of root, registrar and node are added and dropped by kid. A kid never gets another key, so a changed key has a new kid.
- The log's own key overlaps: the next document names the old and the new one, both sign every checkpoint; a later one drops the old.
- A log that forked ends: it gets `until` and `final` {size, root}, the last tree that we stand for, and a new log `<host>/log/<n>`
  begins with it as `predecessor`. Origins never come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, Malformed
from app.domain.note import KeyType, parse_vkey, to_base64
from app.seal.root_claims import RootKey
from app.seal.roots import RootDocument, SignedRoot, count_signatures, rotate

__all__ = ["Changes", "Ending", "Wanting", "next_document", "next_origin", "wanting"]


@dataclass(frozen=True, slots=True)
class Ending:
    """A log that ends at the tree (size, root) and the key of the one that goes on; `now` in seconds."""

    size: int
    root: bytes
    successor: str
    vkey: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What shall be otherwise; empty: nothing. `log_vkey` joins the log's keys, `drop_vkeys` leave them, `expires_at` in seconds."""

    add_root: tuple[RootKey, ...] = ()
    drop_root: tuple[str, ...] = ()
    threshold: int | None = None
    add_registrar: tuple[RootKey, ...] = ()
    drop_registrar: tuple[str, ...] = ()
    add_node: tuple[RootKey, ...] = ()
    drop_node: tuple[str, ...] = ()
    log_vkey: str | None = None
    drop_vkeys: tuple[str, ...] = ()
    ending: Ending | None = None
    public_url: str | None = None
    contact: str | None = None
    licence: str | None = None
    expires_at: int | None = None


def next_document(previous: RootDocument, origin: str, changes: Changes, *, now: int) -> bytes:
    """The unsigned draft of the next version for the log `origin`; `now` in seconds.

    BadRequest for a key to drop that is not there or a change that cannot be; Schema for what no reader would take.
    """
    kids = {key.kid for key in previous.keys}
    for key in (*changes.add_root, *changes.add_registrar, *changes.add_node):
        if key.kid in kids:
            raise BadRequest(f"{key.kid} stands in root document {previous.version} already: a new key has a new kid")
    roots = _changed(previous.root_keys, changes.add_root, changes.drop_root, what="root")
    registrars = _changed(previous.registrar_keys, changes.add_registrar, changes.drop_registrar, what="registrar")
    threshold = previous.threshold if changes.threshold is None else changes.threshold
    if not 1 <= threshold <= len(roots):
        raise BadRequest(f"--threshold {threshold} with {len(roots)} root keys cannot be: take 1 to {len(roots)}")
    if not registrars:
        raise BadRequest("a jurisdiction without a registrar key could enter nobody: add one in the same document")
    claims: dict[str, JsonValue] = {
        "root": {"keys": _listed(roots), "threshold": threshold},
        "registrar": {"keys": _listed(registrars)},
        "node": _node(previous, changes),
        "logs": _logs(previous, origin, changes, now=now),
    }
    if changes.public_url is not None and previous.witness is not None:
        claims["witness"] = {"vkey": previous.witness[0], "url": f"{changes.public_url}/witness"}
    said: dict[str, JsonValue] = {"contact": changes.contact, "licence": changes.licence, "exp": changes.expires_at}
    return rotate(previous, {**claims, **{name: value for name, value in said.items() if value is not None}})


def next_origin(document: RootDocument, origin: str) -> str:
    """The origin after `origin`: `<host>/log/2` after `<host>/log`, one that the document does not have yet."""
    host = origin.partition("/")[0]
    taken = {log.origin for log in document.logs} | {log.predecessor for log in document.logs}
    number = 2
    while f"{host}/log/{number}" in taken:
        number += 1
    return f"{host}/log/{number}"


def _changed(keys: Sequence[RootKey], add: Sequence[RootKey], drop: Sequence[str], *, what: str) -> list[RootKey]:
    missing = set(drop) - {key.kid for key in keys}
    if missing:
        raise BadRequest(
            f"{', '.join(sorted(missing))} is no {what} key of the newest root document: it has {', '.join(k.kid for k in keys)}"
        )
    return [*(key for key in keys if key.kid not in drop), *add]


def _listed(keys: Sequence[RootKey]) -> list[JsonValue]:
    return [{"kid": key.kid, "jwk": dict(key.public_key.jwk)} for key in keys]


def _node(previous: RootDocument, changes: Changes) -> JsonValue:
    """New node keys come first: the first that the node has is the one it signs with."""
    kept = _changed(previous.node_keys, (), changes.drop_node, what="node")
    keys: list[JsonValue] = [{"kid": key.kid, **key.public_key.jwk} for key in (*changes.add_node, *kept)]
    if not keys:
        raise BadRequest("a node without a key could not speak to its peers: add one in the same document")
    return {"url": changes.public_url or previous.node_url, "jwks": {"keys": keys}}


def _logs(previous: RootDocument, origin: str, changes: Changes, *, now: int) -> list[JsonValue]:
    stated = previous.claims.get("logs")
    logs = [dict(one) for one in stated if isinstance(one, dict)] if isinstance(stated, list) else []
    own = next((one for one in logs if one.get("origin") == origin), None)
    if own is None or "final" in own:
        raise BadRequest(f"root document {previous.version} names no log {origin} that is still written: nothing of it can be changed")
    stated_vkeys = own.get("vkeys")
    vkeys = _vkeys([one for one in stated_vkeys if isinstance(one, str)] if isinstance(stated_vkeys, list) else [], origin, changes)
    own["vkeys"] = [*vkeys]
    if changes.public_url is not None:
        own["url"] = f"{changes.public_url}/log"
    ending = changes.ending
    if ending is None:
        return [*logs]
    own |= {"until": now, "final": {"size": ending.size, "root": to_base64(ending.root)}}
    heartbeats = [vkey for vkey in vkeys if not _signs_log(vkey, origin)]
    begun: dict[str, JsonValue] = {
        "origin": ending.successor,
        "vkeys": [ending.vkey, *heartbeats],
        "url": own["url"],
        "from": now,
        "predecessor": origin,
    }
    return [*logs, begun]


def _vkeys(vkeys: Sequence[str], origin: str, changes: Changes) -> list[str]:
    """The log's keys after the change, the new one first; at least one 0x01 key stays."""
    missing = set(changes.drop_vkeys) - set(vkeys)
    if missing:
        raise BadRequest(f"{', '.join(sorted(missing))} is no key of {origin} in the newest root document")
    found = [*([changes.log_vkey] if changes.log_vkey else []), *(vkey for vkey in vkeys if vkey not in changes.drop_vkeys)]
    if not any(_signs_log(vkey, origin) for vkey in found):
        raise BadRequest(f"{origin} would have no key left: add the next one first, let both sign for a while, then drop the old")
    return found


def _signs_log(vkey: str, origin: str) -> bool:
    try:
        key = parse_vkey(vkey)
    except Malformed:
        return False
    return key.type == KeyType.ED25519 and key.name == origin


# --- who must still sign -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanting:
    """Signatures of root keys that a document has and needs, of the version before and of its own."""

    have_old: int
    need_old: int
    have_new: int
    need_new: int

    @property
    def complete(self) -> bool:
        """Whether every reader takes it."""
        return self.have_old >= self.need_old and self.have_new >= self.need_new


def wanting(signed: SignedRoot, previous: RootDocument | None) -> Wanting:
    """How far the signing of a document has come; without the version before only its own keys are counted."""
    document = signed.document
    own = count_signatures(signed, document)
    if previous is None:
        return Wanting(0, 0, own, document.threshold)
    return Wanting(count_signatures(signed, previous), previous.threshold, own, document.threshold)
