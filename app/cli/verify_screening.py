"""The part of `cordon verify` that checks what a node told: screening answers with receipts, kept receipts and bucket answers, as JSON files.

Given side by side they are held against each other: a receipt, the head that it names, and buckets under that head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.console import error_record
from app.domain.canonical import JsonValue, b64u_decode, read_json
from app.domain.errors import BadJson, CordonError, InvalidProof, Malformed

if TYPE_CHECKING:
    from app.domain.screening_receipt import ScreeningReceipt
    from app.sdk.screened import Asked, Bucket
    from app.seal.roots import RootDocument


@dataclass(slots=True)
class Found:
    """What the files hold once it was verified."""

    receipts: list[tuple[Path, ScreeningReceipt, list[Asked]]] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    records: list[dict[str, JsonValue]] = field(default_factory=list)


def is_screening(path: Path) -> bool:
    """Whether a file is JSON of that kind, and not a receipt of a statement."""
    return path.is_file() and path.suffix == ".json"


def check_screenings(paths: Sequence[Path], root: RootDocument) -> list[dict[str, JsonValue]]:
    """A record a file; afterwards one for each receipt that is a fraud proof."""
    from app.sdk.screened import contradictions

    found = Found()
    for path in paths:
        try:
            words = _check_one(path, root, found)
        except CordonError as error:
            found.records.append({"file": str(path), "valid": False, "error": error_record(error)})
        else:
            found.records.append({"file": str(path), "valid": True, **words})
    for path, receipt, asked in found.receipts:
        frauds = contradictions(receipt, asked, found.buckets)
        found.records += [_fraud(path, receipt, one) for one in frauds]
    return found.records


def _check_one(path: Path, root: RootDocument, found: Found) -> dict[str, JsonValue]:
    from app.sdk.screened import check_head, open_bucket, open_receipt, positions

    body = path.read_bytes()
    try:
        words = read_json(body, max_tokens=1_000_000)
    except BadJson as error:
        raise Malformed(f"{path} is not JSON: {error.detail}") from error
    if not isinstance(words, dict):
        raise Malformed(f"{path} is no answer of a node")
    if "bucket" in words:
        bucket = open_bucket(body, root)
        found.buckets.append(bucket)
        return {"kind": "bucket", "tier": bucket.tier, "bucket": f"{bucket.number:04x}", "as_of": bucket.head.as_of, "view": bucket.digest}
    token = words.get("receipt")
    if token is None and _is_problem(words):
        raise Malformed(
            f"{path} is a refusal, of which nothing can be verified: {words['title']} (`{words['code']}`, {words['status']}), "
            f"{words.get('detail') or 'without a detail'}. Ask again once that is mended, and save the answer that comes then"
        )
    if not isinstance(token, str):
        raise Malformed(
            f'{path} holds neither a receipt nor a bucket: save the whole answer of POST /v1/screen with "receipt": true, /v1/receipts/… '
            "or …/bucket/…"
        )
    receipt = open_receipt(token, root)
    asked = _asked(words)
    positions(receipt, asked)
    if isinstance(words.get("head"), str):
        check_head(receipt, str(words["head"]), root)
    _check_words(words, receipt)
    found.receipts.append((path, receipt, asked))
    return {
        "kind": "screening",
        "rid": receipt.rid,
        "issuer": receipt.issuer,
        "subject": receipt.subject,
        "as_of": receipt.as_of,
        "view": receipt.view,
        "degraded": receipt.degraded,
        "questions": len(receipt.questions),
        "opened": len(asked),
    }


def _is_problem(words: dict[str, JsonValue]) -> bool:
    """Whether this is what a node answers when it does not do what was asked (RFC 9457)."""
    return isinstance(words.get("code"), str) and isinstance(words.get("title"), str) and isinstance(words.get("status"), int)


def _asked(words: dict[str, JsonValue]) -> list[Asked]:
    """The questions of an answer whose rows are all there; none of a receipt without its salts, or with rows left out."""
    from app.sdk.screened import Asked

    salts, results = words.get("salts"), words.get("results")
    if not isinstance(salts, list) or not isinstance(results, list):
        return []
    found: list[Asked] = []
    for one in results:
        row = one.get("row") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(row, int) or not 0 <= row < len(salts):
            raise Malformed("a row of the answer has no salt: save the answer as it came")
        found.append(Asked(b64u_decode(str(salts[row])), str(one.get("id") or one.get("query"))))
    return found


def _check_words(words: dict[str, JsonValue], receipt: ScreeningReceipt) -> None:
    """The match words of the answer are those that were signed."""
    results = words.get("results")
    for one in results if isinstance(results, list) else []:
        row = one.get("row") if isinstance(one, dict) else None
        if isinstance(one, dict) and isinstance(row, int) and receipt.matches[row : row + 1] != (one.get("match"),):
            raise InvalidProof(f"row {row} of the answer says another word than its receipt")


def _fraud(path: Path, receipt: ScreeningReceipt, asked: Asked) -> dict[str, JsonValue]:
    detail = f"FRAUD: {receipt.issuer} signed not_listed of {asked.text}, which the view {receipt.view} under its own signature lists"
    return {"file": str(path), "valid": False, "kind": "fraud", "error": {"code": "fraud", "detail": detail}}


def _moment(as_of: JsonValue) -> str:
    from app.domain.answer import second_text

    return second_text(as_of) if isinstance(as_of, int) else "an unknown moment"


def sentence(record: dict[str, JsonValue]) -> str:
    """One line for people."""
    if record["kind"] == "bucket":
        return f"VALID    {record['file']}: bucket {record['bucket']} of the {record['tier']} view of {_moment(record['as_of'])}"
    return (
        f"VALID    {record['file']}: {record['issuer']} told {record['subject']} at {_moment(record['as_of'])} what its receipt {record['rid']} says "
        f"({record['opened']} of {record['questions']} questions opened{'; some log could not be relied on' if record['degraded'] else ''})"
    )
