"""C2SP signed notes as text: signature lines, verifier keys, and nothing that needs a signature to be checked.

A note is UTF-8 text ending in a line end, an empty line, then lines `— <name> <base64(key id 4 ‖ signature)>`; the text is
all before the *last* empty line. No control character but the line end stands in it. One malformed line makes the whole note
malformed, also under an unknown key. Only key types 0x01 (Ed25519) and 0x04 (timestamped Ed25519 cosignature) are used.
Protocol §1.2; checking signatures is `seal/notes.py`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from .canonical import b64_decode
from .errors import Malformed, TooLarge

MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
KEY_ID_BYTES = 4
_DASH = "— "
_NOT_IN_NAME = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class KeyType(IntEnum):
    """The type byte of a note key; it is part of what its key id hashes, so one key pair has another id per type."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, read but not checked."""

    name: str
    key_id: bytes
    body: bytes

    def line(self) -> str:
        """The line with its line end."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.body)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart: `text` ends with its line end, the signatures are in the order of their lines."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public note key: its name, type and 32 bytes; the key id follows from them."""

    name: str
    type: KeyType
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """`<name>+<hex key id>+<base64(type ‖ public)>`."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.type]) + self.public)}"


def to_base64(data: bytes) -> str:
    """Padded standard base64, as every text format of the protocol has it."""
    return b64encode(data).decode("ascii")


def check_name(name: str) -> None:
    """Malformed unless `name` can name a key: not empty, no white space, no plus, no control character."""
    if not name or _NOT_IN_NAME.search(name):
        raise Malformed("a key name is not empty and holds no space and no plus")


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key; Malformed for another spelling, a type not used here, or a key id that is not that of the key."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    check_name(name)
    data = b64_decode(encoded)
    if len(data) != 33 or data[0] not in tuple(KeyType):
        raise Malformed("a verifier key is an Ed25519 key of 32 bytes, of type 0x01 or 0x04")
    key = VerifierKey(name, KeyType(data[0]), data[1:])
    if key_id != key.key_id.hex():
        raise Malformed(f"the key id does not belong to this key: {key.key_id.hex()} would")
    return key


def parse_note(note: str | bytes) -> Note:
    """Take a note apart; Malformed if it is none, TooLarge above 1 MB or 100 signatures."""
    text = _decoded(note)
    body, gap, tail = text.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise Malformed("a signed note is text, an empty line, then signature lines, each with its line end")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise TooLarge(f"a note with more than {MAX_SIGNATURES} signatures is not read")
    return Note(body + "\n", tuple(_parse_line(line) for line in lines))


def check_text(text: str) -> None:
    """Malformed unless `text` can be signed as a note: UTF-8, ending in a line end, without other control characters."""
    if not text.endswith("\n") or text != _decoded(text):
        raise Malformed("the text of a note ends in a line end")


def _decoded(note: str | bytes) -> str:
    if len(note) > MAX_NOTE:
        raise TooLarge("a note above 1 MB is not read")
    try:
        text = note.decode() if isinstance(note, bytes) else note.encode().decode()
    except UnicodeError as fault:
        raise Malformed("a note is UTF-8 text") from fault
    if _CONTROL.search(text):
        raise Malformed("a note holds no control character but the line end \\n")
    return text


def _parse_line(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise Malformed("a signature line begins with an em dash and one space")
    check_name(name)
    data = b64_decode(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise Malformed("a signature line holds a key id of 4 bytes and a signature")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
