"""A node that holds millions of listings without having admitted them: rows as the gate would have written them, put straight into SQLite.

Signatures are left out, since nobody verifies those of his own log at a start; hashes, tiles and heads are right. The mix of chains is that
of `lists`; 250 wallets a statement unless said otherwise.
"""

from __future__ import annotations

import hashlib
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.domain.address import chains
from app.domain.address.bip122 import BITCOIN, KEY, SCRIPT
from app.domain.address.evm import tron_id
from app.domain.checksums import BECH32, base58_encode, bech32_encode
from app.domain.folding import Event
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.domain.tiles import Edge, Grown
from app.storage.part_rows import RUN_CHARS
from app.storage.records import StatementRow
from app.storage.statement_rows import as_row
from app.storage.subjects import far_keys_of
from benchmarks.material import AGENCY, ORIGIN

A_STATEMENT = 250
_PORTION = 400
_CLEAR = Label(Tlp.CLEAR)
_FAST = ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144", "locking_mode=EXCLUSIVE")
_ITEM = (
    b'["c2FsdHNhbHRzYWx0c2FsdA","core.%d",{"type":"wallet","id":"%s","typologies":["fraud.investment"],"roles":["collection"],"severity":3,'
    b'"basis":"authority_data","reliability":"B","credibility":2,"status":"confirmed","action":"review"}]'
)


def id_of(number: int) -> str:
    """The canonical id of the wallet of a number."""
    raw = hashlib.sha256(b"generated %d" % number).digest()
    share = number % 20
    if share < 10:
        return f"{chains.EVM}:0x{raw[:20].hex()}"
    if share < 15:
        return tron_id(raw[:20])
    if share == 15:
        return f"{BITCOIN.chain}:{BITCOIN.address(KEY, raw[:20])}"
    if share == 16:
        return f"{BITCOIN.chain}:{BITCOIN.address(SCRIPT, raw[:20])}"
    if share == 17:
        return f"{BITCOIN.chain}:{bech32_encode('bc', int.from_bytes(raw[:20], 'big'), 33, BECH32)}"
    return f"{chains.SOLANA}:{base58_encode(raw[:32])}"


def fill(file: Path, count: int, *, a_statement: int = A_STATEMENT) -> int:
    """Append statements that list the wallets of the numbers below `count`, accepted after the last that is there; the size of the log.

    Nothing else may have the file open.
    """
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in _FAST:
        connection.execute(f"PRAGMA {pragma}").fetchall()
    edge = _edge_of(connection)
    now_ms = 1 + connection.execute("SELECT accepted_ms FROM log_head WHERE origin = ?", (ORIGIN,)).fetchone()[0]
    connection.execute("DROP INDEX ix_item_subject")
    connection.execute("BEGIN")
    for first in range(0, count, a_statement * _PORTION):
        numbers = range(first, min(first + a_statement * _PORTION, count), a_statement)
        leaves = _write(connection, edge.frontier.size, [range(at, min(at + a_statement, count)) for at in numbers], now_ms)
        grown = edge.append(leaves)
        _write_tiles(connection, grown)
        edge = grown.edge
        head = (grown.size, grown.root, now_ms + grown.size - 1, ORIGIN)
    connection.execute("UPDATE log_head SET size = ?, root = ?, accepted_ms = ? WHERE origin = ?", head)
    connection.execute("COMMIT")
    connection.execute("CREATE INDEX ix_item_subject ON item (subject)")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return edge.frontier.size


def _edge_of(connection: sqlite3.Connection) -> Edge:
    leaves = [leaf for (leaf,) in connection.execute("SELECT leaf FROM log_entry WHERE origin = ? ORDER BY idx", (ORIGIN,))]
    return Edge().append(leaves).edge


def _write_tiles(connection: sqlite3.Connection, grown: Grown) -> None:
    rows = [(ORIGIN, level << 48 | number, hashes) for (level, number), hashes in grown.changed.items()]
    connection.executemany("INSERT OR REPLACE INTO log_tile VALUES (?, ?, ?)", rows)


def _write(connection: sqlite3.Connection, first: int, statements: Sequence[range], now_ms: int) -> list[bytes]:
    rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in ("log_entry", "statement", "part", "item", "kin")}
    leaves: list[bytes] = []
    for index, numbers in enumerate(statements, first):
        sid = urlsafe_b64encode(hashlib.sha256(b"statement %d" % index).digest()).rstrip(b"=").decode()
        entry = b"%d eyJ9.%s.AAAA" % (now_ms + index, urlsafe_b64encode(b'{"n":%d}' % index).rstrip(b"="))
        leaves.append(leaf_hash(entry))
        event = Event(ORIGIN, index, sid, "listing", AGENCY, f"{AGENCY}#1", _CLEAR, {"core": _CLEAR}, (), now_ms // 1000 + 300 * 86_400)
        rows["log_entry"].append((ORIGIN, index, sid, entry, leaves[-1]))
        rows["statement"].append(as_row(StatementRow(event, now_ms + index, now_ms // 1000)))
        for table, row in _content(index, numbers):
            rows[table].append(row)
    for table, some in rows.items():
        if some:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(some[0]))})", some)
    return leaves


def _content(index: int, numbers: range) -> Iterator[tuple[str, tuple[object, ...]]]:
    texts: list[str] = []
    run = length = 0
    for place, number in enumerate(numbers):
        id_ = id_of(number)
        text = urlsafe_b64encode(_ITEM % (place, id_.encode())).rstrip(b"=").decode()
        if texts and length + len(text) > RUN_CHARS:
            yield "part", (ORIGIN, index, run, "core", "~".join(texts) + "~", None)
            run, length, texts = place, 0, []
        yield "item", (ORIGIN, index, place, id_, run, length, 3, 0, 0, None)
        if id_.startswith("bip122:"):
            for key in far_keys_of(id_):
                yield "kin", (key, ORIGIN, index, place)
        texts.append(text)
        length += len(text) + 1
    yield "part", (ORIGIN, index, run, "core", "~".join(texts) + "~", None)
