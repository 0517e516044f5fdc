"""Buckets, roots, view heads and answers against the protocol vectors."""

from __future__ import annotations

import json

import pytest

from app.domain.errors import InvalidProof, Malformed, Refused
from app.domain.identifiers import id_key
from app.domain.view import (
    BucketAnswer,
    BucketTree,
    ListedItem,
    ViewHead,
    ViewOrigin,
    bucket_leaf,
    encode_bucket,
    entries_of,
    parse_bucket,
    verify_answer,
)
from app.seal.notes import NoteKey, Verifier, read_view_head, sign_note
from tests.paths import VECTORS, needs

CASES = json.loads(needs(VECTORS / "view.json").read_bytes())["cases"]


def cases(kind: str) -> list[object]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] == kind]


def items_of(case: dict) -> list[ListedItem]:
    return [ListedItem(id_key(item["id"]), item["severity"], item["category"], item["sid"]) for item in case["items"]]


def test_no_kind_is_left_out():
    """Each kind of case in the file has a test here."""
    assert {case["kind"] for case in CASES} == {"bucket", "root", "head", "head_open", "answer"}


@pytest.mark.parametrize("case", cases("bucket"))
def test_buckets(case):
    """Active items give the bytes and the leaf of their bucket, in whatever order they come."""
    number = int(case["bucket"], 16)
    entries = entries_of(items_of(case))
    data = encode_bucket(entries)
    assert {entry.bucket for entry in entries} <= {number}
    assert data.hex() == case["expected"]["bytes"]
    assert bucket_leaf(number, data).hex() == case["expected"]["leaf"]
    assert parse_bucket(data, number) == tuple(entries)


@pytest.mark.parametrize("case", cases("root"))
def test_roots(case):
    """All items of a tier give the root over its 65,536 buckets, built at once or grown from the empty tier."""
    entries = entries_of(items_of(case))
    numbers = {entry.bucket for entry in entries}
    buckets = {number: encode_bucket(entry for entry in entries if entry.bucket == number) for number in numbers}
    assert len(buckets) == case["expected"]["filled_buckets"]
    assert BucketTree.build(buckets).root.hex() == case["expected"]["root"]
    assert BucketTree.build({}).updated(buckets).root.hex() == case["expected"]["root"]


@pytest.mark.parametrize("case", cases("head"))
def test_heads(case):
    """The fields of a head give the signed note byte for byte."""
    origins = tuple(ViewOrigin(one["origin"], one["size"], bytes.fromhex(one["root"]), one["age_s"]) for one in case["origins"])
    policy = bytes.fromhex(case["policy_sha256"])
    head = ViewHead(case["name_line"], case["as_of"], bytes.fromhex(case["root"]), policy, origins)
    key = NoteKey.from_seed(case["name_line"], bytes.fromhex(case["seed"]))
    assert key.vkey == case["expected"]["vkey"]
    assert sign_note(head.text(), key) == case["expected"]["note"]


@pytest.mark.parametrize("case", cases("head_open"))
def test_opened_heads(case):
    """A head is read in its one form, under the key of its own name; every other is refused although its signature is good."""
    expected, verifier = case["expected"], Verifier.from_vkey(case["vkey"])
    if not expected["ok"]:
        with pytest.raises(Refused):
            read_view_head(case["note"], [verifier])
        return
    head = read_view_head(case["note"], [verifier])
    assert (head.name, head.as_of, head.root.hex()) == (expected["name"], expected["as_of"], expected["root"])
    assert [{"origin": one.origin, "size": one.size, "age_s": one.age_s} for one in head.origins] == expected["origins"]


@pytest.mark.parametrize("case", cases("answer"))
def test_answers(case):
    """An answer proves listed or not listed with one key, offline; every lie fails."""
    expected = case["expected"]
    path = tuple(bytes.fromhex(value) for value in case["path"])
    answer = BucketAnswer(int(case["bucket"], 16), bytes.fromhex(case["bytes"]), path)

    def check():
        head = read_view_head(case["head"], [Verifier.from_vkey(case["vkey"])])
        return verify_answer(id_key(case["id"]), answer, root=head.root)

    if not expected["ok"]:
        with pytest.raises(Malformed if expected["reason"] == "malformed" else InvalidProof):
            check()
        return
    entry = check()
    if expected["result"] == "not_listed":
        assert entry is None
    else:
        assert (entry.severity, entry.category) == (expected["severity"], expected["category"])
        assert [sid.hex() for sid in entry.sids] == expected["sid16"]
