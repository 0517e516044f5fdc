"""The grammar of signed notes and of verifier keys, without any signature being checked."""

from __future__ import annotations

import pytest

from app.domain.errors import Malformed, TooLarge
from app.domain.note import KeyType, NoteSignature, VerifierKey, check_text, parse_note, parse_vkey, to_base64

LINE = NoteSignature("de.example/log", b"\x01\x02\x03\x04", b"signature").line()


def test_a_note_comes_apart():
    """Text, and every signature line with its name, key id and body."""
    note = parse_note(f"one\ntwo\n\n{LINE}{LINE}")
    assert note.text == "one\ntwo\n"
    assert note.signatures == (NoteSignature("de.example/log", b"\x01\x02\x03\x04", b"signature"),) * 2
    assert parse_note(f"one\ntwo\n\n{LINE}{LINE}".encode()) == note


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        "text\n\n",
        "text\n\n\n" + LINE + "x",
        f"text\n{LINE}",
        f"text\n\n{LINE[:-1]}",
        f"text\n\n{LINE}\n",
        f"text\n\n{LINE}text\n",
        f"text\n\n {LINE}",
        f"text\n\n— {LINE}",
        f"text\n\n—de.example {to_base64(bytes(68))}\n",
        f"text\n\n— de+example {to_base64(bytes(68))}\n",
        f"text\n\n— de\u00a0example {to_base64(bytes(68))}\n",
        f"text\n\n—  {to_base64(bytes(68))}\n",
        f"text\n\n— de.example {to_base64(bytes(4))}\n",
        "text\n\n— de.example \n",
        "text\n\n— de.example\n",
        f"te\txt\n\n{LINE}",
        f"te\ud800xt\n\n{LINE}",
    ],
)
def test_what_is_no_note(note):
    """One malformed line, one control character, one missing line end: not a note."""
    with pytest.raises(Malformed):
        parse_note(note)


def test_notes_have_bounds():
    """A hundred signatures are read, more are not; nor is more than a megabyte."""
    assert len(parse_note("text\n\n" + LINE * 100).signatures) == 100
    with pytest.raises(TooLarge):
        parse_note("text\n\n" + LINE * 101)
    with pytest.raises(TooLarge):
        parse_note("x" * 1_000_000 + f"\n\n{LINE}")


@pytest.mark.parametrize("text", ["", "no line end", "a\rb\n", "a\x00\n", "\ud800\n"])
def test_what_cannot_be_signed(text):
    """Only what can be read back as a note is signed."""
    with pytest.raises(Malformed):
        check_text(text)


def test_one_pair_under_two_types_has_two_ids():
    """The key id hashes name, type and key: a heartbeat line never passes for a log line."""
    ids = {VerifierKey(name, key_type, bytes(32)).key_id for name in ("a", "b") for key_type in KeyType}
    assert len(ids) == 4


@pytest.mark.parametrize("text", ["", "a", "a+", "a+00000000", "a+00000000+", "a+00000000+!", "a++AQ=="])
def test_what_is_no_verifier_key(text):
    """A verifier key has three fields, and its id is that of the key."""
    with pytest.raises(Malformed):
        parse_vkey(text)


def test_verifier_keys_of_other_types_are_refused():
    """ECDSA, tree heads of RFC 6962 and ML-DSA are not used, and not guessed at."""
    for key_type in (0, 2, 3, 5, 6, 255):
        with pytest.raises(Malformed, match="0x01 or 0x04"):
            parse_vkey(f"a+00000000+{to_base64(bytes([key_type]) + bytes(32))}")
