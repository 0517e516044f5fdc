"""How the values inside items must look: one small reader a form, each refusing with a pointer and a word.

Items come from members of the federation, so a refusal names the member and what to write instead, and never repeats the
value (schemas §0, §2). Readers of optional members take `(value, at)` where `at` is the JSON pointer of the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import NoReturn

from .address import Wallet
from .canonical import JsonValue
from .claims import is_member_id
from .errors import Fault, InvalidAddress, PersonalData, ProtectedPerson, ReferNotList, Schema
from .identifiers import EntityId, Indicator, read_id
from .personal import personal_data_in_text
from .vocabulary.lists import COUNTRIES, FORBIDDEN_MEMBERS, TRAFFICKING_FLAG

Item = Mapping[str, JsonValue]
Subject = Wallet | Indicator | EntityId

LONGEST_SUMMARY = 500
MOST_VALUES = 64

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z").fullmatch
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,18})?").fullmatch
_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_CAIP2 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}").fullmatch
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}").fullmatch
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,9}[a-z][a-z0-9-]{1,62}").fullmatch
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}").fullmatch


def refuse(at: str, code: str, detail: str) -> NoReturn:
    """Refuse with `schema`, pointing at `at`."""
    raise Schema(detail, faults=(Fault(at, code, detail),))


def need(item: Item, name: str, at: str) -> JsonValue:
    """A member that must be there; the fault names it."""
    if name not in item:
        refuse(f"{at}/{name}", "missing", f"`{name}` is missing")
    return item[name]


def need_object(value: JsonValue, at: str) -> dict[str, JsonValue]:
    """A JSON object."""
    if type(value) is not dict:
        refuse(at, "form", f"{at.rpartition('/')[2]} is an object")
    return value


def need_list(item: Item, name: str, at: str, *, most: int = MOST_VALUES, least: int = 0) -> list[JsonValue]:
    """A list of `least` to `most` values."""
    value = need(item, name, at)
    if type(value) is not list or not least <= len(value) <= most:
        refuse(f"{at}/{name}", "form", f"`{name}` is a list of {least} to {most} values")
    return value


def need_word(item: Item, name: str, allowed: Collection[str], at: str) -> str:
    """A code of a closed list."""
    value = need(item, name, at)
    if type(value) is not str or value not in allowed:
        refuse(f"{at}/{name}", "unknown_code", f"`{name}` is one of {', '.join(sorted(allowed))}")
    return value


def need_text(item: Item, name: str, at: str, *, longest: int = 256) -> str:
    """One line of 1 to `longest` printable characters."""
    value = need(item, name, at)
    check_text(value, f"{at}/{name}", longest=longest)
    return str(value)


def need_integer(item: Item, name: str, at: str, *, least: int, most: int) -> int:
    """A whole number in a range; true and false are none."""
    value = need(item, name, at)
    if type(value) is not int or not least <= value <= most:
        refuse(f"{at}/{name}", "range", f"`{name}` is a whole number from {least} to {most}")
    return value


def _name(at: str) -> str:
    return at.rpartition("/")[2]


def check_text(value: JsonValue, at: str, *, longest: int = 256) -> None:
    """One line of 1 to `longest` printable characters."""
    if type(value) is not str or not 0 < len(value) <= longest or not value.isprintable():
        refuse(at, "form", f"`{_name(at)}` is one line of 1 to {longest} printable characters")


def read_day(value: JsonValue) -> date | None:
    """The day of a bare date or of an RFC 3339 instant with Z; None for any other spelling."""
    if type(value) is not str or not value.isascii():
        return None
    try:
        # fromisoformat also takes 20261002 and 2026-W40-5: length and dashes leave one spelling.
        if len(value) == 10 and value[4] == value[7] == "-":
            return date.fromisoformat(value)
        return datetime.fromisoformat(value).date() if _INSTANT(value) else None
    except ValueError:
        return None


def check_day(value: JsonValue, at: str) -> None:
    """A bare date, or an instant with Z."""
    if read_day(value) is None:
        refuse(at, "form", f"`{_name(at)}` is a date such as 2026-10-02, or an instant such as 2026-10-02T08:00:00Z")


def read_instant(value: JsonValue, at: str) -> datetime:
    """An RFC 3339 instant with Z."""
    try:
        if type(value) is str and _INSTANT(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    refuse(at, "form", f"`{_name(at)}` is an instant such as 2026-10-02T08:00:00Z")


def check_instant(value: JsonValue, at: str) -> None:
    """An RFC 3339 instant with Z."""
    read_instant(value, at)


def check_amount(value: JsonValue, at: str) -> None:
    """A decimal string: no sign, no exponent, no leading zero."""
    if type(value) is not str or _AMOUNT(value) is None:
        refuse(at, "form", f'`{_name(at)}` is a decimal text such as "1250.50"')


def check_asset(value: JsonValue, at: str) -> None:
    """The symbol of an asset."""
    check_text(value, at, longest=32)


def check_assets(value: JsonValue, at: str) -> None:
    """Symbols of assets."""
    if type(value) is not list or len(value) > MOST_VALUES:
        refuse(at, "form", "`assets` is a list of symbols")
    for number, symbol in enumerate(value):
        check_asset(symbol, f"{at}/{number}")


def check_sha256(value: JsonValue, at: str) -> None:
    """64 lower-case hex digits."""
    if type(value) is not str or _SHA256(value) is None:
        refuse(at, "form", "`sha256` is 64 lower-case hex digits")


def check_country(value: JsonValue, at: str) -> None:
    """ISO 3166-1 alpha-2, upper case."""
    if type(value) is not str or value not in COUNTRIES:
        refuse(at, "unknown_code", f"`{_name(at)}` is a country of ISO 3166-1, two upper-case letters")


def check_language(value: JsonValue, at: str) -> None:
    """A BCP 47 tag."""
    if type(value) is not str or _LANGUAGE(value) is None:
        refuse(at, "form", "`lang` is a language tag such as en or zh-Hans")


def check_vasp(value: JsonValue, at: str) -> None:
    """A VASP by member id, LEI or domain."""
    if type(value) is not str or len(value) > 253 or not (is_member_id(value) or _LEI(value) or _DOMAIN(value)):
        refuse(at, "form", "`vasp` is a member id, an LEI or a domain")


def check_scope(value: JsonValue, at: str) -> None:
    """`{chains?: [CAIP-2], tag?}`: where and with which tag a wallet is meant."""
    scope = need_object(value, at)
    if "chains" in scope:
        for number, chain in enumerate(need_list(scope, "chains", at, least=1)):
            if type(chain) is not str or _CAIP2(chain) is None:
                refuse(f"{at}/chains/{number}", "form", "each chain is a CAIP-2 id such as eip155:56")
    if "tag" in scope:
        check_text(scope["tag"], f"{at}/tag", longest=128)
    check_members(scope, at)


def check_designation(value: JsonValue, at: str) -> None:
    """`{list, entry, date}`: where the entry of a sanctions list stands."""
    designation = need_object(value, at)
    need_text(designation, "list", at)
    need_text(designation, "entry", at)
    check_day(need(designation, "date", at), f"{at}/date")
    check_members(designation, at)


def check_summary(value: JsonValue, at: str) -> None:
    """The one free text: at most 500 characters and nothing in it that has the shape of personal data."""
    if type(value) is not str or len(value) > LONGEST_SUMMARY:
        refuse(at, "form", f"`{_name(at)}` is a text of at most {LONGEST_SUMMARY} characters")
    found = personal_data_in_text(value)
    if found:
        detail = f"`{_name(at)}` holds {found}: leave it out, or put it into the part pii"
        raise PersonalData(detail, faults=(Fault(at, "personal_data", detail),))


def read_subject_id(value: JsonValue, at: str) -> Subject:
    """An id in exactly its canonical spelling; the fault carries the code of the address error (schemas §4.1)."""
    if type(value) is not str:
        refuse(at, "form", f"`{_name(at)}` is an id")
    try:
        return read_id(value)
    except InvalidAddress as error:
        raise Schema(error.detail, faults=(Fault(at, error.code, error.detail),)) from error


def check_entity_id(value: JsonValue, at: str) -> None:
    """`entity:<member id>:<slug>`."""
    if not isinstance(read_subject_id(value, at), EntityId):
        refuse(at, "form", f"`{_name(at)}` is the id of an entity: entity:<member id>:<slug>")


def check_transaction_id(value: JsonValue, at: str) -> None:
    """`tx:<CAIP-2>:<hash>`."""
    if type(value) is not str or not value.startswith("tx:"):
        refuse(at, "form", "`tx` is the id of a transaction: tx:<chain>:<hash>")
    read_subject_id(value, at)


def check_subject_ids(item: Item, name: str, at: str, *, least: int) -> tuple[str, ...]:
    """A list of different ids of wallets, indicators or entities."""
    values = need_list(item, name, at, least=least, most=256)
    ids = [read_subject_id(value, f"{at}/{name}/{number}").id for number, value in enumerate(values)]
    if len(set(ids)) != len(ids):
        refuse(f"{at}/{name}", "repeated", f"`{name}` names an id twice")
    return tuple(ids)


def months_after(day: date, months: int) -> date:
    """The same day `months` later, or the last of that month where it has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(day.year + years, month + 1, last)
        except ValueError:
            continue
    raise AssertionError("every month has a 28th")


