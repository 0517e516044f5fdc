"""Views: buckets, the tree over them, heads and answers, beyond the shared vectors."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidProof, Malformed
from app.domain.merkle import EMPTY_ROOT, root_of
from app.domain.view import (
    BucketAnswer,
    BucketEntry,
    BucketTree,
    ListedItem,
    ViewHead,
    ViewOrigin,
    bucket_leaf,
    encode_bucket,
    entries_of,
    parse_bucket,
    parse_head,
    verify_answer,
)

EMPTY = BucketTree.build({})
KEY = bytes.fromhex("3d56") + bytes(30)
NEXT = bytes.fromhex("3d56") + bytes(29) + b"\x01"
ENTRY = BucketEntry(KEY, 3, 7, (bytes(16), bytes([1]) * 16))
ORIGINS = (ViewOrigin("a.example/log", 0, EMPTY_ROOT, 0), ViewOrigin("b.example/log", 3, bytes(32), 9))
HEAD = ViewHead("a.example/view/green", 1_790_000_060, bytes(32), bytes(32), ORIGINS)


def test_the_worst_item_speaks_for_an_id():
    """Highest severity, its lowest category, and each statement once."""
    sids = ["A" * 43, "B" * 42 + "A", "A" * 43]
    items = [ListedItem(KEY, severity, category, sid) for severity, category, sid in zip((1, 3, 3), (1, 9, 7), sids, strict=True)]
    (entry,) = entries_of(items)
    assert (entry.severity, entry.category, len(entry.sids)) == (3, 7, 2)
    assert entries_of([]) == []


def broken_buckets():
    good = ENTRY.encode()
    return {
        "cut": good[:-1],
        "cut before its count": good[:34],
        "severity 5": BucketEntry(KEY, 5, 7, ENTRY.sids).encode(),
        "no statement": BucketEntry(KEY, 3, 7, ()).encode(),
        "statements not ascending": BucketEntry(KEY, 3, 7, ENTRY.sids[::-1]).encode(),
        "a statement twice": BucketEntry(KEY, 3, 7, ENTRY.sids[:1] * 2).encode(),
        "an id twice": good * 2,
        "ids not ascending": BucketEntry(NEXT, 3, 7, ENTRY.sids).encode() + good,
        "of another bucket": BucketEntry(bytes(32), 3, 7, ENTRY.sids).encode(),
    }


@pytest.mark.parametrize("name", broken_buckets())
def test_a_bucket_of_another_form_is_refused_under_a_good_proof(name):
    """What no honest node writes is refused although the path and the root are right."""
    data = broken_buckets()[name]
    tree = EMPTY.updated({0x3D56: data})
    with pytest.raises(Malformed):
        verify_answer(KEY, BucketAnswer(0x3D56, data, tree.path(0x3D56)), root=tree.root)


def test_an_answer_proves_both_ways():
    """One bucket proves the listed id listed and its neighbour not listed, under one root."""
    data = encode_bucket([ENTRY])
    tree = EMPTY.updated({0x3D56: data})
    answer = BucketAnswer(0x3D56, data, tree.path(0x3D56))
    assert verify_answer(KEY, answer, root=tree.root) == ENTRY
    assert verify_answer(NEXT, answer, root=tree.root) is None
    assert parse_bucket(data, 0x3D56) == (ENTRY,)


def test_an_answer_does_not_speak_for_another_bucket():
    """An honest answer for one bucket says nothing of an id in another, whatever number it is given."""
    other = bytes.fromhex("3d57") + bytes(30)
    honest = BucketAnswer(0x3D56, b"", EMPTY.path(0x3D56))
    assert verify_answer(KEY, honest, root=EMPTY.root) is None
    with pytest.raises(InvalidProof, match="bucket 3d56"):
        verify_answer(other, honest, root=EMPTY.root)
    with pytest.raises(InvalidProof):
        verify_answer(other, BucketAnswer(0x3D57, b"", honest.path), root=EMPTY.root)


def test_an_update_hashes_to_what_a_build_would():
    """A tree that moved bucket by bucket has the root of one built at once, and the old tree stays as it was."""
    data = encode_bucket([ENTRY])
    moved = EMPTY.updated({0: b"x"}).updated({0x3D56: data, 0xFFFF: b"y"}).updated({0: b""})
    leaves = [bucket_leaf(number, {0x3D56: data, 0xFFFF: b"y"}.get(number, b"")) for number in range(65_536)]
    assert moved.root == root_of(leaves)
    assert EMPTY.root.hex() == "c1a1904fcc4c7a483c4769614e3b33e6fe0ac993dcb762bceb26658877388805"


def test_a_head_is_read_back_sorted():
    """Origins are written in order whatever order they came in; an empty vector is a head too."""
    assert parse_head(HEAD.text()) == HEAD
    assert ViewHead(HEAD.name, HEAD.as_of, HEAD.root, HEAD.policy, ORIGINS[::-1]).text() == HEAD.text()
    bare = ViewHead(HEAD.name, 0, HEAD.root, HEAD.policy, ())
    assert parse_head(bare.text()) == bare


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("/v1", "/v2"),
        lambda text: text.replace("policy ", "policy"),
        lambda text: text.replace("b.example/log 3", "a.example/log 3"),
        lambda text: text.replace("b.example/log 3", "b.example/log 0"),
        lambda text: text.replace(" 9\n", "  9\n"),
        lambda text: text.replace(" 9\n", " 09\n"),
        lambda text: text.replace("a.example/view/green", ""),
    ],
)
def test_what_is_no_head(change):
    """Every other spelling of a head is refused."""
    with pytest.raises(Malformed):
        parse_head(change(HEAD.text()))
