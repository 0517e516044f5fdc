"""Bytes to text: gzip is bounded, stray bytes are read, nothing half."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from app.domain.errors import Malformed, TooLarge
from app.formats import files
from app.formats.files import decode, source


def test_gzip_is_known_by_its_first_bytes_and_digested_as_it_came() -> None:
    """The evidence digest is over the packed file, which is what an agency can show; several members are one file."""
    packed = gzip.compress(b"a\n", mtime=0) + gzip.compress(b"b\n", mtime=0)
    read = source("list.txt.gz", packed)
    assert (read.name, read.data, read.sha256) == ("list.txt", b"a\nb\n", hashlib.sha256(packed).hexdigest())
    assert source("list.txt", b"a\n").name == "list.txt"


def test_a_bomb_is_refused_while_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap is on the output, whatever the ratio."""
    monkeypatch.setattr(files, "MAX_UNPACKED", 1_000)
    assert source("x", gzip.compress(bytes(1_000))).data == bytes(1_000)
    with pytest.raises(TooLarge):
        source("x", gzip.compress(bytes(1_001)))
    with pytest.raises(TooLarge):
        source("x", gzip.compress(bytes(600)) + gzip.compress(bytes(600)))


@pytest.mark.parametrize(
    "spoilt", [gzip.compress(b"hello", mtime=0)[:-3], gzip.compress(b"hello", mtime=0) + b"rest", b"\x1f\x8b\x08junk", b"\x1f\x8b"]
)
def test_unsound_gzip_is_malformed(spoilt: bytes) -> None:
    """A cut or patched file is no file: nothing of it is read."""
    with pytest.raises(Malformed):
        source("x.gz", spoilt)


def test_too_large_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain files have a cap of their own, and so has the number of rows."""
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(TooLarge):
        source("x", bytes(11))
    monkeypatch.setattr(files, "MAX_ROWS", 3)
    with pytest.raises(TooLarge):
        decode(source("x", b"\n" * 5))


def test_windows_1252_bytes_are_read_line_by_line() -> None:
    """A UTF-8 line stays UTF-8 though another is not; what is neither is marked as broken."""
    text = decode(source("x", b"\xef\xbb\xbfcaf\xc3\xa9\nit\x92s\n\x81\nlast"))
    assert text.lines == ["café\n", "it’s\n", "\ufffd\n", "last"]
    assert (text.repaired, text.broken) == ({2}, {3})


def test_lines_end_at_line_feeds_only() -> None:
    """A carriage return or a Unicode line separator inside a line is not an end of it."""
    assert decode(source("x", "a\r\nb\u2028c\rd\n".encode())).lines == ["a\r\n", "b\u2028c\rd\n"]
    assert decode(source("x", b"")).lines == []


def test_utf16_says_what_to_do() -> None:
    """Spreadsheets offer it as `Unicode text`."""
    with pytest.raises(Malformed, match="UTF-8"):
        decode(source("x", "a,b".encode("utf-16")))