def day_of(seconds: int) -> date:
    """The UTC day of an instant in seconds."""
    return datetime.fromtimestamp(seconds, UTC).date()


def check_members(value: JsonValue, at: str, *, pii: bool = False) -> None:
    """No forbidden member name, no trafficking flag and, outside `pii`, no natural person, at any depth (schemas §0, §2 rule 4).

    Raises ProtectedPerson, ReferNotList, PersonalData.
    """
    stack: list[tuple[JsonValue, str]] = [(value, at)]
    while stack:
        inner, where = stack.pop()
        if type(inner) is list:
            if TRAFFICKING_FLAG in inner:
                refer(where)
            stack.extend((one, f"{where}/{number}") for number, one in enumerate(inner) if type(one) in (dict, list))
        elif type(inner) is dict:
            for name, one in inner.items():
                check_member_name(name, one, where)
                if type(one) in (dict, list):
                    stack.append((one, f"{where}/{name}"))
            if inner.get("kind") == "person" and not pii:
                person_outside_pii(where)


def check_member_name(name: str, value: JsonValue, at: str) -> None:
    """One member name against the names that no item may have."""
    lower = name.lower()
    if lower in FORBIDDEN_MEMBERS:
        detail = f"no item has a member `{lower}`: there is no place here for victims or for what marks a person out"
        raise ProtectedPerson(detail, faults=(Fault(at, "protected_person", detail),))
    if lower == TRAFFICKING_FLAG and value is not False and value is not None:
        refer(at)


def refer(at: str) -> NoReturn:
    """Refuse a person who may be a trafficking victim: refer to the national mechanism, do not list (trust-and-ops §1.3)."""
    detail = "indicators of trafficking: refer the person to the national referral mechanism; nothing of this was stored"
    raise ReferNotList(detail, faults=(Fault(at, "refer_not_list", detail),))


def person_outside_pii(at: str) -> NoReturn:
    """Refuse a natural person outside the part made for them."""
    detail = "natural persons stand in the part `pii` and nowhere else"
    raise PersonalData(detail, faults=(Fault(at, "personal_data", detail),))


Reader = Callable[[JsonValue, str], None]


def check_optional(item: Item, readers: Mapping[str, Reader], at: str) -> None:
    """Check each optional member that is there."""
    for name in item.keys() & readers.keys():
        readers[name](item[name], f"{at}/{name}")
