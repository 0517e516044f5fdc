"""The next root document as a pure change of the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import BadRequest
from app.seal.jws import SigningKey, public_key
from app.seal.notes import NoteKey
from app.seal.roots import RootDocument, RootKey, draft, read_document, sign_root
from app.services.enroll import Founding, found, read_key, read_root_documents
from app.services.rotate import Changes, Ending, next_document, next_origin, wanting

ORIGIN = "node.xx.example/log"
NOW = 1_800_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A founded jurisdiction."""
    found(tmp_path, Founding("xx", "node.xx.example", "Xx", "https://node.xx.example", contact="a@xx.example"), now=NOW)
    return tmp_path


@pytest.fixture
def first(folder: Path) -> RootDocument:
    """Its root document 1."""
    return read_document(read_root_documents(folder)[0]).document


def new_key(kid: str) -> RootKey:
    return RootKey(kid, public_key(SigningKey.derive(kid, kid.encode()).public_jwk))


def changed(first: RootDocument, changes: Changes) -> RootDocument:
    return read_document(next_document(first, ORIGIN, changes, now=NOW)).document


def test_what_is_not_named_stays_word_for_word(first: RootDocument):
    """Version one higher, the one claim changed; a member of a newer release that nobody here knows is kept."""
    known = read_document(draft({**first.claims, "future": {"a": 1}})).document
    after = changed(known, Changes(contact="b@xx.example"))
    assert after.version == 2
    assert {name: value for name, value in after.claims.items() if name not in ("ver", "contact")} == {
        name: value for name, value in known.claims.items() if name not in ("ver", "contact")
    }
    assert after.contact == "b@xx.example"


def test_a_new_address_stands_in_every_place_that_names_it(first: RootDocument):
    """Node, log and witness."""
    after = changed(first, Changes(public_url="https://new.xx.example"))
    assert (after.node_url, after.logs[0].url) == ("https://new.xx.example", "https://new.xx.example/log")
    assert after.witness is not None
    assert after.witness[1] == "https://new.xx.example/witness"


def test_a_new_log_key_stands_first_and_the_old_one_can_go(first: RootDocument):
    """The heartbeat key stays; the last key of the log cannot be dropped."""
    vkey = NoteKey.from_seed(ORIGIN, b"2" * 32).vkey
    old, heartbeat = first.logs[0].vkeys
    after = changed(first, Changes(log_vkey=vkey))
    assert after.logs[0].vkeys == (vkey, old, heartbeat)
    assert changed(after, Changes(drop_vkeys=(old,))).logs[0].vkeys == (vkey, heartbeat)
    with pytest.raises(BadRequest, match="no key left"):
        changed(first, Changes(drop_vkeys=(old,)))


def test_an_ended_log_has_its_last_tree_and_a_successor_that_names_it(first: RootDocument):
    """`until`, `final` and `predecessor`; an ended log is changed no more; origins count on and never come back."""
    vkey = NoteKey.from_seed(f"{ORIGIN}/2", b"2" * 32).vkey
    after = changed(first, Changes(ending=Ending(7, b"r" * 32, next_origin(first, ORIGIN), vkey)))
    old, new = after.logs
    assert (old.until, old.final) == (NOW, (7, b"r" * 32))
    assert (new.origin, new.predecessor, new.valid_from) == (f"{ORIGIN}/2", ORIGIN, NOW)
    assert new.vkeys == (vkey, first.logs[0].vkeys[1])
    assert next_origin(after, f"{ORIGIN}/2") == f"{ORIGIN}/3"
    with pytest.raises(BadRequest, match="still written"):
        changed(after, Changes(log_vkey=vkey))


@pytest.mark.parametrize(
    "changes",
    [
        Changes(add_root=(new_key("xx.root#1"),)),
        Changes(drop_root=("xx.root#4",)),
        Changes(drop_root=("xx.root#1", "xx.root#2")),
        Changes(threshold=4),
        Changes(drop_registrar=("xx.registrar#1",)),
        Changes(drop_node=("node.xx.example#1",)),
        Changes(drop_vkeys=("node.xx.example/log+00000000+AA",)),
    ],
)
def test_what_no_reader_could_follow_is_not_drafted(first: RootDocument, changes: Changes):
    """A kid used twice, a key that is not there, a threshold nobody can meet, nobody left to sign."""
    with pytest.raises(BadRequest):
        changed(first, changes)


def test_signatures_are_counted_for_the_old_and_the_new_holders(folder: Path, first: RootDocument):
    """One of two that stay counts for both; a newcomer for the new alone; the same key twice counts once."""
    newcomer = SigningKey.derive("xx.root#4", b"4")
    added = RootKey(newcomer.kid, public_key(newcomer.public_jwk))
    document = next_document(first, ORIGIN, Changes(add_root=(added,), drop_root=("xx.root#3",)), now=NOW)
    assert not wanting(read_document(document), first).complete
    one = sign_root(sign_root(document, read_key(folder / "keys" / "root-1.jwk")), newcomer)
    state = wanting(read_document(one), first)
    assert (state.have_old, state.have_new, state.complete) == (1, 2, False)
    again = wanting(read_document(sign_root(one, read_key(folder / "keys" / "root-1.jwk"))), first)
    assert (again.have_old, again.have_new) == (1, 2)
    done = wanting(read_document(sign_root(one, read_key(folder / "keys" / "root-3.jwk"))), first)
    assert done.complete
