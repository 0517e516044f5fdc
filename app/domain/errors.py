"""One tree of errors, three branches that are three behaviours.

    CordonError
    ├── Refused      the caller must change something            4xx
    │   ├── what arrived could not be read      Malformed, BadJson, BadHeader, BadRequest, TooLarge …
    │   ├── who said it                         UnknownKid, BadSignature, KeyNotValid, ScopeDenied …
    │   └── what it said                        Schema, TlpFault, EdgeVisibility, PersonalData, InvalidAddress …
    ├── Unavailable  the same request may succeed later          503
    │   └── LogFrozen
    └── Betrayed     evidence of misbehaviour: stop, keep the bytes, page a human

A class has a `slug`: the problem code of protocol §3.5 and schemas §3, and the last segment of its RFC 9457 `type`
(`/problems/<slug>`). Only `api/problems.py` knows HTTP statuses. A `detail` says what is wrong and what to do, and never
repeats a value that might be personal; `faults` points into the input, one entry a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault inside an input: `pointer` is an RFC 6901 JSON pointer ('' for the whole), `code` a word of the closed lists."""

    pointer: str
    code: str
    detail: str = ""


class CordonError(Exception):
    """Root of all our errors; `detail` is for people, `faults` for machines."""

    slug: ClassVar[str] = "internal"

    def __init__(self, detail: str = "", *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class Refused(CordonError):
    """The caller must change something; sending the same again gives the same answer."""


class Unavailable(CordonError):
    """The same request may succeed later; `retry_after_s` is when another node asked to be asked again."""

    slug = "unavailable"

    def __init__(self, detail: str = "", *, faults: tuple[Fault, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(detail, faults=faults)
        self.retry_after_s = retry_after_s


class Betrayed(CordonError):
    """Evidence that bytes are not what was signed or promised: stop, keep the bytes, page a human."""

    slug = "betrayed"


# --- what arrived could not be read -------------------------------------------------------------------------------


class Malformed(Refused):
    slug = "malformed"


class BadHeader(Refused):
    slug = "bad_header"


class BadJson(Refused):
    slug = "bad_json"


class BadRequest(Refused):
    slug = "bad_request"


class InvalidCursor(Refused):
    slug = "invalid_cursor"


class TooLarge(Refused):
    slug = "too_large"


class UnsupportedMediaType(Refused):
    slug = "unsupported_media_type"


class NotAcceptable(Refused):
    slug = "not_acceptable"


# --- who said it ---------------------------------------------------------------------------------------------------


class UnknownKid(Refused):
    slug = "unknown_kid"


class BadSignature(Refused):
    slug = "bad_signature"


class Unauthenticated(Refused):
    slug = "unauthenticated"


class KeyNotValid(Refused):
    slug = "key_not_valid"


class WrongOrigin(Refused):
    slug = "wrong_origin"


class ScopeDenied(Refused):
    slug = "scope_denied"


class EdgeNotAuthorised(Refused):
    slug = "edge_not_authorised"


class Forbidden(Refused):
    slug = "forbidden"


# --- what it said --------------------------------------------------------------------------------------------------


class JtiConflict(Refused):
    slug = "jti_conflict"


class TargetNotEarlier(Refused):
    slug = "target_not_earlier"


class Schema(Refused):
    slug = "schema"


class UnknownKind(Refused):
    slug = "unknown_kind"


class ClockSkew(Refused):
    slug = "clock_skew"


class Validity(Refused):
    slug = "validity"


class TlpFault(Refused):
    slug = "tlp"


class DisclosureMismatch(Refused):
    slug = "disclosure_mismatch"


class WeakSalt(Refused):
    slug = "weak_salt"


class EdgeVisibility(Refused):
    slug = "edge_visibility"


class PersonalDataInStub(Refused):
    slug = "personal_data_in_stub"


class PersonalData(Refused):
    slug = "personal_data"


class ProtectedPerson(Refused):
    slug = "protected_person"


class ReferNotList(Refused):
    """The person may be a trafficking victim: refer, do not list (trust-and-ops §1.3). Counted, content dropped."""

    slug = "refer_not_list"


class InvalidAddress(Refused):
    """A text that is no address or identifier; `code` is of the closed list of schemas §3 (`checksum`, `length`, …)."""

    slug = "invalid_address"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, faults=(Fault("", code, detail),))
        self.code = code


class Quota(Refused):
    """Too much in too short a time; `retry_after_s` says when the same request may succeed."""

    slug = "quota"

    def __init__(self, detail: str = "", *, retry_after_s: int = 60) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


# --- resources and preconditions -----------------------------------------------------------------------------------


class NotFound(Refused):
    """Not there, or not for this caller: the two must look alike (non-interference)."""

    slug = "not_found"


class MethodNotAllowed(Refused):
    slug = "method_not_allowed"


class Gone(Refused):
    slug = "gone"


class InProgress(Refused):
    slug = "in_progress"


class PreconditionFailed(Refused):
    slug = "precondition_failed"


class PreconditionRequired(Refused):
    slug = "precondition_required"


class IdempotencyMismatch(Refused):
    slug = "idempotency_mismatch"


class SizeConflict(Refused):
    """A witness holds this log at another size, or another tree, than was claimed; `size` is the one to begin from (C2SP tlog-witness)."""

    slug = "size_conflict"

    def __init__(self, size: int, detail: str = "") -> None:
        super().__init__(detail or f"this witness has seen the log at size {size}: begin the consistency proof there")
        self.size = size


# --- try again later -----------------------------------------------------------------------------------------------


class LogFrozen(Unavailable):
    """The log signs nothing more until an operator has looked; lookups go on."""

    slug = "log_frozen"


# --- evidence ------------------------------------------------------------------------------------------------------


class DamagedEntry(Betrayed):
    """A stored entry does not hash to its leaf; `index` names it (protocol §3.6)."""

    slug = "log_frozen"

    def __init__(self, origin: str, index: int, detail: str = "") -> None:
        super().__init__(detail or f"entry {index} of {origin} does not hash to its signed leaf: restore it from a mirror or a backup")
        self.origin = origin
        self.index = index


class RolledBack(Betrayed):
    """The database holds a smaller or another tree than was signed before (restored backup, failover)."""

    slug = "log_frozen"


class FellBehind(RolledBack):
    """The database holds less than was signed before, and nothing else: what is missing may be had from a peer."""


class DiskRefused(Betrayed):
    """The disk took no write, as after a fault that made it read-only. What is there may be whole: it is looked at before anything is signed."""


class InvalidProof(Refused):
    """A proof, note or receipt that does not verify; offline commands exit with 1."""

    slug = "invalid_proof"
