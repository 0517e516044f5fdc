"""The mechanical scan for personal data, in the claims of a stub and in the one free text of an item.

It finds what has a shape: e-mail addresses, phone numbers, IBANs (by their check digits), passport-like numbers, birth
dates, and in stubs every id of protocol §3.4a. It knows no names: that is what the second pair of eyes is for. Every
pattern is anchored on a rare character or has bounded repetition, so a hostile text costs no more than its length
(protocol §3.3, vectors decision 18, schemas §2 rule 5, trust-and-ops §1.2). The answer names the sort, never the value.
"""

from __future__ import annotations

import re

from .checksums import base58_decode, sha256d

_DIGIT = re.compile("[0-9]")
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}@[^\s@<>()\[\],;:\"]{1,190}\.[^\s@<>()\[\],;:\".]{2,24}")
_IBAN = re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,34}")
_PLUS_PHONE = re.compile(r"(?<![0-9A-Za-z+])\+[ ]?[(]?[1-9](?:[ ()./-]{0,3}[0-9]){6,14}(?![0-9])")
# In prose also the trunk forms: 0049 …, 030 123456, (555) 123-4567. Not in stubs, where a counter may look like these.
_TRUNK_PHONE = re.compile(r"(?<![0-9A-Za-z.,:/-])[(]?0[0-9]{1,5}[)]?[ /-]{1,3}[0-9](?:[ /-]?[0-9]){5,12}(?![0-9A-Za-z])")
_PLAIN_PHONE = re.compile(r"(?<![0-9A-Za-z.,:/-])(?:00[1-9][0-9]{8,13}|0[1-9][0-9]{8,11})(?![0-9A-Za-z.,])")
_NANP_PHONE = re.compile(r"(?<![0-9A-Za-z.,:/-])(?:[(][2-9][0-9]{2}[)] ?|[2-9][0-9]{2}[ .-])[0-9]{3}[ .-][0-9]{4}(?![0-9A-Za-z])")

_PASSPORT = re.compile(r"(?<![0-9A-Za-z])(?:[A-Z]{1,2}[0-9]{6,8}|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8})(?![0-9A-Za-z])")
_PASSPORT_WORD = re.compile(
    r"passport|passeport|reisepass|personalausweis|pasaporte|passaporto|paszport|id card|паспорт|护照|護照|여권|旅券", re.IGNORECASE
)
_DOCUMENT_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{6,12}(?![0-9A-Za-z])")

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez)[a-zä]{0,8}"
_FULL_DATE = re.compile(
    r"(?<![0-9])(?:"
    r"(?P<a>[12][0-9]{3})[-/.][0-9]{1,2}[-/.][0-9]{1,2}"
    r"|[0-9]{1,2}[-/.] ?[0-9]{1,2}[-/.] ?(?P<b>[12][0-9]{3})"
    rf"|[0-9]{{1,2}}[. -]{{1,2}}{_MONTH}[., -]{{1,2}}(?P<c>[12][0-9]{{3}})"
    r")(?![0-9])",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(rf"(?<![A-Za-z]){_MONTH} [0-9]{{1,2}},? (?P<d>[12][0-9]{{3}})(?![0-9])", re.IGNORECASE)
_BIRTH_WORD = re.compile(
    r"(?<![A-Za-z])(?:born|birth|d\.?o\.?b|b\.d|geb\.|geboren|geburts|né[e]? le|naissance|nacid|nacimiento|nato il|nata il)|出生|생년|родил",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])|(?<![0-9])[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}(?![0-9])")
# Nobody lists a wallet for what happened before there were wallets: a full date up to here is somebody's birthday.
_LAST_BIRTH_YEAR = 2008

