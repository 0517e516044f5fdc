"""Claims of screening receipts: one form, everything else refused."""

from __future__ import annotations

import pytest

from app.domain.errors import Malformed
from app.domain.screening_receipt import Hit, ScreeningReceipt, Told, hits_of, question, read_claims

RECEIPT = ScreeningReceipt(
    issuer="de.example",
    subject="de.exchange",
    issued_at=2,
    rid="A" * 22,
    as_of=1,
    view="0" * 64,
    degraded=False,
    questions=(question(bytes(16), "x"), question(bytes(16), "y")),
    matches=("listed", "not_listed"),
    hits=(Hit(0, "de.example/log", 4, "s"),),
)
BAD = {
    "a member more": {"more": 1},
    "a number as text": {"iat": "2"},
    "true as a number": {"iat": True},
    "before 1970": {"as_of": -1},
    "no rid": {"rid": ""},
    "a view in upper case": {"view": "A" * 64},
    "degraded as a word": {"degraded": "no"},
    "a word for a question missing": {"r": ["listed"]},
    "an unknown word": {"r": ["listed", "clean"]},
    "a question that is no digest": {"q": ["x", "y"]},
    "questions that are no texts": {"q": [1, 2]},
    "hits as an object": {"hits": {}},
    "a hit for no question": {"hits": [{"q": 2, "o": "x", "i": 0, "sid": "s"}]},
    "a hit with a member more": {"hits": [{"q": 0, "o": "x", "i": 0, "sid": "s", "t": 1}]},
}


def test_claims_read_back_as_written():
    """What is signed is what is read."""
    assert read_claims(RECEIPT.claims()) == RECEIPT
    assert (RECEIPT.find(bytes(16), "y"), RECEIPT.find(bytes(16), "z")) == (1, None)


@pytest.mark.parametrize("name", BAD)
def test_another_form_is_refused(name):
    """One fault is enough, and every member is needed."""
    with pytest.raises(Malformed):
        read_claims({**RECEIPT.claims(), **BAD[name]})


@pytest.mark.parametrize("name", RECEIPT.claims())
def test_each_claim_is_needed(name):
    """Left out, it is missed."""
    with pytest.raises(Malformed):
        read_claims({claim: value for claim, value in RECEIPT.claims().items() if claim != name})


def test_a_statement_is_told_once_a_row():
    """Two items of one statement are one hit."""
    rows = [Told("a", "not_listed"), Told("b", "listed", (("o", 1, "s"), ("o", 1, "s"), ("o", 2, "t")))]
    assert hits_of(rows) == (Hit(1, "o", 1, "s"), Hit(1, "o", 2, "t"))
