"""Signed notes: who may sign what, what counts as fresh, and receipts from the key to the reader."""

from __future__ import annotations

import pytest

from app.domain.checkpoint import Checkpoint
from app.domain.errors import InvalidProof, Malformed
from app.domain.fork import make_evidence
from app.domain.merkle import inclusion_path, leaf_hash, root_of
from app.domain.note import KeyType
from app.domain.tiles import Edge, TileReader
from app.domain.view import ViewHead
from app.seal.notes import (
    NoteKey,
    Verifier,
    add_lines,
    cosign,
    make_receipt,
    open_note,
    read_checkpoint,
    read_freshness,
    read_view_head,
    read_vkeys,
    sign_note,
    verify_fork,
    verify_receipt,
)

ORIGIN = "de.example/log"
LOG = NoteKey.from_seed(ORIGIN, b"\x01" * 32)
NEXT_LOG = NoteKey.from_seed(ORIGIN, b"\x02" * 32)
HEARTBEAT = NoteKey.from_seed("de.example/heartbeat", b"\x03" * 32, key_type=KeyType.COSIGNATURE)
WITNESS = NoteKey.from_seed("fr.example/witness", b"\x04" * 32, key_type=KeyType.COSIGNATURE)
KEYS = read_vkeys([LOG.vkey, HEARTBEAT.vkey])
WITNESSES = read_vkeys([WITNESS.vkey])

ENTRIES = [b"%d entry" % number for number in range(300)]
GROWN = Edge().append(leaf_hash(entry) for entry in ENTRIES)
CHECKPOINT = Checkpoint(ORIGIN, 300, GROWN.root)
NOTE = sign_note(CHECKPOINT.text(), LOG)


def path_of(index):
    return inclusion_path(index, 300, TileReader(lambda *key: GROWN.changed[key]))


def test_a_checkpoint_with_its_heartbeat_is_read():
    """Log and heartbeat keys stand side by side in a root document; each does its own part."""
    note = add_lines(NOTE, cosign(CHECKPOINT.text(), HEARTBEAT, time=1000))
    assert read_checkpoint(note, ORIGIN, verifiers=KEYS) == CHECKPOINT
    freshness = read_freshness(note, KEYS, now=1060)
    assert (freshness.age_s, freshness.stale) == (60, False)


def test_a_heartbeat_alone_makes_no_checkpoint():
    """A cosignature says when, not what: without a line of the log key there is no checkpoint."""
    only = add_lines(CHECKPOINT.text() + "\n", cosign(CHECKPOINT.text(), HEARTBEAT, time=1000))
    with pytest.raises(InvalidProof, match="no log key"):
        read_checkpoint(only, ORIGIN, verifiers=KEYS)


def test_a_key_of_another_name_makes_no_checkpoint():
    """A trusted 0x01 key signs for the origin that it is named after, and for no other."""
    other = NoteKey.from_seed("fr.example/log", b"\x05" * 32)
    with pytest.raises(InvalidProof, match="no log key"):
        read_checkpoint(sign_note(CHECKPOINT.text(), other), ORIGIN, verifiers=read_vkeys([LOG.vkey, other.vkey]))


def test_a_log_key_speaks_for_its_own_log_only():
    """A log that signs a checkpoint of another log is not believed, by those who ask for either."""
    foreign = Checkpoint("fr.example/log", 300, GROWN.root).text()
    for origin in (ORIGIN, "fr.example/log"):
        with pytest.raises(InvalidProof):
            read_checkpoint(sign_note(foreign, LOG), origin, verifiers=KEYS)


def test_a_cosigner_named_like_the_log_makes_no_checkpoint():
    """The type of the key decides, not its name: a 0x04 line never stands for the 0x01 line."""
    twin = NoteKey.from_seed(ORIGIN, b"\x01" * 32, key_type=KeyType.COSIGNATURE)
    only = add_lines(CHECKPOINT.text() + "\n", cosign(CHECKPOINT.text(), twin, time=1000))
    with pytest.raises(InvalidProof, match="no log key"):
        read_checkpoint(only, ORIGIN, verifiers=read_vkeys([LOG.vkey, twin.vkey]))


def test_during_a_rotation_both_keys_sign():
    """In the overlap a reader who knows either key, or both, reads the checkpoint."""
    note = sign_note(CHECKPOINT.text(), LOG, NEXT_LOG)
    for vkeys in ([LOG.vkey], [NEXT_LOG.vkey], [LOG.vkey, NEXT_LOG.vkey]):
        assert read_checkpoint(note, ORIGIN, verifiers=read_vkeys(vkeys)) == CHECKPOINT


def test_of_two_lines_of_one_cosigner_the_newer_counts():
    """A renewed heartbeat makes the checkpoint younger, whichever line comes first, and is counted once."""
    lines = [cosign(CHECKPOINT.text(), HEARTBEAT, time=time) for time in (1000, 1050)]
    for order in (lines, lines[::-1]):
        freshness = read_freshness(add_lines(NOTE, *order), KEYS, now=1060)
        assert [(one.name, one.time) for one in freshness.cosignatures] == [("de.example/heartbeat", 1050)]
        assert freshness.age_s == 10


def test_a_key_signs_only_as_its_type():
    """A heartbeat key never signs a plain note, nor a log key a time."""
    with pytest.raises(ValueError, match="type 0x04"):
        sign_note(CHECKPOINT.text(), HEARTBEAT)
    with pytest.raises(ValueError, match="type 0x01"):
        cosign(CHECKPOINT.text(), LOG, time=1)


