"""What every importer takes and gives: bytes in, a stream of rows out, each with an item, a fault, or a reason to be left out.

No importer reads a file, asks a clock or keeps a secret. A row never stands for half a record: either its item is ready for
the `core` part of a listing (schemas §2), or the row says why not. Faults of a whole file (not gzip, not YAML, too large) are
raised before the first row. Precedence of every member: the row's own data, then the caller's `constants`, then the format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app.domain.canonical import JsonValue

Item = dict[str, JsonValue]


class Reason(NamedTuple):
    """Why a row has no item. `code`: a word of the closed list of address errors, or `schema`, `encoding`, `too_large` …"""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the file itself says for the `context` item of a statement; the rest (`review_by`, `redress`) is the agency's.

    Rows of one statement share one Context: group by it.
    """

    purpose: str
    instrument: str
    assertion: str
    evidence_standard: str
    evidence_sha256: str
    evidence_kind: str
    reference: str | None = None

    def item(self) -> Item:
        """As the members of a `context` item (schemas §2); add `review_by` and `redress` to make it whole."""
        legal_basis: dict[str, JsonValue] = {"instrument": self.instrument}
        if self.reference is not None:
            legal_basis["reference"] = self.reference
        return {
            "type": "context",
            "purpose": self.purpose,
            "legal_basis": legal_basis,
            "assertion": self.assertion,
            "evidence_standard": self.evidence_standard,
            "evidence": [{"sha256": self.evidence_sha256, "kind": self.evidence_kind, "held_by": "issuer"}],
            "neutrality": True,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file. Exactly one of `item`, `fault`, `left_out` is set.

    `number`: the line of the record (the position in a JSON array), from 1. One line may give several rows (an SDN entry with
    its wallets). `fault`: malformed, somebody must look. `left_out`: well formed and not to be listed (benign, a repetition,
    a natural person). `warnings` go to the report and hold nothing back.
    """

    file: str
    number: int
    item: Item | None = None
    context: Context | None = None
    fault: Reason | None = None
    left_out: Reason | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A file as given: its name (it may say something, as the OFAC lists do), its bytes, the hex SHA-256 of the bytes as they came."""

    name: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller adds.

    `member`: the importing agency, for ids of entities. `list_date`: YYYY-MM-DD, the state of a sanctions list, which the
    list itself does not say. `columns`: member name → column header. `constants`: members for every row. `guards`: take
    benign services as guards (`service_benign`, `do_not_block`) instead of leaving them out.
    """

    member: str
    list_date: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, JsonValue] = field(default_factory=dict)
    guards: bool = False


Importer = Callable[[Source, Options], Iterator[Row]]


def without_repeats(rows: Iterable[Row], seen: dict[object, Row]) -> Iterator[Row]:
    """Leave out every further row about a subject that has one already; `seen` may be shared by the files of one import.

    The first row wins. A repetition that says something else is told apart in the report, for it needs a human.
    """
    for row in rows:
        if row.item is None:
            yield row
            continue
        first = seen.setdefault(subject_key(row.item), row)
        if first is row:
            yield row
        else:
            yield replace(row, item=None, context=None, left_out=_repetition(first, row.item))


def _repetition(first: Row, item: Item) -> Reason:
    text = f"repeats row {first.number} of {first.file}"
    if first.item is not None and _judgement(first.item) == _judgement(item):
        return Reason("duplicate", text)
    return Reason("conflict", f"{text}, which says otherwise of the same subject: the first was taken")


def _judgement(item: Item) -> Item:
    """What an item says of its subject; the asset under which a list happens to file an address is no judgement."""
    designation = item.get("designation")
    said = {name: value for name, value in item.items() if name != "assets"}
    if isinstance(designation, dict) and str(designation.get("entry")).startswith("Digital Currency Address"):
        said["designation"] = {name: value for name, value in designation.items() if name != "entry"}
    return said


def subject_key(item: Mapping[str, JsonValue]) -> object:
    """What an item is about: two items with one key are two judgements of the same thing."""
    if item.get("type") == "link":
        return ("link", *(str(item.get(name)) for name in ("from", "to", "relation", "tx")))
    scope = item.get("scope")
    tag, chains = (scope.get("tag"), scope.get("chains")) if isinstance(scope, dict) else (None, None)
    return (str(item.get("type")), str(item.get("id")), tag, tuple(map(str, chains)) if isinstance(chains, list) else ())
