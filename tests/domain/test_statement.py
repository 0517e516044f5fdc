"""Reading a stub and the checks that follow: claims, times, mandate, edges; what home refuses and a peer reads over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.claims import CLAIMS_OF, CONTROL_KINDS, FOREIGN_EDGE_KINDS, NODE_KINDS, REGISTRAR_KINDS
from app.domain.errors import (
    ClockSkew,
    EdgeNotAuthorised,
    EdgeVisibility,
    PersonalDataInStub,
    Schema,
    ScopeDenied,
    TargetNotEarlier,
    TlpFault,
    UnknownKind,
    Validity,
    WrongOrigin,
)
from app.domain.labels import Label, Tlp
from app.domain.registry import Mandate, Member, MemberClass
from app.domain.statement import (
    Kind,
    Stub,
    Target,
    check_edges,
    check_mandate_kind,
    check_origin,
    check_renewal,
    check_times,
    ohash_of,
    read_stub,
    sid_of,
    understands,
)

NOW = 1_790_000_000
ORIGIN = "de.example/log"
DIGEST = "O_1lYRp0J0PYLa_kuUIDqldSco12HKvAUcRi6l6fksM"
OTHER = "c8o0xQOdEvVOSBH6Z_NTv5uERvI-XEchShGmJlfrHg0"
FOREIGN = f"{'ab' * 32}/{DIGEST}"
KID = "de.bka#1"

WITH_PARTS: dict[str, Any] = {"parts": {"core": {"tlp": "GREEN"}}, "_sd_alg": "sha-256", "_sd": [DIGEST, OTHER]}
OWN: dict[str, dict[str, Any]] = {
    "listing": {**WITH_PARTS, "exp": NOW + 86_400},
    "renew": {"t": [DIGEST], "exp": NOW + 86_400},
    "retract": {"t": [DIGEST]},
    "erase": {"t": [DIGEST], "del": ["pii"], "ground": "gdpr-17"},
    "dispute": {"t": [FOREIGN]},
    "endorse": {"t": [FOREIGN]},
    "approve": {"t": [DIGEST]},
    "reaffirm": {"t": [DIGEST]},
    "key-revoke": {"kid": "de.bka#9", "reason": "compromised", "from_index": 3, "tlp": "CLEAR"},
    "group": {"id": "group:de.north", "name": "North", "owner": "de.bka", "members": ["fr.example"]},
    "policy": {"needs2": [], "four_eyes": ["person"], "neutrality": True, "tlp": "CLEAR"},
    "root": {"ver": 1, "sha256": "ab" * 32},
    "request": {**WITH_PARTS, "aud": ["kr.exchange"]},
    "response": {**WITH_PARTS, "t": [FOREIGN]},
    "outcome": {**WITH_PARTS},
    "sighting": {**WITH_PARTS},
    "evidence": {"form": "fork", "sha256": "ab" * 32},
    "anchor": {},
    "pad": {},
}


def claims(kind: str = "listing", **changes: Any) -> dict[str, Any]:
    """Good claims of a kind, with changes; a value of `...` takes the claim away."""
    base = {"v": 1, "iss": "de.bka", "org": ORIGIN, "knd": kind, "iat": NOW, "tlp": "GREEN", **OWN.get(kind, {}), **changes}
    return {name: value for name, value in base.items() if value is not ...}


def read(kind: str = "listing", *, lenient: bool = False, kid: str = KID, **changes: Any) -> Stub:
    return read_stub(claims(kind, **changes), kid=kid, sid=OTHER, lenient=lenient)


def member(member_class: MemberClass = MemberClass.AGENCY, *, kinds: frozenset[str] | None = None, tlp_max: Tlp = Tlp.RED) -> Member:
    mandate = Mandate(kinds=frozenset(Kind) if kinds is None else kinds, categories=("fraud",), tlp_max=tlp_max)
    return Member(id="de.bka", name="BKA", member_class=member_class, mandate=mandate, keys=())


def target(kind: str = "listing", *, issuer: str = "de.bka", kid: str = KID, tlp: Tlp = Tlp.GREEN, **changes: Any) -> Target:
    fields: dict[str, Any] = {"origin": ORIGIN, "index": 3, "sid": DIGEST, "label": Label(tlp), **changes}
    return Target(issuer=issuer, kid=kid, kind=kind, **fields)


def finds(*targets: Target) -> Callable[[str], Target | None]:
    return {one.sid: one for one in targets}.get


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
    with pytest.raises(Schema) as caught:
        read(**changes)
    assert caught.value.faults


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


# --- times and origin --------------------------------------------------------------------------------------------------


def test_the_log_it_was_signed_for_is_the_only_one() -> None:
    """Another origin is `wrong_origin`."""
    check_origin(read(), ORIGIN)
    with pytest.raises(WrongOrigin):
        check_origin(read(), "fr.example/log")


@pytest.mark.parametrize(("iat", "good"), [(NOW - 86_400, True), (NOW - 86_401, False), (NOW + 300, True), (NOW + 301, False)])
def test_the_clock_window_is_a_day_back_and_five_minutes_ahead(iat: int, good: bool) -> None:
    """Both ends belong to the window."""
    stub = read(iat=iat, exp=iat + 10)
    if good:
        check_times(stub, now=NOW)
    else:
        with pytest.raises(ClockSkew):
            check_times(stub, now=NOW)


@pytest.mark.parametrize(
    ("exp", "good"), [(NOW, False), (NOW + 1, True), (NOW + 63_072_000, True), (NOW + 63_072_001, False), (..., False)]
)
def test_a_listing_ends_after_it_began_and_within_730_days(exp: Any, good: bool) -> None:
    """`exp` is required, later than `iat`, at most 730 days later."""
    stub = read(exp=exp)
    if good:
        check_times(stub, now=NOW)
    else:
        with pytest.raises(Validity):
            check_times(stub, now=NOW)


def test_only_listings_and_renewals_must_end() -> None:
    """A renewal without `exp` is refused, a request and a retraction are not."""
    check_times(read("request"), now=NOW)
    check_times(read("retract"), now=NOW)
    with pytest.raises(Validity):
        check_times(read("renew", exp=...), now=NOW)


def test_renewals_end_five_years_after_the_listing() -> None:
    """The ceiling counts from the listing, not from the renewal."""
    listed_at = NOW - 4 * 365 * 86_400
    check_renewal(read("renew", exp=listed_at + 5 * 365 * 86_400), listed_at=listed_at)
    with pytest.raises(Validity):
        check_renewal(read("renew", exp=listed_at + 5 * 365 * 86_400 + 1), listed_at=listed_at)


# --- mandate -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(OWN))
def test_a_registrar_speaks_of_who_may_speak_and_nothing_else(kind: str) -> None:
    """Control kinds, retract, erase, approve, reaffirm (vectors, decision 22)."""
    if kind in REGISTRAR_KINDS:
        check_mandate_kind(read(kind), None)
    else:
        with pytest.raises(ScopeDenied):
            check_mandate_kind(read(kind), None)


@pytest.mark.parametrize("kind", sorted(OWN))
@pytest.mark.parametrize("member_class", MemberClass)
def test_a_member_makes_what_its_class_may(kind: str, member_class: MemberClass) -> None:
    """Class × kind, whatever the mandate says besides."""
    allowed = {
        MemberClass.AGENCY: frozenset(Kind) - CONTROL_KINDS - NODE_KINDS,
        MemberClass.VASP: frozenset({"response", "sighting", "outcome"}),
        MemberClass.REDRESS: frozenset({"dispute", "outcome"}),
    }[member_class]
    if kind in allowed:
        check_mandate_kind(read(kind), member(member_class))
    else:
        with pytest.raises(ScopeDenied):
            check_mandate_kind(read(kind), member(member_class))


def test_a_kind_outside_the_mandate_is_denied() -> None:
    """The mandate names each kind."""
    with pytest.raises(ScopeDenied):
        check_mandate_kind(read("retract"), member(kinds=frozenset({"listing"})))


def test_no_part_goes_beyond_the_ceiling_of_the_mandate() -> None:
    """`tlp_max` binds the stub and every part of it."""
    narrow = member(tlp_max=Tlp.AMBER)
    check_mandate_kind(read(tlp="AMBER", aud=["fr.example"], parts={"core": {"tlp": "AMBER"}}), narrow)
    with pytest.raises(ScopeDenied):
        check_mandate_kind(read(tlp="GREEN", parts={"core": {"tlp": "GREEN"}, "pii": {"tlp": "RED", "aud": ["fr.example"]}}), narrow)


# --- edges -------------------------------------------------------------------------------------------------------------


def test_a_target_that_is_not_in_the_log_is_refused() -> None:
    """Unknown, of another origin, or held: no edge, but for an approval of what is held."""
    for find in (finds(), finds(target(origin="fr.example/log")), finds(target(index=None))):
        with pytest.raises(TargetNotEarlier):
            check_edges(read("retract"), find, registrar="de.registrar")
    check_edges(read("approve", kid="de.bka#2"), finds(target(index=None)), registrar="de.registrar")


@pytest.mark.parametrize("kind", ["retract", "erase"])
@pytest.mark.parametrize("of", sorted(frozenset(Kind)))
def test_what_undoes_cannot_be_undone(kind: str, of: str) -> None:
    """Retract and erase hit anything but undoings, renewals, approvals and control statements."""
    fixed = CONTROL_KINDS | {"retract", "erase", "renew", "approve", "reaffirm"}
    if of in fixed:
        with pytest.raises(EdgeNotAuthorised):
            check_edges(read(kind), finds(target(of)), registrar="de.registrar")
    else:
        check_edges(read(kind), finds(target(of)), registrar="de.registrar")


@pytest.mark.parametrize("kind", ["listing", "renew"])
def test_only_the_issuer_supersedes_or_renews_and_only_listings(kind: str) -> None:
    """Not even the registrar: it never asserts anything about a wallet."""
    stub = read(kind, t=[DIGEST])
    check_edges(stub, finds(target()), registrar="de.registrar")
    for wrong in (target(issuer="de.lka"), target("sighting"), target("renew")):
        with pytest.raises(EdgeNotAuthorised):
            check_edges(stub, finds(wrong), registrar="de.registrar")
    with pytest.raises(EdgeNotAuthorised):
        check_edges(read(kind, t=[DIGEST]), finds(target(issuer="de.lka")), registrar="de.bka")


@pytest.mark.parametrize("kind", ["retract", "erase", "reaffirm"])
def test_the_registrar_may_act_on_what_others_said(kind: str) -> None:
    """Same issuer or the registrar of the origin, nobody else."""
    other = finds(target(issuer="de.lka", kid="de.lka#1"))
    check_edges(read(kind), other, registrar="de.bka")
    with pytest.raises(EdgeNotAuthorised):
        check_edges(read(kind), other, registrar="de.registrar")


def test_an_approval_comes_from_another_key_of_the_same_issuer() -> None:
    """The same key twice, or another agency, is `edge_not_authorised`."""
    check_edges(read("approve", kid="de.bka#2"), finds(target()), registrar="de.registrar")
    for wrong in (target(kid="de.bka#2"), target(issuer="de.lka", kid="de.lka#1")):
        with pytest.raises(EdgeNotAuthorised):
            check_edges(read("approve", kid="de.bka#2"), finds(wrong), registrar="de.registrar")


def test_an_edge_is_at_least_as_visible_as_its_target() -> None:
    """Judged on labels: TLP no stricter, audience no smaller."""
    with pytest.raises(EdgeVisibility):
        check_edges(read("retract"), finds(target(tlp=Tlp.CLEAR)), registrar="de.registrar")
    amber = target(label=Label(Tlp.AMBER, frozenset({"fr.example", "nl.example"})), tlp=Tlp.AMBER)
    with pytest.raises(EdgeVisibility):
        check_edges(read("retract", tlp="AMBER", aud=["fr.example"]), finds(amber), registrar="de.registrar")
    check_edges(read("retract", tlp="AMBER", aud=["fr.example", "nl.example", "be.example"]), finds(amber), registrar="de.registrar")


@pytest.mark.parametrize("kind", sorted(FOREIGN_EDGE_KINDS))
def test_edges_that_change_nothing_need_no_target_here(kind: str) -> None:
    """A dispute of a statement of another origin is taken without looking it up."""
    check_edges(read(kind, t=[FOREIGN]), finds(), registrar="de.registrar")


def test_the_fault_points_at_the_target_that_is_wrong() -> None:
    """Of many targets the first bad one is named by its place."""
    with pytest.raises(TargetNotEarlier) as caught:
        check_edges(read("retract", t=[DIGEST, OTHER]), finds(target()), registrar="de.registrar")
    assert caught.value.faults[0].pointer == "/t/1"
