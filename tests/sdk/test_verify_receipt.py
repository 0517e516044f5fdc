"""A receipt is worth what it proves: every change of receipt, statement or root document is found, without any network."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.domain.checkpoint import Checkpoint
from app.domain.errors import BadSignature, CordonError, DisclosureMismatch, InvalidProof, Malformed, NotFound
from app.domain.merkle import Frontier, inclusion_path, leaf_hash, node_hash
from app.domain.statement import sid_of
from app.sdk.verify import keys_of_record, read_key_file, read_roots, verify
from app.seal.disclosure import build_statement, join_wire, split_wire
from app.seal.jws import SigningKey
from app.seal.notes import make_receipt, sign_note
from app.services.enroll import Founding, NodeFile, found, log_key, read_note_seed

NOW = 1_790_000_000
KEY = SigningKey.derive("zz.police#1", b"test")


@dataclass(frozen=True)
class Case:
    """A founded node, one of its statements in a log of five, and its receipt."""

    folder: Path
    wire: str
    receipt: str
    node: NodeFile


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Logged by hand: the checks meet nothing of the node's own code."""
    folder = tmp_path_factory.mktemp("founded")
    node = found(folder, Founding("zz", "node.zz.example", "Test", "http://127.0.0.1:8000"), now=NOW).node
    claims = {"v": 1, "iss": "zz.police", "org": node.origin, "knd": "listing", "iat": NOW, "exp": NOW + 9, "tlp": "GREEN"}
    wire = build_statement(claims, {"core": [{"type": "wallet", "id": "x"}, {"type": "context"}]}, KEY)
    jws = wire.partition("~")[0]
    entries = [b"0", b"1", f"1790000000123 {jws}".encode(), b"3", b"4"]
    return Case(folder, wire, receipt_for(node, folder, entries, 2, f"1790000000123 {sid_of(jws)}".encode()), node)


def receipt_for(node: NodeFile, folder: Path, entries: list[bytes], index: int, extra: bytes | None) -> str:
    leaves = [leaf_hash(entry) for entry in entries]
    rows = [leaves]
    while len(rows[-1]) > 1:
        rows.append([node_hash(rows[-1][i], rows[-1][i + 1]) for i in range(0, len(rows[-1]) - 1, 2)])
    path = inclusion_path(index, len(leaves), lambda level, at: rows[level][at])
    note = sign_note(
        Checkpoint(node.origin, len(leaves), Frontier().append(leaves).root()).text(), log_key(node, read_note_seed(folder, "log"))
    )
    return make_receipt(index, path, checkpoint_note=note, extra=extra)


def test_a_good_receipt_verifies(case: Case):
    """Index, size, time of acceptance and issuer come out; without the agency's key the log vouches for its signature."""
    verified = verify(case.receipt, case.wire, read_roots(case.folder / "root", now=NOW))
    assert (verified.index, verified.size, verified.accepted_ms) == (2, 5, 1_790_000_000_123)
    assert (verified.stub.issuer, verified.signature, len(verified.disclosures)) == ("zz.police", "by the log", 2)


def test_with_the_issuers_key_the_signature_is_checked_here(case: Case):
    """A member record with keys, or a JWK with its kid, is enough; a wrong key under that kid is found."""
    root = read_roots(case.folder / "root", now=NOW)
    record = {"keys": [{"kid": KEY.kid, "jwk": dict(KEY.public_jwk)}]}
    assert verify(case.receipt, case.wire, root, find_key=keys_of_record(record).get).signature == "verified"
    other = {"kid": KEY.kid, **SigningKey.derive("zz.police#1", b"other").public_jwk}
    with pytest.raises(BadSignature):
        verify(case.receipt, case.wire, root, find_key=keys_of_record(other).get)


