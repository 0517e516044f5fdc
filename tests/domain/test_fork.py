"""Fork evidence as text, and the contradiction in it, taking the two notes as signed."""

from __future__ import annotations

import pytest

from app.domain.checkpoint import Checkpoint
from app.domain.errors import InvalidProof, Malformed, TooLarge
from app.domain.fork import ForkEvidence, check_contradiction, make_evidence, parse_evidence
from app.domain.merkle import leaf_hash, root_of
from app.domain.tiles import Edge, TileReader

HONEST = [leaf_hash(b"%d" % number) for number in range(300)]
OTHER = [*HONEST[:20], leaf_hash(b"rewritten"), *HONEST[21:]]
ORIGIN = "de.example/log"
NOTE = "a\nb\n"


def checkpoint(leaves, size):
    return Checkpoint(ORIGIN, size, root_of(leaves[:size]))


def tree(leaves):
    tiles = Edge().append(leaves).changed
    return TileReader(lambda level, index: tiles[level, index])


@pytest.mark.parametrize("size", [21, 32, 33, 256, 257, 300])
def test_two_histories_contradict_at_any_size_past_the_fork(size):
    """Evidence is made from the larger tree, powers of two and equal sizes included, and can be read back."""
    evidence = make_evidence((checkpoint(HONEST, size), NOTE), (checkpoint(OTHER, 300), NOTE), read_node=tree(OTHER))
    check_contradiction(checkpoint(HONEST, size), checkpoint(OTHER, 300), evidence.path)
    assert parse_evidence(evidence.text()) == evidence


@pytest.mark.parametrize(("size", "leaves"), [(20, HONEST), (16, HONEST), (300, OTHER), (64, OTHER)])
def test_histories_that_agree_make_no_evidence(size, leaves):
    """Before the fork, and along one branch, there is nothing to show."""
    with pytest.raises(InvalidProof, match="agree"):
        make_evidence((checkpoint(leaves, size), NOTE), (checkpoint(OTHER, 300), NOTE), read_node=tree(OTHER))


def test_two_logs_are_no_fork():
    """Different logs have different roots; that contradicts nothing."""
    b = Checkpoint("fr.example/log", 20, root_of(OTHER[1:21]))
    with pytest.raises(InvalidProof, match="different logs"):
        check_contradiction(checkpoint(HONEST, 20), b, [])


@pytest.mark.parametrize(("size_a", "size_b"), [(0, 0), (0, 20), (21, 20), (-1, 20)])
def test_sizes_that_are_no_evidence(size_a, size_b):
    """The smaller checkpoint comes first, and one of the empty log shows nothing."""
    a, b = Checkpoint(ORIGIN, size_a, HONEST[0]), Checkpoint(ORIGIN, size_b, HONEST[1])
    with pytest.raises(InvalidProof, match="smaller checkpoint first"):
        check_contradiction(a, b, [HONEST[2]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cordon-fork/v1",
        "cordon-fork/v1\n",
        "cordon-fork/v1\na 1\n",
        "cordon-fork/v1\na 0\nb 0\n",
        "cordon-fork/v1\na 0\nb 0\npath 9223372036854775807\n",
        "cordon-fork/v1\na 0\nb 0\npath -1\n",
        "cordon-fork/v1\na 0\nb 0\npath 1\nAAAA\n",
        "cordon-fork/v1\na  0\nb 0\npath 0\n",
        ForkEvidence("", "", (bytes(32),) * 65).text(),
    ],
)
def test_what_is_no_evidence(text):
    """Counts that do not fit, blocks that are missing, paths that no tree has."""
    with pytest.raises(Malformed):
        parse_evidence(text)


def test_evidence_has_a_bound():
    """Two notes fit; a flood does not get taken apart."""
    with pytest.raises(TooLarge):
        parse_evidence("cordon-fork/v1\n" * 200_000)
