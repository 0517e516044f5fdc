"""Reading a stub: what its claims must be, what home refuses and a peer reads over."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.claims import CLAIMS_OF, CONTROL_KINDS, FOREIGN_EDGE_KINDS
from app.domain.errors import PersonalDataInStub, Schema, TlpFault, UnknownKind
from app.domain.labels import Label, Tlp
from app.domain.statement import ohash_of, read_stub, sid_of, understands
from tests.domain.stub_material import DIGEST, FOREIGN, KID, NOW, ORIGIN, OTHER, OWN, claims, read

# --- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(OWN))
@pytest.mark.parametrize("lenient", [False, True])
def test_good_claims_of_every_kind_are_read(kind: str, lenient: bool) -> None:
    """Each kind with the claims of its row in schemas §2, at home and at a peer."""
    stub = read(kind, lenient=lenient)
    assert (stub.kind, stub.issuer, stub.origin, stub.issued_at) == (kind, "de.bka", ORIGIN, NOW)


def test_a_stub_holds_what_was_signed() -> None:
    """Every field of the stub comes from its claim; `claims` are all of them."""
    given = claims(
        aud=["fr.example", "group:de.north"],
        tlp="AMBER",
        parts={"core": {"tlp": "AMBER", "aud": ["fr.example"]}, "ctx": {"tlp": "RED"}},
        t=[DIGEST],
        jti="row-1",
        hc=["ORCON"],
        lic="CC-BY-4.0",
        must=["exp"],
    )
    stub = read_stub(given, kid=KID, sid=OTHER)
    assert stub.label == Label(Tlp.AMBER, frozenset({"fr.example", "group:de.north"}))
    assert stub.parts == {"core": Label(Tlp.AMBER, frozenset({"fr.example"})), "ctx": Label(Tlp.RED, stub.label.aud)}
    assert (stub.targets, stub.jti, stub.handling, stub.licence, stub.must) == ((DIGEST,), "row-1", ("ORCON",), "CC-BY-4.0", ("exp",))
    assert stub.digests == (DIGEST, OTHER)
    assert stub.expires_at == NOW + 86_400
    assert stub.claims is given


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (kind, name)
        for kind, own in OWN.items()
        for name in sorted({"v", "iss", "org", "knd", "iat", *own} - {"tlp", "exp", "t", "_sd", "_sd_alg"})
    ]
    + [(kind, "t") for kind in ("renew", "retract", "erase", "dispute", "endorse", "approve", "reaffirm", "response")]
    + [(kind, name) for kind in ("listing", "request") for name in ("_sd", "_sd_alg")],
)
def test_a_missing_claim_is_refused_and_named(kind: str, missing: str) -> None:
    """Take any required claim away: 422 `schema`, and the fault points at it or at what it belongs to."""
    with pytest.raises(Schema) as caught:
        read_stub(claims(kind, **{missing: ...}), kid=KID, sid=OTHER)
    assert caught.value.faults
    if missing not in ("_sd", "_sd_alg"):
        assert caught.value.faults[0].pointer == f"/{missing}"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"v": "1"},
        {"iss": "de.lka"},
        {"iss": 1},
        {"kid_": "DE.bka#1", "iss": "DE.bka"},
        {"kid_": "de bka#1", "iss": "de bka"},
        {"org": "https://de.example/log"},
        {"org": "de.example/logs"},
        {"org": "de.example/log/01"},
        {"org": "de.example/log\n"},
        {"org": "DE.example/log"},
        {"iat": True},
        {"iat": 1.0},
        {"iat": -1},
        {"iat": "1790000000"},
        {"exp": 1.5},
        {"exp": None},
        {"jti": ""},
        {"jti": "x" * 65},
        {"jti": "a\x00b"},
        {"jti": ["a"]},
        {"hc": []},
        {"hc": "ORCON"},
        {"hc": ["ORCON", "ORCON"]},
        {"hc": ["a\nb"]},
        {"lic": 4},
        {"must": ["no_such_claim"]},
        {"must": [1]},
        {"t": []},
        {"t": DIGEST},
        {"t": [DIGEST, DIGEST]},
        {"t": [DIGEST[:-1]]},
        {"t": [DIGEST[:-1] + "N"]},  # not canonical: the last character carries bits that no digest has
        {"t": [DIGEST + "\n"]},
        {"t": [FOREIGN]},
        {"t": [1]},
        {"x": 1},
        {"del": ["pii"]},
        {"parts": {}},
        {"parts": []},
        {"parts": {"core": {"tlp": "GREEN"}, "decoy": {"tlp": "GREEN"}}},
        {"parts": {"core": {"tlp": "GREEN"}, "notes": {"tlp": "GREEN"}}},
        {"parts": {"ctx": {"tlp": "GREEN"}}},
        {"_sd_alg": "sha-512"},
        {"_sd": []},
        {"_sd": [OTHER, DIGEST]},
        {"_sd": [DIGEST, DIGEST]},
        {"_sd": [DIGEST[:-1]]},
        {"_sd": DIGEST},
    ],
    ids=repr,
)
def test_a_wrong_value_is_schema(changes: dict[str, Any]) -> None:
    """One spelling for each value; everything else is refused."""
    kid = changes.get("kid_", KID)
    with pytest.raises(Schema) as caught:
        read(kid=kid, **{name: value for name, value in changes.items() if name != "kid_"})
    assert caught.value.faults[0].pointer == f"/{next(name for name in reversed(changes))}" or caught.value.faults[0].code in (
        "unknown_claim",
        "incomplete",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tlp": ...},
        {"tlp": "WHITE"},
        {"tlp": "green"},
        {"tlp": ["GREEN"]},
        {"tlp": "AMBER"},
        {"tlp": "AMBER", "aud": []},
        {"tlp": "AMBER", "aud": "fr.example"},
        {"tlp": "AMBER", "aud": ["fr.example", "fr.example"]},
        {"tlp": "AMBER", "aud": ["FR.example"]},
        {"tlp": "AMBER", "aud": ["fr.example\n"]},
        {"tlp": "AMBER", "aud": [1]},
        {"parts": {"core": {"tlp": "CLEAR"}}},
        {"parts": {"core": {}}},
        {"parts": {"core": "GREEN"}},
        {"parts": {"core": {"tlp": "GREEN", "why": "x"}}},
        {"parts": {"core": {"tlp": "RED"}}},
        {"parts": {"core": {"tlp": "AMBER"}}},
        {"tlp": "AMBER", "aud": ["fr.example"], "parts": {"core": {"tlp": "AMBER", "aud": ["nl.example"]}}},
    ],
    ids=repr,
)
def test_every_fault_of_a_label_is_tlp(changes: dict[str, Any]) -> None:
    """Labels fail closed, and under their own code (vectors, decision 17)."""
    with pytest.raises(TlpFault):
        read(**changes)


@pytest.mark.parametrize("tlp", ["AMBER", "AMBER+STRICT", "RED"])
def test_from_amber_up_a_stub_names_its_audience(tlp: str) -> None:
    """Also a stub without parts, which nothing else would catch."""
    with pytest.raises(TlpFault) as caught:
        read("retract", tlp=tlp)
    assert caught.value.faults[0].pointer == "/aud"
    assert read("retract", tlp=tlp, aud=["fr.example"]).label.aud == {"fr.example"}


@pytest.mark.parametrize("name", ["Core", "c ore", "decoy", "x" * 33])
def test_a_peer_refuses_names_that_no_part_can_have(name: str) -> None:
    """A newer part is carried, a name outside the form is not."""
    with pytest.raises(Schema):
        read(lenient=True, parts={"core": {"tlp": "GREEN"}, name: {"tlp": "GREEN"}})
    assert read(lenient=True, parts={"core": {"tlp": "GREEN"}, "annex": {"tlp": "GREEN"}}).parts.keys() == {"core", "annex"}


@pytest.mark.parametrize("kind", sorted(CONTROL_KINDS - {"member"}))
def test_control_statements_are_for_everybody(kind: str) -> None:
    """Nobody is bound by what he cannot read: CLEAR or GREEN, for revocations and policies CLEAR alone."""
    with pytest.raises(TlpFault):
        read(kind, tlp="AMBER", aud=["fr.example"])
    if kind in ("key-revoke", "policy"):
        with pytest.raises(TlpFault):
            read(kind, tlp="GREEN")
    else:
        assert read(kind, tlp="GREEN").label.tlp is Tlp.GREEN


@pytest.mark.parametrize("name", ["core", "core.0", "pii.12", "ctx", "pii"])
def test_a_claim_named_like_a_part_is_personal_data(name: str) -> None:
    """Content in a stub could never be erased."""
    with pytest.raises(PersonalDataInStub):
        read(**{name: {"name": "x"}})


@pytest.mark.parametrize(
    "changes",
    [
        {"jti": "jane.doe@example.org"},
        {"jti": "+49 30 1234567"},
        {"jti": "DE89370400440532013000"},
        {"hc": ["ORCON", "eip155:0:0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b"]},
        {"lic": "see domain:login.example"},
    ],
    ids=repr,
)
def test_personal_data_in_free_claims_is_refused(changes: dict[str, Any]) -> None:
    """The claims with free text are scanned at home."""
    with pytest.raises(PersonalDataInStub):
        read(**changes)
    assert read(lenient=True, **changes).kind == "listing"


def test_an_iban_fits_the_form_of_a_ground_and_is_still_refused() -> None:
    """`ground` is scanned although its form is narrow."""
    with pytest.raises(PersonalDataInStub):
        read("erase", ground="de89370400440532013000")


def test_an_unknown_kind_is_refused_at_home_and_carried_by_a_peer() -> None:
    """A newer kind is inert, not poison (protocol §3.4)."""
    with pytest.raises(UnknownKind):
        read("delist-now")
    stub = read("delist-now", lenient=True, t=[DIGEST], anything={"x": 1})
    assert stub.kind == "delist-now"
    assert stub.targets == ()


def test_a_peer_reads_over_unknown_claims_but_not_over_bad_ones() -> None:
    """Unknown claims are ignored unless `must` names them; known ones must still be right."""
    stub = read(lenient=True, future={"a": 1}, must=["future"])
    assert not understands(stub)
    assert understands(read(lenient=True, future=1))
    with pytest.raises(Schema):
        read(lenient=True, jti=5)


def test_every_kind_knows_its_claims_and_no_others() -> None:
    """A claim of another kind is unknown: `from_index` has no place in a listing."""
    for kind in OWN:
        foreign = sorted(CLAIMS_OF["key-revoke"] - CLAIMS_OF[kind])
        if foreign:
            with pytest.raises(Schema):
                read(kind, **{foreign[0]: 1})


@pytest.mark.parametrize("kind", sorted(FOREIGN_EDGE_KINDS))
def test_kinds_that_point_anywhere_write_the_log_before_the_sid(kind: str) -> None:
    """`ohash/sid` always, also for the own log (vectors, decision 21)."""
    assert read(kind, t=[f"{ohash_of(ORIGIN)}/{DIGEST}"]).targets
    with pytest.raises(Schema):
        read(kind, t=[DIGEST])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("erase", {"del": []}),
        ("erase", {"del": ["decoy"]}),
        ("erase", {"ground": "GDPR 17"}),
        ("evidence", {"form": "rumour"}),
        ("evidence", {"sha256": "AB" * 32}),
        ("root", {"sha256": "x"}),
        ("key-revoke", {"reason": "angry"}),
        ("key-revoke", {"from_index": -1}),
    ],
)
def test_claims_of_one_kind_have_their_forms(kind: str, changes: dict[str, Any]) -> None:
    """The closed lists and forms of the claims that one kind alone has."""
    with pytest.raises(Schema):
        read(kind, **changes)


def test_sid_is_the_hash_of_header_and_payload_alone() -> None:
    """Another signature over the same payload keeps the sid."""
    assert sid_of("aGVhZA.Ym9keQ.c2ln") == sid_of("aGVhZA.Ym9keQ.b3RoZXI") != sid_of("aGVhZA.Ym9keTI.c2ln")
    assert len(sid_of("a.b.c")) == 43
