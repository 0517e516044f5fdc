"""From items to signed listings: cut into statements, sign each once, remember what was signed.

A statement holds up to 250 items and one context, and stays below the limits of protocol §3.3. A draft has a fingerprint over what the
caller asked for, without times and salts: the journal maps it to the bytes that were signed, so after a break the same bytes go out
again and the node answers `known` (schemas §5).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from ..domain.canonical import JsonValue, write_json
from ..domain.errors import BadRequest, Malformed, Unavailable
from ..domain.statement import sid_of
from ..seal.disclosure import build_statement
from ..seal.jws import SigningKey

PER_STATEMENT = 250
# A disclosure is base64url of salt, name and value; 512 KiB in all are allowed, some room is left.
_CONTENT_BYTES = 500 * 1024
_ENVELOPE_BYTES = 60


@dataclass(frozen=True, slots=True)
class Terms:
    """What every statement of a run says alike. `audience` is needed from AMBER up; `valid_s` is how long a listing lives."""

    issuer: str
    origin: str
    tlp: str
    valid_s: int
    audience: tuple[str, ...] = ()
    handling: tuple[str, ...] = ()
    licence: str | None = None

    def claims(self, kind: str, now: int) -> dict[str, JsonValue]:
        """The claims that statements of every kind carry; `now` in seconds."""
        claims: dict[str, JsonValue] = {"v": 1, "iss": self.issuer, "org": self.origin, "knd": kind, "iat": now, "tlp": self.tlp}
        if self.audience:
            claims["aud"] = list(self.audience)
        if self.handling:
            claims["hc"] = list(self.handling)
        if self.licence:
            claims["lic"] = self.licence
        return claims


@dataclass(frozen=True, slots=True)
class Draft:
    """One listing before it is signed. `context` may lack what depends on the day; `supersedes` are sids."""

    terms: Terms
    items: tuple[Mapping[str, JsonValue], ...]
    context: Mapping[str, JsonValue]
    supersedes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hex digest over all that was asked for."""
        said: list[JsonValue] = [
            self.terms.claims("listing", 0),
            self.terms.valid_s,
            dict(self.context),
            list(self.supersedes),
            [dict(item) for item in self.items],
        ]
        return sha256(write_json(said)).hexdigest()

    def sign(self, key: SigningKey, *, now: int, day_context: Mapping[str, JsonValue]) -> str:
        """The wire form. `day_context` are the members of the context that depend on `now` (seconds)."""
        claims = self.terms.claims("listing", now)
        claims["exp"] = now + self.terms.valid_s
        if self.supersedes:
            claims["t"] = list(self.supersedes)
        context: dict[str, JsonValue] = {"type": "context", **day_context, **self.context}
        return build_statement(claims, {"core": [*(dict(item) for item in self.items), context]}, key)


def cut(items: Iterable[Mapping[str, JsonValue]], *, most: int = PER_STATEMENT) -> Iterator[tuple[Mapping[str, JsonValue], ...]]:
    """Cut items into statements of at most `most` items and 512 KiB of disclosures, in order."""
    part: list[Mapping[str, JsonValue]] = []
    size = 0
    for item in items:
        length = (len(write_json(dict(item))) + _ENVELOPE_BYTES) * 4 // 3 + 4
        if part and (len(part) >= most or size + length > _CONTENT_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield tuple(part)


# --- the journal ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed statement; `again` says that it was signed by an earlier run."""

    sid: str
    wire: str
    again: bool


class Journal:
    """A folder of signed statements: `journal.jsonl`, `<sid>.sdjwt` before sending, `<sid>.receipt.txt` after.

    One process at a time. A statement file is durable before the journal names it; a journal line cut short by a crash is read over.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._signed: dict[str, str] = {}
        self._status: dict[str, str] = {}
        self._file: int | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / "journal.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise Unavailable(f"another submission writes to {self.folder}: wait for it, or give another --out") from error
        self._file = handle
        whole = self._load()
        if not whole:
            os.write(handle, b"\n")  # end the torn line, so that the next one stands alone
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def find(self, fingerprint: str) -> Signed | None:
        """What was signed for this draft before, unless the node refused it for good or the file is gone."""
        sid = self._signed.get(fingerprint)
        if sid is None or self._status.get(sid) in ("refused", "superseded"):
            return None
        wire = self.wire(sid)
        return Signed(sid, wire, again=True) if wire is not None else None

    def wire(self, sid: str) -> str | None:
        """The signed bytes, if the file is there and whole."""
        try:
            wire = (self.folder / f"{sid}.sdjwt").read_text("ascii").rstrip("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return wire if wire and sid_of(wire.partition("~")[0]) == sid else None

    def keep(self, drafts: Sequence[tuple[str, str]]) -> list[Signed]:
        """Keep (fingerprint, wire) durably, all before any of them is sent."""
        kept: list[Signed] = []
        lines: list[dict[str, JsonValue]] = []
        for fingerprint, wire in drafts:
            sid = sid_of(wire.partition("~")[0])
            _write_durably(self.folder / f"{sid}.sdjwt", wire + "\n")
            kept.append(Signed(sid, wire, again=False))
            lines.append({"draft": fingerprint, "sid": sid})
            self._signed[fingerprint] = sid
        self._append(lines)
        return kept

    def settle(self, outcomes: Sequence[tuple[str, str]], receipts: Mapping[str, str]) -> None:
        """Note (sid, status) as the node answered, and write the receipts."""
        for sid, receipt in receipts.items():
            path = self.folder / f"{sid}.receipt.txt"
            if not path.exists():
                _write_durably(path, receipt)
        fresh = [(sid, status) for sid, status in outcomes if self._status.get(sid) != status]
        self._status.update(fresh)
        self._append([{"sid": sid, "status": status} for sid, status in fresh])

    def accepted(self) -> list[str]:
        """Sids that a node has logged and this journal has not replaced since, oldest first."""
        return [sid for sid in dict.fromkeys(self._signed.values()) if self._status.get(sid) in ("accepted", "known")]

    def _append(self, lines: Sequence[Mapping[str, JsonValue]]) -> None:
        assert self._file is not None, "the journal is open while it is used"
        if lines:
            os.write(self._file, b"".join(write_json(dict(line)) + b"\n" for line in lines))
            os.fsync(self._file)

    def _load(self) -> bool:
        text = (self.folder / "journal.jsonl").read_bytes()
        for line in text.split(b"\n"):
            try:
                record = json.loads(line) if line else {}
            except ValueError:
                continue
            sid = record.get("sid") if isinstance(record, dict) else None
            if not isinstance(sid, str):
                continue
            if isinstance(record.get("draft"), str):
                self._signed[record["draft"]] = sid
            if isinstance(record.get("status"), str):
                self._status[sid] = record["status"]
        return not text or text.endswith(b"\n")


def _write_durably(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_key(path: Path) -> SigningKey:
    """The private key of a JWK file that nobody else may read; BadRequest or Schema otherwise."""
    try:
        mode, text = path.stat().st_mode & 0o777, path.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read the key file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise BadRequest(f"{path} can be read by others (mode {mode:o}): chmod 600 {path}")
    try:
        jwk = json.loads(text)
    except ValueError as error:
        raise Malformed(f"{path} is not a JWK file: give the file that `cordon keys new` wrote") from error
    if not isinstance(jwk, dict):
        raise Malformed(f"{path} is not a JWK file: give the file that `cordon keys new` wrote")
    return SigningKey.from_jwk(jwk)
