"""Checkpoints and receipts as text."""

from __future__ import annotations

import pytest

from app.domain.checkpoint import Checkpoint, TlogProof, parse_checkpoint, parse_proof
from app.domain.errors import Malformed
from app.domain.merkle import EMPTY_ROOT, MAX_PATH

HASH = bytes(range(32))
NOTE = "de.example/log\n9\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— x AAAAAAA=\n"


def test_a_checkpoint_is_three_lines():
    """What is printed is read back; extension lines are read over."""
    checkpoint = Checkpoint("de.example/log", 9, HASH)
    assert checkpoint.text() == NOTE[: NOTE.index("\n\n") + 1]
    assert parse_checkpoint(checkpoint.text()) == parse_checkpoint(checkpoint.text() + "extension\n") == checkpoint
    assert parse_checkpoint(Checkpoint("de.example/log", 0, EMPTY_ROOT).text()).size == 0


@pytest.mark.parametrize("text", ["", "\n\n\n", "a b\n9\n", "de.example/log\n9", "de.example/log\n9\n\n"])
def test_what_is_no_checkpoint(text):
    """Missing lines, an origin that cannot name a key, no last line end."""
    with pytest.raises(Malformed):
        parse_checkpoint(text)


@pytest.mark.parametrize("extra", [None, b"extra", bytes(300)])
@pytest.mark.parametrize("count", [0, 1, MAX_PATH])
def test_a_receipt_is_read_back(extra, count):
    """Index, path, extra and the checkpoint note come back as they were."""
    proof = TlogProof(5, (HASH,) * count, NOTE, extra)
    assert parse_proof(proof.text()) == proof
    assert proof.text().endswith(f"\n\n{NOTE}")


def test_an_empty_extra_is_no_extra():
    """There is one spelling of a receipt that brings nothing beside: without the line."""
    assert TlogProof(5, (), NOTE, b"").text() == TlogProof(5, (), NOTE).text()
    with pytest.raises(Malformed):
        parse_proof(f"c2sp.org/tlog-proof@v1\nextra \nindex 5\n\n{NOTE}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\n\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nindex 1\n\n",
        TlogProof(5, (HASH,) * (MAX_PATH + 1), NOTE).text(),
        TlogProof(5, (HASH,), NOTE + "x" * 1_000_000).text(),
    ],
)
def test_what_is_no_receipt(text):
    """Lines that are missing, out of order or too many."""
    with pytest.raises(Malformed):
        parse_proof(text)
