"""`cordon verify`: receipts checked offline, under the pinned root document."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag, error_record, plain
from app.cli.verify_screening import check_screenings, is_screening, sentence
from app.domain.canonical import JsonValue
from app.domain.errors import CordonError, NotFound

if TYPE_CHECKING:
    from app.sdk.verify import FindKey, Verified
    from app.seal.roots import RootDocument

RECEIPT, STATEMENT = ".receipt.txt", ".sdjwt"


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", help="Receipts (or statements) with the other one beside, folders of them; saved answers (*.json)."
        ),
    ],
    root: Annotated[Path | None, typer.Option(help="Root document, or a folder with every version; default: the data directory's.")] = None,
    pin: Annotated[str | None, typer.Option(help="SHA-256 of root document 1, as agreed out of band.")] = None,
    keys: Annotated[
        list[Path] | None, typer.Option("--keys", help="Keys of members (answer of /v1/members/ID/keys), to check the issuer too.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Check without a network, under the root document alone: receipts of statements, and what a node told (saved answers, *.json).

    A screening receipt beside a bucket under its own head shows whether the node told the truth.
    """
    from app.sdk.verify import read_key_file, read_roots

    console = Console(as_json)
    document = read_roots(root or data_dir / "root", now=int(time.time()), pin=pin)
    known = {kid: key for path in keys or [] for kid, key in read_key_file(path).items()}
    screenings = [path for path in files if is_screening(path)]
    pairs = [pair for path in files if path not in screenings for pair in _pairs(path)]
    records = check_screenings(screenings, document) if screenings else []
    good = sum(record["valid"] is True for record in records)
    with console.progress("verifying", len(pairs)) as bar:
        for receipt, statement in pairs:
            record = _check(receipt, statement, document, known.get)
            good += record["valid"] is True
            records.append(record)
            bar.advance()
    for record in records:
        console.say(_sentence(record))
    console.document(records[0] if len(records) == 1 else list(records))
    return DONE if good == len(records) else REFUSED


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """(receipt, statement) for a receipt, a statement, or every receipt of a folder."""
    if path.is_dir():
        found = sorted(path.glob(f"*{RECEIPT}"))
        if not found:
            raise NotFound(f"no *{RECEIPT} in {path}: `cordon submit --out {path}` writes them")
        return [pair for receipt in found for pair in _pairs(receipt)]
    if path.name.endswith(STATEMENT):
        return [(path.with_name(path.name.removesuffix(STATEMENT) + RECEIPT), path)]
    stem = path.name.removesuffix(RECEIPT) if path.name.endswith(RECEIPT) else path.stem
    return [(path, path.with_name(stem + STATEMENT))]


def _check(receipt: Path, statement: Path, document: RootDocument, find_key: FindKey) -> dict[str, JsonValue]:
    from app.sdk.verify import verify as check

    try:
        verified = check(_read(receipt, "receipt"), _read(statement, "statement").rstrip("\n"), document, find_key=find_key)
    except CordonError as error:
        return {"file": str(receipt), "valid": False, "error": error_record(error)}
    return {"file": str(receipt), "valid": True, **_words(verified)}


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFound(
            f"the {what} {path} is missing: receipt and statement are kept side by side (<sid>{STATEMENT}, <sid>{RECEIPT})"
        ) from error
    except UnicodeDecodeError as error:
        raise NotFound(f"{path} is not a {what}: it is not text") from error


def _words(verified: Verified) -> dict[str, JsonValue]:
    from app.domain.answer import instant_text

    return {
        "sid": verified.sid,
        "origin": verified.stub.origin,
        "index": verified.index,
        "size": verified.size,
        "accepted_at": instant_text(verified.accepted_ms),
        "issuer": verified.stub.issuer,
        "kid": verified.stub.kid,
        "kind": verified.stub.kind,
        "tlp": str(verified.stub.label.tlp),
        "disclosed": len(verified.disclosures),
        "withheld": len(verified.stub.digests) - len(verified.disclosures),
        "cosigners": list(verified.cosigners),
        "signature": verified.signature,
    }


def _sentence(record: dict[str, JsonValue]) -> str:
    if record["valid"] is True and "sid" in record:
        return (
            f"VALID    {record['file']}: {record['kind']} by {record['issuer']} stands at index {record['index']} of {record['origin']}, "
            f"accepted {record['accepted_at']} ({record['disclosed']} disclosures fit, {record['withheld']} withheld; issuer's signature checked {'here' if record['signature'] == 'verified' else 'by the log'})"
        )
    if record["valid"] is True:
        return sentence(record)
    error = record["error"]
    detail = error.get("detail") if isinstance(error, dict) else ""
    return f"INVALID  {record['file']}: {plain(detail)}"
