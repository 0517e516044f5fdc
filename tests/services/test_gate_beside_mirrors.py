"""The home gate beside mirrors: annotations cross logs in both directions, and the node says by itself what it found."""

from __future__ import annotations

from app.domain.statement import Kind
from app.seal.jws import SigningKey
from app.services.enroll import read_key
from app.services.node import Node
from tests.factories import Signer, Town, accept, refuse, sid_in, wallet, wallet_id
from tests.mirrors import Here, PeerLog, check_fold, check_index, far


async def test_annotations_cross_between_our_log_and_a_peers(node: Node, town: Town, fr: PeerLog) -> None:
    """Ours on theirs, theirs on ours, also where theirs was here first; a retraction in either log takes its own away."""
    here = Here(node.database, town, keyrings=node.gate.keyrings, index=node.index)
    await here.follow(fr)
    ours, theirs, later = (
        town.signer("de.bka#1").listing(wallet(1)),
        fr.town.signer("fr.bka#1").listing(wallet(2)),
        town.signer("de.bka#1").listing(wallet(3)),
    )
    await accept(node, ours)
    fr.log(theirs)
    about = {"t": [far(town.origin, sid_in(one)) for one in (ours, later)]}
    french = fr.town.signer("fr.lka#1").say(Kind.DISPUTE, about, {"core": [{"ground": "wrong_person"}]})
    fr.log(french)
    await here.take(fr)
    german = town.signer("de.lka#1").say(Kind.ENDORSE, {"t": [far(fr.origin, sid_in(theirs))]}, {"core": [{}]})
    await accept(node, german, later)
    assert [[note.issuer for one in (await node.index.find(wallet_id(n))) for note in one.annotations] for n in (1, 2, 3)] == [
        ["fr.lka"],
        ["de.lka"],
        ["fr.lka"],
    ]
    await check_fold(node.database, node.gate.keyrings)
    await check_index(node.database, node.index)
    await accept(node, town.signer("de.lka#1").retract(sid_in(german)))
    fr.log(fr.town.signer("fr.lka#1").retract(sid_in(french)))
    await here.take(fr)
    assert [one.annotations for n in (1, 2, 3) for one in (await node.index.find(wallet_id(n)))] == [(), (), ()]
    await check_fold(node.database, node.gate.keyrings)
    await check_index(node.database, node.index)


async def test_a_node_says_by_itself_what_it_found(node: Node, town: Town) -> None:
    """Evidence by a key of the node comes into its own log; nothing else does, and nobody else says it."""
    key = read_key(town.data_dir / "keys" / "node.jwk")
    voice = Signer(key, town.origin, town.clock)
    evidence = {"form": "fork", "sha256": "ab" * 32}
    (admitted,) = await accept(node, voice.say(Kind.EVIDENCE, evidence, {"ctx": [{"text": "cordon-fork/v1"}]}))
    assert admitted.receipt is not None
    await refuse(node, voice.listing(wallet(1)), "scope_denied")
    await refuse(node, town.signer("de.bka#1").say(Kind.EVIDENCE, evidence), "scope_denied")
    stranger = Signer(SigningKey.derive(f"{key.kid.partition('#')[0]}#9", b"stranger"), town.origin, town.clock)
    await refuse(node, stranger.say(Kind.EVIDENCE, evidence), "unknown_kid")
