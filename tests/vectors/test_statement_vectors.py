"""Every case of `statements.json`: the checks of the rooms, called in the order of schemas §2 ("Order at home")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from app.domain.canonical import b64u_decode, read_json
from app.domain.errors import JtiConflict, KeyNotValid, Refused
from app.domain.items import check_categories, check_items, collect_items
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.domain.registry import Member, Policy, read_member
from app.domain.statement import (
    TYP,
    Disclosure,
    Stub,
    Target,
    check_edges,
    check_mandate_kind,
    check_origin,
    check_times,
    read_stub,
    sid_of,
)
from app.seal.disclosure import read_disclosures, split_wire
from app.seal.jws import PublicKey, open_token, public_key
from tests.paths import VECTORS, needs

FILE = json.loads(needs(VECTORS / "statements.json").read_text(encoding="utf-8"))
CONTEXT = FILE["context"]
CASES = {case["name"]: case for case in FILE["cases"]}


@dataclass
class Home:
    """What the home node of the vectors knows."""

    keys: dict[str, PublicKey]
    terms: dict[str, tuple[int, int]]
    members: dict[str, Member]
    revoked: dict[str, int]
    log: dict[str, Target]
    jtis: dict[tuple[str, str], str]


def _home() -> Home:
    members = {name: read_member({"id": name, "name": name, **value}) for name, value in CONTEXT["members"].items()}
    keys = {key.kid: public_key(key.jwk) for member in members.values() for key in member.keys}
    keys |= {key["kid"]: public_key(key["jwk"]) for key in CONTEXT["registrar"]["keys"]}
    log = {
        one["sid"]: Target(
            origin=CONTEXT["origin"],
            index=one["index"],
            sid=one["sid"],
            issuer=one["iss"],
            kid=one["kid"],
            kind=one["knd"],
            label=Label(Tlp(one["tlp"]), frozenset(one.get("aud", ()))),
        )
        for one in CONTEXT["log"]
    }
    return Home(
        keys=keys,
        terms={key.kid: (key.not_before, key.expires) for member in members.values() for key in member.keys},
        members=members,
        revoked={one["kid"]: one["from_index"] for one in CONTEXT["revoked"]},
        log=log,
        jtis={(one["iss"], one["jti"]): one["sid"] for one in CONTEXT["log"] if "jti" in one},
    )


HOME = _home()


@dataclass
class Outcome:
    status: int | None
    stub: Stub | None
    disclosures: tuple[Disclosure, ...] = ()
    jws: str = ""
    payload: bytes = b""


def _check_key(stub: Stub) -> None:
    not_before, expires = HOME.terms.get(stub.kid, (0, 2**62))
    if not not_before <= CONTEXT["now"] < expires or HOME.revoked.get(stub.kid, 2**62) <= CONTEXT["size"]:
        raise KeyNotValid


def _accept(wire: str) -> Outcome:
    """The home gate of the vectors, step by step."""
    jws, texts = split_wire(wire)
    token = open_token(jws, typ=TYP, find_key=HOME.keys.get)
    if token.sid in HOME.log:
        known = read_stub(token.claims, kid=token.kid, sid=token.sid)
        return Outcome(200, known, read_disclosures(known, texts, home=True), jws, token.payload)
    stub = read_stub(token.claims, kid=token.kid, sid=token.sid)
    check_origin(stub, CONTEXT["origin"])
    check_times(stub, now=CONTEXT["now"])
    _check_key(stub)
    registrar = CONTEXT["registrar"]["id"]
    member = None if stub.issuer == registrar else HOME.members[stub.issuer]
    check_mandate_kind(stub, member)
    disclosures = read_disclosures(stub, texts, home=True)
    checked = check_items(stub, disclosures, member=member, policy=Policy())
    check_categories(checked, member)
    check_edges(stub, HOME.log.get, registrar=registrar)
    if stub.jti and HOME.jtis.get((stub.issuer, stub.jti), stub.sid) != stub.sid:
        raise JtiConflict
    held = not set(CONTEXT["protected"]).isdisjoint(checked.subjects)
    return Outcome(202 if held else 201, stub, disclosures, jws, token.payload)


def _copy(wire: str) -> Outcome:
    """What a peer checks of a copy."""
    jws, texts = split_wire(wire)
    token = open_token(jws, typ=TYP, find_key=HOME.keys.get)
    stub = read_stub(token.claims, kid=token.kid, sid=token.sid, lenient=True)
    return Outcome(None, stub, read_disclosures(stub, texts, home=False), jws, token.payload)


def _run(case: Mapping[str, Any]) -> Outcome:
    return (_accept if case["mode"] == "home" else _copy)(case["wire"])


def test_the_file_holds_the_hundred_and_four_cases() -> None:
    """A truncated file would pass everything below."""
    assert len(CASES) == 104
    assert {case["mode"] for case in CASES.values()} == {"home", "peer"}


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if not case["expected"]["ok"]))
def test_a_bad_statement_is_refused_with_its_code(name: str) -> None:
    """The code of the refusal is normative."""
    case = CASES[name]
    with pytest.raises(Refused) as caught:
        _run(case)
    assert caught.value.slug == case["expected"]["error"]


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if case["expected"]["ok"]))
def test_a_good_statement_gives_sid_status_disclosures_and_leaf(name: str) -> None:
    """Everything the vectors expect of an accepted statement, or of a peer's copy."""
    case = CASES[name]
    expected = case["expected"]
    got = _run(case)
    assert sid_of(got.jws) == expected["sid"]
    assert got.payload.decode() == expected.get("payload", got.payload.decode())
    assert len(got.jws) == expected.get("stub_bytes", len(got.jws))
    if "status" in expected:
        assert got.status == expected["status"]
    if "withheld" in expected:
        assert got.stub is not None
        assert len(got.stub.digests) - len(got.disclosures) == expected["withheld"]
    if "disclosures" in expected:
        read = [{"digest": one.digest, "name": one.name, "value": one.value} for one in got.disclosures]
        assert read == [one for one in expected["disclosures"] if not one["name"].startswith("decoy.")]
    if "leaf_hash" in expected:
        entry = f"{expected['accepted_ms']} {got.jws}".encode()
        assert len(entry) == expected["leaf_bytes_length"]
        assert hashlib.sha256(entry).hexdigest() == expected["leaf_bytes_sha256"]
        assert leaf_hash(entry).hex() == expected["leaf_hash"]


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if case["expected"]["ok"] and case["mode"] == "home"))
def test_a_peer_reads_from_a_copy_what_the_home_node_accepted(name: str) -> None:
    """With every disclosure at hand, the lenient reading of a peer finds the same subjects as the gate."""
    case = CASES[name]
    jws, texts = split_wire(case["wire"])
    token = open_token(jws, typ=TYP, find_key=HOME.keys.get)
    stub = read_stub(token.claims, kid=token.kid, sid=token.sid, lenient=True)
    disclosures = read_disclosures(stub, _without_decoys(texts), home=False)
    collected = collect_items(stub, disclosures)
    wallets = {one.value["id"] for one in disclosures if isinstance(one.value, dict) and one.value.get("type") in ("wallet", "indicator")}
    assert set(collected.subjects) == wallets


def _without_decoys(texts: tuple[str, ...]) -> tuple[str, ...]:
    def is_decoy(text: str) -> bool:
        value = read_json(b64u_decode(text))
        return isinstance(value, list) and str(value[1]).startswith("decoy.")

    return tuple(text for text in texts if not is_decoy(text))
