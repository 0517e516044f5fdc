"""The steps after reading a stub: origin, clock, validity, mandate, edges."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.claims import CONTROL_KINDS, FOREIGN_EDGE_KINDS, NODE_KINDS, REGISTRAR_KINDS
from app.domain.errors import ClockSkew, EdgeNotAuthorised, EdgeVisibility, ScopeDenied, TargetNotEarlier, Validity, WrongOrigin
from app.domain.labels import Label, Tlp
from app.domain.registry import MemberClass
from app.domain.statement import Kind, check_edges, check_mandate_kind, check_origin, check_renewal, check_times
from tests.domain.stub_material import DIGEST, FOREIGN, NOW, ORIGIN, OTHER, OWN, finds, member, read, target

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
