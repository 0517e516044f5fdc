"""From bytes to text, bounded: gzip with an output cap, UTF-8 with a way back for stray Windows-1252 bytes, lines with numbers.

Packs of tags compress by a factor of two to six, lists of domains by more; a fixed factor would refuse honest files, so the cap
is absolute: 64 MiB out of any gzip file, 128 MiB for a plain one, a million rows, 16 KiB a row.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace

from app.domain.errors import Malformed, TooLarge

from .interface import Source

MAX_BYTES = 128 * 2**20
MAX_UNPACKED = 64 * 2**20
MAX_ROWS = 1_000_000
MAX_ROW_CHARS = 16 * 2**10

_GZIP = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def source(name: str, data: bytes) -> Source:
    """The file with its digest taken over the bytes as they came, packed or not: that is what an agency can show."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"{name} is larger than {MAX_BYTES >> 20} MiB: split it")
    return unpacked(Source(name, data, hashlib.sha256(data).hexdigest()))


def unpacked(packed: Source) -> Source:
    """Unpack gzip by its magic bytes, whatever the name says; the name loses its `.gz`."""
    if not packed.data.startswith(_GZIP):
        return packed
    name = packed.name.removesuffix(".gz")
    return replace(packed, name=name, data=_gunzip(packed.data, packed.name))


def _gunzip(data: bytes, name: str) -> bytes:
    """All members of a gzip file, at most MAX_UNPACKED bytes; the output is bounded while it grows, not afterwards."""
    out: list[bytes] = []
    room = MAX_UNPACKED
    while data:
        engine = zlib.decompressobj(wbits=31)
        try:
            chunk = engine.decompress(data, room + 1)
        except zlib.error as exc:
            raise Malformed(f"{name} is not sound gzip: pack it again") from exc
        room -= len(chunk)
        if room < 0:
            raise TooLarge(f"{name} unpacks to more than {MAX_UNPACKED >> 20} MiB: split it")
        if not engine.eof:
            raise Malformed(f"{name} is cut short: fetch it again")
        out.append(chunk)
        data = engine.unused_data
    return b"".join(out)


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded lines (with their line ends) and, by line number from 1, what was wrong with the bytes of a line."""

    lines: list[str]
    repaired: frozenset[int]
    broken: frozenset[int]


def decode(given: Source) -> Text:
    """UTF-8 lines; a line that is not UTF-8 is read as Windows-1252 (`repaired`), one that is neither is `broken`.

    Raises Malformed for UTF-16 and TooLarge past a million lines.
    """
    data = given.data
    if data.startswith(_UTF16_BOMS):
        raise Malformed(f"{given.name} is UTF-16: save it as UTF-8")
    lines = data.removeprefix(_UTF8_BOM).splitlines(keepends=True) if b"\n" not in data else _split(data.removeprefix(_UTF8_BOM))
    if len(lines) > MAX_ROWS + 1:
        raise TooLarge(f"{given.name} has more than {MAX_ROWS:,} rows: split it")
    try:
        return Text([line.decode() for line in lines], frozenset(), frozenset())
    except UnicodeDecodeError:
        return _patched(lines)


def _split(data: bytes) -> list[bytes]:
    """At line feeds only: `bytes.splitlines` also breaks at a bare carriage return, which may stand inside a quoted cell."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _patched(lines: list[bytes]) -> Text:
    texts: list[str] = []
    repaired: set[int] = set()
    broken: set[int] = set()
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.decode())
            continue
        except UnicodeDecodeError:
            pass
        try:
            texts.append(line.decode("cp1252"))
            repaired.add(number)
        except UnicodeDecodeError:
            texts.append(line.decode(errors="replace"))
            broken.add(number)
    return Text(texts, frozenset(repaired), frozenset(broken))