def test_a_redacted_statement_verifies_too(case: Case):
    """The receipt is of the stub: parts may be withheld or erased."""
    jws, texts = split_wire(case.wire)
    assert len(verify(case.receipt, join_wire(jws, texts[:1]), read_roots(case.folder / "root", now=NOW)).disclosures) == 1
    assert verify(case.receipt, join_wire(jws, ()), read_roots(case.folder / "root", now=NOW)).disclosures == ()


def test_every_changed_line_of_a_receipt_is_found(case: Case):
    """Each line of the receipt, with one character changed: none verifies."""
    root = read_roots(case.folder / "root", now=NOW)
    lines = case.receipt.split("\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        for at in (0, len(line) // 2, len(line) - 1):
            swapped = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
            with pytest.raises(CordonError):
                verify("\n".join([*lines[:number], swapped, *lines[number + 1 :]]), case.wire, root)


def test_every_changed_part_of_a_statement_is_found(case: Case):
    """Header, payload, signature and disclosures: a change anywhere breaks the leaf or a digest."""
    root = read_roots(case.folder / "root", now=NOW)
    jws, texts = split_wire(case.wire)
    header, payload, signature = jws.split(".")
    for changed in (
        f"{header}.{payload[:-6]}AAAAAA.{signature}",
        f"{header}.{payload}.{'A' * 86}",
        jws.replace(header, header[:-3] + "AAA"),
    ):
        with pytest.raises(CordonError):
            verify(case.receipt, join_wire(changed, texts), root)
    with pytest.raises((DisclosureMismatch, Malformed)):
        verify(case.receipt, join_wire(jws, [texts[0][:-4] + "AAAA"]), root)


def test_receipts_do_not_fit_other_statements(case: Case):
    """The extra line names the statement; one without it proves nothing by itself."""
    root = read_roots(case.folder / "root", now=NOW)
    other = build_statement(
        {"v": 1, "iss": "zz.police", "org": case.node.origin, "knd": "retract", "iat": NOW, "tlp": "CLEAR", "t": ["A" * 43]}, {}, KEY
    )
    with pytest.raises(InvalidProof, match="put the right two together"):
        verify(case.receipt, other, root)
    jws = case.wire.partition("~")[0]
    bare = receipt_for(case.node, case.folder, [f"1790000000123 {jws}".encode()], 0, None)
    with pytest.raises(InvalidProof, match="extra line"):
        verify(bare, case.wire, root)


def test_another_jurisdictions_root_document_does_not_do(case: Case, tmp_path: Path):
    """Neither one of another log, nor one of the same name with other keys."""
    for node in ("node.xa.example", case.node.node):
        folder = tmp_path / node
        folder.mkdir()
        found(folder, Founding("zz", node, "Other", "http://127.0.0.1:8000"), now=NOW)
        with pytest.raises(InvalidProof):
            verify(case.receipt, case.wire, read_roots(folder / "root", now=NOW))


def test_a_pin_decides_which_root_document_is_trusted(case: Case, tmp_path: Path):
    """The agreed digest passes, any other is refused; so is a chain without its beginning, and no file at all."""
    root = read_roots(case.folder / "root", now=NOW)
    assert read_roots(case.folder / "root" / "1.json", now=NOW, pin=root.sha256) == root
    with pytest.raises(InvalidProof):
        read_roots(case.folder / "root", now=NOW, pin="0" * 64)
    with pytest.raises(NotFound, match="--root"):
        read_roots(tmp_path / "none", now=NOW)
    shutil.copy(case.folder / "root" / "1.json", tmp_path / "2.json")
    with pytest.raises(InvalidProof):
        read_roots(case.folder / "root", now=NOW + 10 * 365 * 86_400)


def test_a_file_of_keys_holds_at_least_one(tmp_path: Path):
    """A file without a key is a mistake of the caller, and said so."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"kid": "zz.police#1", "jwk": {"kty": "RSA"}}]}))
    with pytest.raises(Malformed, match="no public key"):
        read_key_file(path)
