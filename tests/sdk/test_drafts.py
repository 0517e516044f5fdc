"""Cutting, signing once and the journal: after a break the same bytes go out again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from app.domain.errors import BadRequest, Malformed, Unavailable
from app.sdk.drafts import Draft, Journal, Terms, cut, read_key
from app.seal.disclosure import split_wire
from app.seal.jws import SigningKey

KEY = SigningKey.derive("zz.police#1", b"test")
TERMS = Terms("zz.police", "node.zz.example/log", "GREEN", 86_400)
CONTEXT = {"purpose": "fraud_prevention"}


def draft(*ids: str, **more: object) -> Draft:
    return Draft(TERMS, tuple({"type": "wallet", "id": one} for one in ids), CONTEXT, **more)  # type: ignore[arg-type]


def signed(one: Draft, now: int = 1_790_000_000) -> str:
    return one.sign(KEY, now=now, day_context={"review_by": "2027-01-01"})


def test_items_are_cut_by_number_and_by_size():
    """At most 250 items, and never more than half a MiB of disclosures, so that one context still fits."""
    assert [len(part) for part in cut([{"id": str(n)} for n in range(501)])] == [250, 250, 1]
    large = [{"id": str(n), "note": "x" * 5000} for n in range(200)]
    parts = list(cut(large))
    assert sum(len(part) for part in parts) == 200
    for part in parts:
        wire = Draft(TERMS, part, CONTEXT).sign(KEY, now=1, day_context={})
        assert sum(len(text) for text in split_wire(wire)[1]) <= 512 * 1024


def test_a_fingerprint_is_of_what_was_asked_for():
    """Not of times and salts; but of every word of the request."""
    assert draft("a").fingerprint() == draft("a").fingerprint()
    assert signed(draft("a")) != signed(draft("a"))
    others = [
        draft("b"),
        draft("a", supersedes=("A" * 43,)),
        dataclasses.replace(draft("a"), terms=dataclasses.replace(TERMS, tlp="CLEAR")),
        dataclasses.replace(draft("a"), terms=dataclasses.replace(TERMS, origin="other.example/log")),
        dataclasses.replace(draft("a"), context={"purpose": "supervision"}),
    ]
    assert len({one.fingerprint() for one in [draft("a"), *others]}) == 6


def test_what_was_signed_is_found_again(tmp_path: Path):
    """A second run finds the bytes of the first."""
    one = draft("a")
    with Journal(tmp_path) as journal:
        assert journal.find(one.fingerprint()) is None
        (kept,) = journal.keep([(one.fingerprint(), signed(one))])
    with Journal(tmp_path) as journal:
        found = journal.find(one.fingerprint())
    assert found is not None
    assert (found.wire, found.sid, found.again) == (kept.wire, kept.sid, True)


def test_a_line_cut_short_by_a_crash_is_read_over(tmp_path: Path):
    """What stands before a torn line still counts, and what comes after it too."""
    one, two = draft("a"), draft("b")
    with Journal(tmp_path) as journal:
        journal.keep([(one.fingerprint(), signed(one))])
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"draft":"deadbeef","si')
    with Journal(tmp_path) as journal:
        journal.keep([(two.fingerprint(), signed(two))])
    with Journal(tmp_path) as journal:
        assert journal.find(one.fingerprint()) is not None
        assert journal.find(two.fingerprint()) is not None


@pytest.mark.parametrize("damage", ["", "x", "changed"])
def test_a_damaged_statement_file_is_not_sent(tmp_path: Path, damage: str):
    """An empty, torn or changed file is signed anew rather than believed."""
    one = draft("a")
    with Journal(tmp_path) as journal:
        (kept,) = journal.keep([(one.fingerprint(), signed(one))])
        path = tmp_path / f"{kept.sid}.sdjwt"
        path.write_text(signed(draft("b")) if damage == "changed" else damage)
        assert journal.find(one.fingerprint()) is None


def test_refused_for_good_is_signed_anew_and_waiting_is_not(tmp_path: Path):
    """A refused draft may be corrected elsewhere (a mandate, a clock) and signed again; one that only waits keeps its bytes."""
    one, two = draft("a"), draft("b")
    with Journal(tmp_path) as journal:
        first, second = journal.keep([(one.fingerprint(), signed(one)), (two.fingerprint(), signed(two))])
        journal.settle([(first.sid, "refused"), (second.sid, "waiting")], {})
        assert journal.find(one.fingerprint()) is None
        assert journal.find(two.fingerprint()) is not None


def test_receipts_are_written_once_and_stay(tmp_path: Path):
    """The first receipt of a statement is the evidence; a later proof does not overwrite it."""
    one = draft("a")
    with Journal(tmp_path) as journal:
        (kept,) = journal.keep([(one.fingerprint(), signed(one))])
        journal.settle([(kept.sid, "accepted")], {kept.sid: "first — \n"})
        journal.settle([(kept.sid, "known")], {kept.sid: "second\n"})
        assert journal.accepted() == [kept.sid]
    assert (tmp_path / f"{kept.sid}.receipt.txt").read_text("utf-8") == "first — \n"


def test_two_processes_never_share_a_journal(tmp_path: Path):
    """The second one is told to wait; nothing is signed twice."""
    with Journal(tmp_path), pytest.raises(Unavailable, match="--out"), Journal(tmp_path):
        pass


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path):
    """0600, or the command says how to make it so."""
    path = tmp_path / "key.jwk"
    path.write_text(json.dumps(KEY.to_jwk()))
    path.chmod(0o644)
    with pytest.raises(BadRequest, match="chmod 600"):
        read_key(path)
    path.chmod(0o600)
    assert read_key(path).kid == KEY.kid
    path.write_text("[]")
    with pytest.raises(Malformed):
        read_key(path)
