"""What EvilPeer makes of its answers: a table of vices, each a function of what was asked and of the honest answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Callable

from app.domain.canonical import b64u_encode
from app.domain.checkpoint import Checkpoint
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of
from app.domain.tiles import Edge
from app.seal.notes import NoteKey, cosign, sign_note
from app.services.enroll import read_root_documents
from tests.faults.evil import Act, Asked, EvilPeer, Reply, Vice

GIGABYTE = 10**9
MEGABYTE = bytes(2**20)
MANY = b'{"i":%d,"e":"x","d":[' + b'"x",' * 1_000_000 + b'"x"]}\n'


VICES: dict[str, Vice] = {}
ANY, HEADS, ENTRIES, TILES, ROOTS = ".", r"/heads$|/checkpoint$", r"/entries$", r"/entries$|/tile/", r"well-known|/root/"


def vice(where: str, *, harmless: bool = False, slow: bool = False) -> Callable[[Act], Act]:
    """Enter a vice into the table."""

    def enter(act: Act) -> Act:
        VICES[act.__name__] = Vice(act.__name__, re.compile(where), act, harmless, slow)
        return act

    return enter


def raw(*pieces: bytes, repeat: int = 1, pause_s: float = 0.0) -> Reply:
    """Send pieces as they are, the last one again and again."""

    async def send(writer: asyncio.StreamWriter) -> None:
        for piece in (*pieces[:-1], *(pieces[-1] for _ in range(repeat))):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return Reply(raw=send)


OK = b"HTTP/1.1 200 OK\r\n"


@vice(ANY)
def redirects_inside(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(302, headers="Location: http://169.254.169.254/latest/meta-data/\r\n")


@vice(ANY)
def answers_with_a_bomb(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:

    return Reply(body=gzip.compress(bytes(20 * 2**20)), headers="Content-Encoding: gzip\r\n")


@vice(ANY, slow=True)
def drips(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK + b"Content-Length: 100000\r\n\r\n", b"x", repeat=100_000, pause_s=0.05)


@vice(ANY, slow=True)
def drips_its_headers(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK, b"X-A: b\r\n", repeat=100_000, pause_s=0.05)


@vice(ANY, slow=True)
def says_nothing_at_all(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(b"", pause_s=600)


@vice(ANY, slow=True)
def asks_for_patience_for_ever(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", repeat=10**6, pause_s=0.001)


@vice(ANY)
def fails_with_500(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(500, b"Traceback (most recent call last): ...")


@vice(ANY)
def wants_us_gone_for_a_century(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(429, headers="Retry-After: 3153600000\r\n")


@vice(ANY)
def wants_us_gone_for_no_number(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(503, headers="Retry-After: 1e309\r\n")


@vice(ANY)
def breaks_off(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK + b"Content-Length: 5000\r\n\r\n", b"half an ans")


@vice(ANY)
def promises_a_gigabyte(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE, MEGABYTE, repeat=1000)


@vice(ANY)
def sends_a_gigabyte_unannounced(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + MEGABYTE + b"\r\n", repeat=1000)


@vice(ANY)
def sends_a_gigabyte_of_headers(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(OK, b"X-Filler: " + b"a" * 2**16 + b"\r\n", repeat=16_000)


@vice(ANY)
def speaks_something_else(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return raw(b"220 mail.example ESMTP\r\n" + bytes(range(256)))


@vice(HEADS + "|/entries$")
def has_no_content(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(204) if asked.path.endswith("/entries") else honest


@vice(HEADS)
def heads_of_nan(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"heads": [NaN, Infinity], "next": "1"}')


@vice(HEADS)
def heads_too_deep(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"heads":' + b"[" * 100_000 + b"]" * 100_000 + b',"next":"1"}')


@vice(HEADS)
def a_cursor_beyond_every_integer(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"heads": [], "next": 9223372036854775808}')


@vice(HEADS)
def a_cursor_of_a_megabyte(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"heads": [], "next": "%s"}' % (b"1" * 900_000))


@vice(HEADS)
def one_name_twice(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"heads": [], "heads": [], "next": "1"}')


@vice(HEADS)
def not_utf8(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b"\xff\xfe" + honest.body)


@vice(HEADS, harmless=True)
def heads_of_a_thousand_strangers(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    told = [{"o": ohash_of(f"n{n}.example/log"), "origin": f"n{n}.example/log", "note": "x"} for n in range(1000)]
    return Reply(body=json.dumps({"heads": told, "next": "1"}).encode())


@vice(HEADS)
def a_head_under_a_false_hash(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    told = {"o": "00" * 32, "origin": peer.origin, "note": peer.note()}
    return Reply(body=json.dumps({"heads": [told], "next": "1"}).encode())


def shows(peer: EvilPeer, asked: Asked, note: str) -> Reply:
    """A note, wherever a checkpoint is asked for."""
    return Reply(body=note.encode()) if asked.path.endswith("/checkpoint") else peer.heads(note)


@vice(HEADS)
def a_broken_signature(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    note = peer.note()
    at = note.rindex("— " + peer.log_keys[0].name) + len(peer.log_keys[0].name) + 20
    return shows(peer, asked, note[:at] + ("A" if note[at] != "A" else "B") + note[at + 1 :])


@vice(HEADS)
def a_signature_for_another_purpose(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note(keys=peer.other_keys))


@vice(HEADS)
def a_heartbeat_instead_of_a_signature(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    text = Checkpoint(peer.origin, peer.book.size, peer.book.edge.frontier.root()).text()
    return shows(peer, asked, text + "\n" + cosign(text, peer.heartbeat, time=peer.town.clock() // 1000))


@vice(HEADS)
def a_strangers_signature(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note(keys=[NoteKey.from_seed(peer.log_keys[0].name, bytes(32))]))


@vice(HEADS)
def no_signature(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note().split("\n\n")[0] + "\n\n")


@vice(HEADS)
def a_checkpoint_of_another_log(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note(Checkpoint("victim.example/log", peer.book.size, bytes(32))))


@vice(HEADS)
def a_tree_beyond_every_integer(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    text = Checkpoint(peer.origin, 1, bytes(32)).text().replace("\n1\n", "\n9223372036854775808\n")
    return shows(peer, asked, sign_note(text, *peer.log_keys))


@vice(HEADS)
def a_tree_that_it_cannot_show(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note(Checkpoint(peer.origin, 2**40, bytes(range(32)))))


@vice(HEADS)
def a_root_that_its_entries_do_not_have(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note(Checkpoint(peer.origin, peer.book.size + 700, bytes(range(32)))))


@vice(HEADS)
def a_note_without_end(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return shows(peer, asked, peer.note() + "— x.example AAAA\n" * 50_000)


@vice(HEADS, harmless=True)
def an_older_head(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    few = Edge().append([leaf_hash(one) for one in peer.book.entries[:3]])
    return shows(peer, asked, peer.note(Checkpoint(peer.origin, 3, few.root)))


def rewritten(reply: Reply, change: Callable[[list[dict[str, object]]], object]) -> Reply:
    """The lines of an answer, changed."""
    lines = [json.loads(line) for line in reply.body.splitlines()]
    change(lines)
    return Reply(body=b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@vice(ENTRIES)
def renumbers(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: [line.update(i=line["i"] + 1) for line in lines])


@vice(ENTRIES)
def an_index_beyond_every_integer(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: [line.update(i=2**63) for line in lines])


@vice(ENTRIES)
def an_index_that_is_no_whole_number(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: [line.update(i=float(line["i"])) for line in lines])


@vice(ENTRIES)
def leaves_one_out(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: lines.pop(0))


@vice(ENTRIES)
def says_one_twice(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: lines.insert(0, lines[0]))


@vice(ENTRIES)
def gives_the_same_page_for_ever(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return peer.lines(range(4))


@vice(ENTRIES)
def gives_empty_pages(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply()


@vice(ENTRIES)
def gives_other_bytes(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: [line.update(e=str(line["e"])[:-4] + "AAAA") for line in lines])


@vice(ENTRIES)
def gives_lines_too_deep(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"i":%s,"e":' % asked.query["from"].encode() + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"\n")


@vice(ENTRIES)
def gives_more_than_was_asked_for(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=honest.body + honest.body.splitlines()[0] * 3 + b"\n" + b'{"i":%d,"w":"stub"}\n' % peer.book.size)


@vice(ENTRIES)
def gives_a_million_lines(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b"\n" * 1_000_000)


@vice(ENTRIES)
def gives_a_million_disclosures(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=MANY % int(asked.query["from"]))


def _withholds_one(honest: Reply) -> Reply:
    def change(lines: list[dict[str, object]]) -> None:
        lines[-1] = {"i": lines[-1]["i"], "w": "stub"}

    return rewritten(honest, change)


@vice(TILES)
def tiles_of_no_tree(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return _withholds_one(honest) if asked.path.endswith("/entries") else Reply(body=bytes(len(honest.body)))


@vice(TILES)
def tiles_cut_short(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return _withholds_one(honest) if asked.path.endswith("/entries") else Reply(body=honest.body[:-32])


@vice(TILES)
def no_tiles(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return _withholds_one(honest) if asked.path.endswith("/entries") else Reply(404)


@vice(ENTRIES, harmless=True)
def withholds_what_is_green(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return _withholds_one(honest)


@vice(ENTRIES, harmless=True)
def swaps_disclosures(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return rewritten(honest, lambda lines: [line.update(d=[b64u_encode(b'["AAAAAAAAAAAAAAAAAAAAAA","core.0",{}]')]) for line in lines])


@vice(ROOTS)
def promises_a_million_root_documents(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"root": {"ver": 1000000}}')


@vice(ROOTS)
def names_a_root_document_it_has_not(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    return Reply(body=b'{"root": {"ver": 2}}') if "well-known" in asked.path else Reply(404)


@vice(ROOTS)
def a_root_document_that_nobody_signed(peer: EvilPeer, asked: Asked, honest: Reply) -> Reply:
    if "well-known" in asked.path:
        return Reply(body=b'{"root": {"ver": 2}}')
    document = json.loads(read_root_documents(peer.town.data_dir)[0])
    return Reply(body=json.dumps(document).replace(document["payload"][8:40], document["payload"][12:44]).encode())
