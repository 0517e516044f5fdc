"""The registries of several logs side by side: each for its own log, node keys by the newest root document."""

from __future__ import annotations

import pytest

from app.domain.errors import KeyNotValid, Schema, UnknownKid
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from tests.seal.registries import FOREVER, NOW, ORIGIN, key, member, policy, revoke, root_chain, stub

SECOND = "zz.example/log/2"
"""Another log of the same jurisdiction: a registry of its own under the same root documents."""


def _rotated() -> Keyring:
    """A registry with two root documents of which the second has another node key."""
    fresh = key("zz.example#2")
    jwks = {"keys": [{**fresh.public_jwk, "kid": fresh.kid}]}
    return Keyring(ORIGIN, root_chain({"node": {"url": "https://zz.example", "jwks": jwks}}))


def test_the_own_registry_is_never_replaced() -> None:
    """Others come and go; whoever holds the own one holds the right one."""
    own = Keyring(ORIGIN, root_chain())
    keyrings = Keyrings(own)
    keyrings.put(Keyring(ORIGIN, ()))
    keyrings.put(Keyring(SECOND, root_chain()))
    assert keyrings.own is keyrings.get(ORIGIN) is own
    assert keyrings.origins() == (ORIGIN, SECOND)
    keyrings.drop(ORIGIN)
    keyrings.drop(SECOND)
    assert keyrings.origins() == (ORIGIN,)


def test_what_the_fold_needs_is_asked_by_log() -> None:
    """Registrar keys and the two-person rule are of each log; a log that nobody knows has neither."""
    own = Keyring(ORIGIN, root_chain())
    own.apply(3, policy("p", "listing"))
    keyrings = Keyrings(own, [Keyring(SECOND, root_chain())])
    assert keyrings.registrar_kids() == {origin: {"zz.registrar#1", "zz.registrar#2"} for origin in (ORIGIN, SECOND)}
    assert keyrings.needs2(ORIGIN, 4) == {"listing"}
    assert keyrings.needs2(ORIGIN, 3) == keyrings.needs2(SECOND, 4) == keyrings.needs2("fr.example/log", 4) == frozenset()


def test_a_page_is_tried_beside_the_registries() -> None:
    """Another registry of one log for a moment; ours stay as they are."""
    keyrings = Keyrings(Keyring(ORIGIN, root_chain()), [Keyring(SECOND, root_chain())])
    trial = keyrings.get(SECOND)
    assert trial is not None
    beside = keyrings.beside(trial.copy())
    assert beside.get(SECOND) is not trial
    assert beside.own is keyrings.own
    assert keyrings.get(SECOND) is trial
    assert beside.origins() == keyrings.origins()


def test_a_node_signs_with_the_keys_of_its_newest_root_document_only() -> None:
    """A key that the newest document leaves out is dead for requests, and no other node's key passes for it."""
    keyrings = Keyrings(_rotated())
    assert keyrings.node_key("zz.example", "zz.example#2") == key("zz.example#2").public
    assert keyrings.node_key("zz.example", "zz.example#1") is None
    assert keyrings.node_key("fr.example", "zz.example#2") is None
    assert keyrings.node_key("fr.example", "fr.example#1") is None
    assert keyrings.node_key("zz.example", "zz.registrar#1") is None
    document = keyrings.document_of("zz.example")
    assert document is not None
    assert document.version == 2
    assert keyrings.document_of("fr.example") is None


def test_what_a_peer_carries_is_judged_by_what_stands_below_it() -> None:
    """A revocation that came later changes nothing here: it is the fold that lets the statement fall, or stand again."""
    keyring = Keyring(ORIGIN, root_chain())
    keyring.apply(1, member("m"))
    kid = "zz.police#1"
    keyring.check_carried_key(kid, index=5, accepted_s=NOW)
    keyring.apply(9, revoke("r", kid, 2))
    keyring.check_carried_key(kid, index=5, accepted_s=NOW)
    with pytest.raises(UnknownKid):
        keyring.check_carried_key(kid, index=1, accepted_s=NOW)
    with pytest.raises(KeyNotValid):
        keyring.check_carried_key(kid, index=5, accepted_s=FOREVER)
    with pytest.raises(UnknownKid):
        keyring.check_carried_key("zz.nobody#1", index=5, accepted_s=NOW)


def test_keys_of_root_documents_are_carried_from_the_document_in_force_on() -> None:
    """The old node key until the root statement that leaves it out, the new one at once, the registrar's always."""
    keyring = _rotated()
    document = keyring.newest_document
    assert document is not None
    keyring.apply(4, stub("root", sid="two", ver=2, sha256=document.sha256))
    keyring.check_carried_key("zz.example#1", index=4, accepted_s=NOW)
    with pytest.raises(KeyNotValid):
        keyring.check_carried_key("zz.example#1", index=5, accepted_s=NOW)
    keyring.check_carried_key("zz.example#2", index=2, accepted_s=NOW)
    keyring.check_carried_key("zz.registrar#1", index=9, accepted_s=NOW)
    with pytest.raises(UnknownKid):
        keyring.check_carried_key("zz.root#1", index=9, accepted_s=NOW)


def test_a_control_statement_that_breaks_a_rule_is_told_from_one_of_a_newer_version() -> None:
    """Unknown members pass; a member of another jurisdiction does not."""
    keyring = Keyring(ORIGIN, root_chain())
    keyring.check_carried_control(stub("policy", sid="p", needs2=["brand-new"], four_eyes=["aurora"], neutrality=True), index=3)
    with pytest.raises(Schema):
        keyring.check_carried_control(stub("policy", "zz.police#1", sid="p", needs2=[], four_eyes=[], neutrality=True), index=3)


def test_a_registry_can_be_cut_at_an_index() -> None:
    """Past a fork key statements wait: the registry is that of the common prefix."""
    keyring = Keyring(ORIGIN, root_chain())
    keyring.apply(1, member("m"))
    keyring.apply(6, member("n", name="Renamed"))
    assert keyring.copy(before=6).member("zz.police") == keyring.member("zz.police", before=6)
    assert keyring.copy(before=1).member("zz.police") is None
    assert keyring.copy().member("zz.police") == keyring.member("zz.police")
