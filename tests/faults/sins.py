"""What EvilPeer writes into its log: sound as a log, so that nobody can refuse it; what it says is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jose import jws

from app.domain.canonical import b64u_encode
from app.domain.statement import TYP
from app.seal.disclosure import build_statement
from app.seal.jws import ALGORITHM, SigningKey, sign_token
from tests.factories import Signer, key_of, wallet
from tests.faults.evil import EvilPeer

Sin = Callable[[EvilPeer], object]


def _stamped(peer: EvilPeer, text: bytes) -> object:
    return peer.book.append(b"%d " % peer.town.clock() + text)


def _good(peer: EvilPeer) -> Signer:
    return peer.town.signer(f"{peer.town.code}.bka#1")


def _by(peer: EvilPeer, kid: str, key: str) -> Signer:
    return Signer(replace(key_of(key), kid=kid), peer.origin, peer.town.clock)


def _expired(peer: EvilPeer) -> object:
    said = {"v": 1, "iss": f"{peer.town.code}.bka", "org": peer.origin, "knd": "listing", "iat": 1_000, "tlp": "GREEN", "exp": 2_000}
    return peer.log(build_statement(said, {"core": [wallet(666)]}, _good(peer).key), ms=1_500_000)


def _unfenced(payload: bytes, key: SigningKey) -> bytes:
    """A good signature over anything: our own fence would not sign it."""
    headers = {"kid": key.kid, "typ": TYP}
    token: str = jws.sign(payload, key._key, headers=headers, algorithm=ALGORITHM)
    return token.encode()


def _deep(peer: EvilPeer) -> object:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    return _stamped(peer, _unfenced(deep, _good(peer).key))


def _at_others(peer: EvilPeer, kind: str, more: dict[str, object] | None = None) -> object:
    sids = [one.rpartition("/")[2] for one in peer.victims]
    return peer.log(_good(peer).say(kind, {"t": sids, **(more or {})}), ms=1_000_000)


SINS: dict[str, Sin] = {
    "zeroes": lambda peer: peer.book.append(bytes(300)),
    "a time beyond every integer": lambda peer: peer.book.append(b"9223372036854775808 a.b.c"),
    "a time far ahead": lambda peer: peer.log(_good(peer).listing(wallet(666)), ms=peer.town.clock() + 10**12),
    "no token": lambda peer: _stamped(peer, b"a.b.c"),
    "a token of 60 kB": lambda peer: _stamped(peer, b"A" * 60_000 + b".B.C"),
    "a token without algorithm": lambda peer: _stamped(peer, b64u_encode(b'{"alg":"none"}').encode() + b".e30."),
    "a claim 5000 deep": _deep,
    "a signature of nobody": lambda peer: peer.log(_by(peer, f"{peer.town.code}.bka#1", "nobody#1").listing(wallet(666))),
    "a key of nobody": lambda peer: peer.log(_by(peer, "xx.nobody#1", "xx.nobody#1").listing(wallet(666))),
    "a signature for another purpose": lambda peer: _stamped(peer, sign_token(b"{}", _good(peer).key, typ="cordon-peer+jwt").encode()),
    "a statement that had ended before its key began": _expired,
    "a statement of another log": lambda peer: peer.log(
        Signer(_good(peer).key, "victim.example/log", peer.town.clock).listing(wallet(666))
    ),
    "a withdrawal of others' statements, back-dated": lambda peer: _at_others(peer, "retract"),
    "an erasure of others' statements, back-dated": lambda peer: _at_others(peer, "erase", {"del": ["core"], "ground": "court_order"}),
    "an expiry of others' statements, back-dated": lambda peer: _at_others(peer, "renew", {"exp": 1_100}),
    "a withdrawal by the whole name of a statement": lambda peer: peer.log(_good(peer).say("retract", {"t": list(peer.victims)})),
    "a member by a key that is no registrar's": lambda peer: peer.log(_good(peer).say("member", {"id": "xx.friend", "name": "friend"})),
}