# Ids of protocol §3.4a: a CAIP-10 wallet under a namespace we know, or an indicator behind its word.
_ID = re.compile(
    r"(?<![a-z0-9])(?:"
    r"(?:eip155|bip122|tron|solana|tvm|ton|xrpl|ripple|monero|stellar|polkadot|cardano|cosmos|sui|aptos|near|algorand|hedera|tezos|substrate)"
    r":[-_a-zA-Z0-9]{1,64}:[-.%a-zA-Z0-9]{16}"
    r"|tx:[-a-z0-9]{3,16}:[-_a-zA-Z0-9]{1,64}:"
    r"|domain:[^\s.]{1,63}\.|url:[a-z]{3,8}:|email:\S|phone:\+?[0-9]|handle:[a-z0-9._-]{1,32}:|ip:[0-9a-f]{1,4}[.:]|app:[a-z0-9._-]{1,32}:|iban:[a-z]{2}[0-9]"
    r"|entity:[a-z]{2}\."
    r")",
    re.IGNORECASE,
)
# Bare addresses. Base58 forms count by their check digits alone: a random key of hex or base58 often has their shape.
_BARE_ADDRESS = re.compile(r"(?<![0-9A-Za-z])(?:0x[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?|(?:bc1|ltc1)[a-z0-9]{38,60})(?![0-9A-Za-z])")
_BASE58_ADDRESS = re.compile(r"(?<![0-9A-Za-z])[13T][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])")


def has_email(text: str) -> bool:
    """Whether an e-mail address stands in `text`."""
    return "@" in text and _EMAIL.search(text) is not None


def has_iban(text: str) -> bool:
    """Whether an IBAN with good check digits stands in `text`, grouped or not, in either case."""
    return any(_is_iban_run(match.group()) for match in _IBAN.finditer(text))


def _is_iban_run(run: str) -> bool:
    # The run may have swallowed the words after the number, so every end of a group is tried as the end.
    letters = ""
    for group in re.split("[ -]", run):
        letters += group
        if 15 <= len(letters) <= 34 and sum(map(str.isdigit, letters)) >= 10 and _mod97(letters) == 1:
            return True
    return False


def _mod97(letters: str) -> int:
    turned = letters[4:] + letters[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97


def has_international_phone(text: str) -> bool:
    """Whether a phone number in `+` form stands in `text`."""
    return "+" in text and _PLUS_PHONE.search(text) is not None


def has_phone(text: str) -> bool:
    """Whether a phone number in any usual written form stands in `text`."""
    return has_international_phone(text) or any(pattern.search(text) for pattern in (_TRUNK_PHONE, _PLAIN_PHONE, _NANP_PHONE))


def has_passport_number(text: str) -> bool:
    """Whether a number with the shape of a passport's, or any document number near that word, stands in `text`."""
    for match in _PASSPORT.finditer(text):
        if sum(map(str.isdigit, match.group())) >= 5:
            return True
    for word in _PASSPORT_WORD.finditer(text):
        near = text[word.end() : word.end() + 40]
        if any(sum(map(str.isdigit, number)) >= 5 for number in _DOCUMENT_NUMBER.findall(near)):
            return True
    return False


def has_birth_date(text: str) -> bool:
    """Whether a full date early enough to be a birthday, or a year near a word for birth, stands in `text`."""
    for pattern in (_FULL_DATE, _MONTH_FIRST):
        for match in pattern.finditer(text):
            year = next(int(group) for group in match.groups() if group)
            if 1900 <= year <= _LAST_BIRTH_YEAR:
                return True
    return any(_YEAR.search(text, word.end(), word.end() + 40) for word in _BIRTH_WORD.finditer(text))


def has_identifier(text: str) -> bool:
    """Whether an id of protocol §3.4a, or a bare address of a common chain, stands in `text`."""
    if (":" in text and _ID.search(text) is not None) or _BARE_ADDRESS.search(text) is not None:
        return True
    return any(_has_check_digits(match.group()) for match in _BASE58_ADDRESS.finditer(text))


def _has_check_digits(base58: str) -> bool:
    data = base58_decode(base58)
    return len(data) == 25 and sha256d(data[:-4])[:4] == data[-4:]


def personal_data_in_stub(text: str) -> str | None:
    """What sort of thing `text` holds that a stub may not: an id, an e-mail address, a phone number or an IBAN; else None."""
    if has_identifier(text):
        return "an identifier"
    if has_email(text):
        return "an e-mail address"
    if has_international_phone(text):
        return "a phone number"
    return "an IBAN" if has_iban(text) else None


def personal_data_in_text(text: str) -> str | None:
    """What sort of personal data a `summary` holds, or None. Wallets and domains may stand there; people's data may not."""
    if has_email(text):
        return "an e-mail address"
    if _DIGIT.search(text) is None:
        return None  # every other form has digits, most summaries have none
    if has_iban(text):
        return "an IBAN"
    if has_phone(text):
        return "a phone number"
    if has_passport_number(text):
        return "a number like a passport's"
    return "a birth date" if has_birth_date(text) else None
