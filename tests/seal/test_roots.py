"""Root documents: drafted, signed by several, rotated; and what a reader of the chain refuses beyond the vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import BadHeader, BadJson, InvalidProof, Malformed, Refused, Schema, TooLarge
from app.seal.jws import sign_token
from app.seal.roots import draft, read_document, read_root_chain, rotate, sign_root
from tests.seal.registries import NOW, chain_of, key, named, pin_of, root_chain, root_claims, signed


def reason(documents: list[bytes], **options: Any) -> tuple[str, str]:
    """(rule, document) of the refusal of a chain."""
    with pytest.raises(Refused) as refused:
        chain_of(documents, **options)
    return refused.value.faults[0].code, refused.value.faults[0].pointer


FIRST = signed(draft(root_claims()), "zz.root#1", "zz.root#2")


def test_a_document_says_who_may_speak() -> None:
    """Keys, logs, node and view keys come out as values."""
    (document,) = root_chain()
    assert (document.version, document.jurisdiction, document.registrar, document.threshold) == (1, "zz", "zz.registrar", 2)
    assert [one.kid for one in document.keys] == ["zz.root#1", "zz.root#2", "zz.root#3", "zz.registrar#1", "zz.registrar#2", "zz.example#1"]
    log = document.find_log("zz.example/log")
    assert log is not None
    assert (log.url, log.vkeys, log.valid_from, log.until, log.final) == ("https://zz.example/log", ("vkey",), 1, None, None)
    assert document.find_log("zz.example/log/2") is None
    assert document.sha256 == pin_of(FIRST)
    assert (document.contact, document.licence, document.witness) == ("ops@zz.example", "CC-BY-4.0", None)


def test_ends_of_logs_are_read() -> None:
    """`final`, `until` and `predecessor` of a log that was continued elsewhere."""
    old = {"origin": "zz.example/log", "vkeys": [], "url": "u", "from": 1, "until": 9, "final": {"size": 3, "root": "A" * 43 + "="}}
    new = {"origin": "zz.example/log/2", "vkeys": [], "url": "u", "from": 9, "predecessor": "zz.example/log"}
    document = chain_of([signed(draft(root_claims(logs=[old, new])), "zz.root#1", "zz.root#2")])[0]
    assert (document.logs[0].until, document.logs[0].final) == (9, (3, bytes(32)))
    assert document.logs[1].predecessor == "zz.example/log"


def test_signatures_are_added_one_by_one() -> None:
    """Root keys are offline: each holder signs the file in turn, in any order, and may sign again."""
    document = draft(root_claims())
    assert read_document(document).kids == ()
    assert reason([document]) == ("threshold", "/0")
    document = sign_root(document, key("zz.root#3"))
    assert reason([document]) == ("threshold", "/0")
    document = sign_root(sign_root(document, key("zz.root#1")), key("zz.root#3"))
    assert read_document(document).kids == ("zz.root#1", "zz.root#3")
    assert chain_of([document])[0].version == 1


def test_rotation_needs_old_and_new_keys() -> None:
    """Every key exchanged: two of the old and two of the new sign."""
    fresh = {"root": {"keys": [named(key(f"zz.root#{n}")) for n in (4, 5)], "threshold": 2}}
    second = rotate(chain_of([FIRST])[0], fresh)
    assert reason([FIRST, signed(second, "zz.root#1", "zz.root#2")]) == ("threshold", "/1")
    assert reason([FIRST, signed(second, "zz.root#4", "zz.root#5")]) == ("threshold", "/1")
    full = signed(second, "zz.root#1", "zz.root#2", "zz.root#4", "zz.root#5")
    chain = chain_of([FIRST, full])
    assert [one.version for one in chain] == [1, 2]
    assert chain[1].claims["contact"] == "ops@zz.example"


def test_a_kid_never_gets_another_key() -> None:
    """Neither directly nor after a version without it; and a key gets no second kid."""
    without = {"registrar": {"keys": [named(key("zz.registrar#2"))]}}
    first, second = FIRST, signed(rotate(chain_of([FIRST])[0], without), "zz.root#1", "zz.root#2")
    chain = chain_of([first, second])
    stranger = {"kid": "zz.registrar#1", "jwk": dict(key("zz.registrar#1", "other").public_jwk)}
    renamed = {"kid": "zz.registrar#9", "jwk": dict(key("zz.registrar#1").public_jwk)}
    for entry in (stranger, renamed):
        third = signed(rotate(chain[-1], {"registrar": {"keys": [entry]}}), "zz.root#1", "zz.root#2")
        assert reason([first, second, third]) == ("schema", "/2")


def test_a_signature_for_something_else_does_not_count() -> None:
    """A root key that signed the same bytes under another `typ` has not signed a root document."""
    document = json.loads(draft(root_claims()))
    payload = read_document(json.dumps(document).encode()).document.payload
    for kid in ("zz.root#1", "zz.root#2"):
        protected, _, signature = sign_token(payload, key(kid), typ="cordon-statement+sd-jwt").split(".")
        document["signatures"].append({"protected": protected, "signature": signature})
    with pytest.raises(BadHeader):
        chain_of([json.dumps(document).encode()])


def test_another_spelling_of_the_signed_bytes_is_refused() -> None:
    """Lax base64 in the payload would have the same pin."""
    document = json.loads(FIRST)
    for payload in (document["payload"] + "=", document["payload"] + "!"):
        with pytest.raises(Malformed):
            read_root_chain(pin_of(FIRST), [json.dumps({**document, "payload": payload}).encode()], now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": True}, {"v": 1.0}, {"jur": "ZZ"}, {"jur": "zzz"}, {"ver": 0}, {"ver": True}, {"exp": "1"}, {"logs": {}},
        {"logs": [{"origin": "https://zz.example/log", "vkeys": [], "url": "u", "from": 1}]},
        {"logs": [{"origin": "zz.example/log", "vkeys": ["a", "a"], "url": "u", "from": 1}]},
        {"logs": [{"origin": "zz.example/log", "vkeys": [], "url": "u", "from": -1}]},
        {"logs": [{"origin": "zz.example/log", "vkeys": [], "url": "u", "from": 1, "final": {"size": 1, "root": "AAAA"}}]},
        {"logs": [{"origin": "zz.example/log", "vkeys": [], "url": "u", "from": 1}] * 2},
        {"root": {"keys": [], "threshold": 1}}, {"root": {"keys": [named(key("zz.root#1"))], "threshold": 2}},
        {"root": {"keys": [named(key("zz.root#1"))], "threshold": True}}, {"root": {"keys": [named(key("yy.root#1"))], "threshold": 1}},
        {"registrar": {"keys": []}}, {"registrar": {"keys": [named(key("zz.police#1"))]}}, {"registrar": {"keys": [named(key("zz.root#1"))]}},
        {"node": {"url": "u"}}, {"node": {"url": "u", "jwks": {"keys": [{**key("yy.example#1").public_jwk, "kid": "yy.example#1"}]}}},
        {"node": {"url": "u", "jwks": {"keys": [key("zz.example#1").to_jwk()]}}}, {"node": {"url": "a\nb", "jwks": {"keys": []}}},
        {"view": {"vkeys": "v"}}, {"view": None}, {"witness": {"vkey": "v"}}, {"contact": 1},
    ],
)  # fmt: skip
def test_claims_of_another_form(change: dict[str, Any]) -> None:
    """Nothing is drafted that a reader would refuse: above all no private key and no key of somebody else."""
    with pytest.raises(Schema) as refused:
        draft(root_claims(**change))
    assert refused.value.faults


def test_newer_members_are_read_over() -> None:
    """A later version may say more; what we know is all we judge."""
    document = signed(draft(root_claims(mirrors=["x"])), "zz.root#1", "zz.root#2")
    assert chain_of([document])[0].claims["mirrors"] == ["x"]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", BadJson), (b"{}", Malformed), (b"[]", Malformed), (b'{"payload":"","signatures":[]}', Malformed),
        (b'{"payload":"AA","signatures":{}}', Malformed), (b'{"payload":"AA","signatures":[],"header":{}}', Malformed),
        (b'{"payload":"AA","signatures":[{"protected":"","signature":"AA"}]}', Malformed), (b"x" * 262_145, TooLarge),
        (b'{"payload":"AA","payload":"AA","signatures":[]}', BadJson),
        (b'{"payload":"AA","signatures":[' + b'{"protected":"e30","signature":"AA"},' * 64 + b'{"protected":"e30","signature":"AA"}]}', TooLarge),
    ],
)  # fmt: skip
def test_what_is_no_document(data: bytes, refusal: type[Refused]) -> None:
    """General JSON of exactly payload and signatures, within limits; the chain names the document."""
    with pytest.raises(refusal):
        read_document(data)
    with pytest.raises(refusal) as refused:
        read_root_chain("00" * 32, [data], now=NOW)
    assert refused.value.faults[0].pointer == "/0"


def test_a_chain_has_at_least_one_document() -> None:
    """A server that offers nothing is refused like one that rolls back."""
    with pytest.raises(InvalidProof) as refused:
        read_root_chain("00" * 32, [], now=NOW)
    assert refused.value.faults[0].code == "rollback"