@pytest.mark.parametrize("time", [-1, 2**63])
def test_a_time_that_cannot_be_is_not_signed(time):
    """Times run from 0 to 2^63-1."""
    with pytest.raises(ValueError, match="time"):
        cosign(CHECKPOINT.text(), WITNESS, time=time)


def test_only_checkpoints_are_cosigned():
    """A witness key does not put its name under a text that is no checkpoint."""
    with pytest.raises(Malformed):
        cosign("anything\n", WITNESS, time=1)


def test_what_cannot_be_read_is_not_signed():
    """Text without its line end would make a note that nobody can open."""
    with pytest.raises(Malformed):
        sign_note("no line end", LOG)


@pytest.mark.parametrize(("name", "seed"), [("", bytes(32)), ("a b", bytes(32)), ("a+b", bytes(32)), ("a", bytes(31))])
def test_a_key_needs_a_name_and_32_bytes(name, seed):
    """A key that no vkey could describe is not made."""
    with pytest.raises(Malformed):
        NoteKey.from_seed(name, seed)


def test_a_private_key_does_not_print_itself():
    """Logs and tracebacks show the public side only."""
    assert "rivate" not in repr(LOG)
    assert LOG.name in repr(LOG)


def test_verifiers_compare_by_their_key():
    """The same vkey read twice is the same verifier."""
    assert Verifier.from_vkey(LOG.vkey) == KEYS[0]
    assert len({*KEYS, *read_vkeys([LOG.vkey])}) == 2


def test_a_receipt_is_verified_offline():
    """Entry, receipt and keys are enough; the witnesses that the reader knows are named with their times."""
    note = add_lines(NOTE, cosign(CHECKPOINT.text(), WITNESS, time=1000), cosign(CHECKPOINT.text(), HEARTBEAT, time=1001))
    for index in (0, 255, 256, 299):
        text = make_receipt(index, path_of(index), checkpoint_note=note, extra=b"x")
        receipt = verify_receipt(text, leaf_hash(ENTRIES[index]), origin=ORIGIN, log_keys=KEYS, witness_keys=WITNESSES)
        assert (receipt.index, receipt.size, receipt.extra) == (index, 300, b"x")
        assert [(one.name, one.time) for one in receipt.cosignatures] == [("fr.example/witness", 1000)]
        assert receipt.cosigners == ("fr.example/witness",)


def test_a_receipt_without_known_witnesses_still_verifies():
    """Submission never waits for a witness: the receipt verifies, and names none."""
    receipt = verify_receipt(make_receipt(7, path_of(7), checkpoint_note=NOTE), leaf_hash(ENTRIES[7]), origin=ORIGIN, log_keys=KEYS)
    assert (receipt.cosigners, receipt.extra) == ((), None)


@pytest.mark.parametrize("fault", ["entry", "index", "path", "root", "origin", "key"])
def test_a_receipt_with_one_fault_is_refused(fault):
    """Another entry, place, path, root, log or key: none of them verifies."""
    index, path, note, keys, origin, leaf = 7, path_of(7), NOTE, KEYS, ORIGIN, leaf_hash(ENTRIES[7])
    match fault:
        case "entry":
            leaf = leaf_hash(ENTRIES[8])
        case "index":
            index = 8
        case "path":
            path = path_of(8)
        case "root":
            note = sign_note(Checkpoint(ORIGIN, 300, root_of([])).text(), LOG)
        case "origin":
            origin = "de.example/log/2"
        case "key":
            keys = read_vkeys([NEXT_LOG.vkey])
    with pytest.raises(InvalidProof):
        verify_receipt(make_receipt(index, path, checkpoint_note=note), leaf, origin=origin, log_keys=keys)


def test_a_fork_is_proved_from_two_signed_notes():
    """A log that signed two histories is caught by one text; without its signature the same text is nothing."""
    other = Edge().append(leaf_hash(entry + b"!") for entry in ENTRIES[:200])
    small = Checkpoint(ORIGIN, 200, other.root)
    read_node = TileReader(lambda *key: GROWN.changed[key])
    evidence = make_evidence((small, sign_note(small.text(), LOG)), (CHECKPOINT, NOTE), read_node=read_node)
    assert verify_fork(evidence.text(), ORIGIN, log_keys=KEYS) == (small, CHECKPOINT)
    framed = make_evidence((small, sign_note(small.text(), NEXT_LOG)), (CHECKPOINT, NOTE), read_node=read_node)
    with pytest.raises(InvalidProof):
        verify_fork(framed.text(), ORIGIN, log_keys=KEYS)


def test_a_view_head_is_signed_by_the_key_of_its_view():
    """A head counts under the key named like the view; a key of the other tier does not speak for it."""
    green, clear = (NoteKey.from_seed(f"de.example/view/{tier}", b"\x06" * 32) for tier in ("green", "clear"))
    head = ViewHead(green.name, 1000, bytes(32), bytes(32), ())
    keys = read_vkeys([green.vkey, clear.vkey])
    assert read_view_head(sign_note(head.text(), green), keys) == head
    with pytest.raises(InvalidProof):
        read_view_head(sign_note(head.text(), clear), keys)


def test_a_note_without_known_keys_is_not_opened():
    """Trusting nobody opens nothing."""
    with pytest.raises(InvalidProof, match="no known key"):
        open_note(NOTE, [])
