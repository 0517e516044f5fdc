"""Signed notes, checkpoints, cosignatures and receipts against the protocol vectors; Ed25519 against Wycheproof."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from app.domain.errors import InvalidProof, Malformed
from app.domain.merkle import leaf_hash
from app.domain.note import KeyType, VerifierKey, parse_vkey
from app.seal.notes import (
    NoteKey,
    Verifier,
    cosign,
    make_receipt,
    open_note,
    read_checkpoint,
    read_freshness,
    read_vkeys,
    sign_note,
    verify_receipt,
)
from tests.paths import DATA, VECTORS, needs


def load(name: str) -> list[dict]:
    return json.loads(needs(VECTORS / name).read_bytes())["cases"]


def params(found: list[dict]) -> list[object]:
    return [pytest.param(case, id=case["name"]) for case in found]


def cases(name: str, kind: str) -> list[object]:
    return params([case for case in load(name) if case["kind"] == kind])


def refusal(expected: dict) -> type[Exception]:
    """What cannot be read is Malformed; every other refusal means that something does not verify."""
    return Malformed if expected.get("reason", "malformed") == "malformed" else InvalidProof


def note_of(case: dict) -> str | bytes:
    return case["note"] if "note" in case else bytes.fromhex(case["note_hex"])


def test_no_kind_is_left_out():
    """Each kind of case in the files has a test here."""
    assert {case["kind"] for case in load("notes.json")} == {"vkey", "sign", "open", "checkpoint"}
    assert {case["kind"] for case in load("cosignature.json")} == {"sign", "open"}


@pytest.mark.parametrize("case", cases("notes.json", "vkey"))
def test_vkeys(case):
    """A verifier key is read in its one spelling and written back so."""
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(Malformed):
            parse_vkey(case["vkey"])
        return
    key = parse_vkey(case["vkey"])
    assert (key.name, key.key_id.hex(), int(key.type), key.public.hex()) == tuple(
        expected[member] for member in ("name", "key_id", "type", "public")
    )
    assert key.text() == case["vkey"]


@pytest.mark.parametrize("case", cases("notes.json", "sign"))
def test_signing(case):
    """A seed and a text give the note byte for byte."""
    key = NoteKey.from_seed(case["key_name"], bytes.fromhex(case["seed"]), key_type=KeyType(case["type"]))
    assert key.vkey == case["expected"]["vkey"]
    assert sign_note(case["text"], key) == case["expected"]["note"]


@pytest.mark.parametrize("case", cases("notes.json", "open"))
def test_opening(case):
    """Known keys are named in the order of their lines, each once; a note with any fault is refused whole."""
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(refusal(expected)):
            open_note(note_of(case), read_vkeys(case["vkeys"]))
        return
    opened = open_note(note_of(case), read_vkeys(case["vkeys"]))
    assert opened.text == expected["text"]
    verified = [{"name": one.key.name, "id": one.key.key_id.hex(), "type": int(one.key.type)} for one in opened.verified]
    assert verified == expected["verified"]


@pytest.mark.parametrize("case", cases("notes.json", "checkpoint"))
def test_checkpoints(case):
    """A checkpoint counts for the origin asked for, under a key of that origin, in its one spelling."""
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(refusal(expected)):
            read_checkpoint(case["note"], case["origin"], verifiers=read_vkeys(case["vkeys"]))
        return
    checkpoint = read_checkpoint(case["note"], case["origin"], verifiers=read_vkeys(case["vkeys"]))
    assert (checkpoint.origin, checkpoint.size, checkpoint.root.hex()) == (case["origin"], expected["size"], expected["root"])


@pytest.mark.parametrize("case", cases("cosignature.json", "sign"))
def test_cosigning(case):
    """A seed, a checkpoint and a time give the 0x04 line byte for byte."""
    key = NoteKey.from_seed(case["key_name"], bytes.fromhex(case["seed"]), key_type=KeyType(case["type"]))
    assert key.vkey == case["expected"]["vkey"]
    assert cosign(case["text"], key, time=case["time"]) == case["expected"]["line"]


@pytest.mark.parametrize("case", cases("cosignature.json", "open"))
def test_freshness(case):
    """The newest cosignature that counts gives the age; a bad line of a known cosigner spoils the note."""
    expected, cosigners = case["expected"], read_vkeys(case["cosigner_vkeys"])
    assert read_checkpoint(case["note"], case["origin"], verifiers=read_vkeys(case["log_vkeys"])).origin == case["origin"]
    if not expected["ok"]:
        with pytest.raises(refusal(expected)):
            read_freshness(case["note"], cosigners, now=case["now"])
        return
    freshness = read_freshness(case["note"], cosigners, now=case["now"])
    assert [{"name": one.name, "time": one.time} for one in freshness.cosignatures] == expected["cosignatures"]
    assert (freshness.age_s, freshness.stale) == (expected["age_s"], expected["stale"])


@pytest.mark.parametrize("case", params(load("tlog_proof.json")))
def test_receipts(case):
    """A receipt verifies offline from its text, the entry and the keys alone, or is refused."""
    expected, leaf = case["expected"], bytes.fromhex(case["leaf_hash"])
    assert case["entry"] is None or leaf_hash(bytes.fromhex(case["entry"])) == leaf

    def check():
        keys = {"log_keys": read_vkeys(case["log_vkeys"]), "witness_keys": read_vkeys(case["witness_vkeys"])}
        return verify_receipt(case["proof"], leaf, origin=case["origin"], **keys)

    if not expected["ok"]:
        with pytest.raises(refusal(expected)):
            check()
        return
    receipt = check()
    assert (receipt.index, receipt.size) == (expected["index"], expected["size"])
    assert (receipt.extra.hex() if receipt.extra else None) == expected["extra"]
    assert list(receipt.cosigners) == expected["cosigners"]


@pytest.mark.parametrize("case", [case for case in load("tlog_proof.json") if case["expected"]["ok"]], ids=lambda case: case["name"])
def test_receipts_are_written_as_the_vectors_have_them(case):
    """Index, path, checkpoint and extra give the receipt back, byte for byte."""
    head, _, checkpoint = case["proof"].partition("\n\n")
    path = [line for line in head.split("\n")[1:] if not line.startswith(("index ", "extra "))]
    hashes = [b64decode(line) for line in path]
    extra = bytes.fromhex(case["expected"]["extra"] or "")
    assert make_receipt(case["expected"]["index"], hashes, checkpoint_note=checkpoint, extra=extra) == case["proof"]


def wycheproof() -> list[object]:
    groups = json.loads(needs(DATA / "vectors" / "wycheproof" / "ed25519_test.json").read_bytes())["testGroups"]
    return [
        pytest.param(group["publicKey"]["pk"], test, id=f"tc{test['tcId']}-{test['comment'] or test['result']}")
        for group in groups
        for test in group["tests"]
    ]


@pytest.mark.parametrize(("public", "test"), wycheproof())
def test_wycheproof_ed25519(public, test):
    """Ed25519 accepts and refuses what Wycheproof says, lengths and encodings included."""
    key = VerifierKey("wycheproof.example", KeyType.ED25519, bytes.fromhex(public))
    verifier = Verifier.from_vkey(key.text())
    message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
    if test["result"] == "valid":
        assert verifier.verify(message, signature) is None
    else:
        with pytest.raises(InvalidProof):
            verifier.verify(message, signature)
