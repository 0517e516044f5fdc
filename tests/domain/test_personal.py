"""The mechanical scan: what it must find, what it must leave alone, and that a hostile text costs no more than its length."""

from __future__ import annotations

import time

import pytest

from app.domain.personal import personal_data_in_stub, personal_data_in_text

FOUND_IN_TEXT = {
    "an e-mail address": [
        "Write to jane.doe@example.org for the money back.",
        "contact: x_y+z@mail.example.co",
        "jürgen@exämple.de answered",
        "<jane@example.org>",
    ],
    "a phone number": [
        "called from +49 30 1234567",
        "call +1 (555) 123-4567 now",
        "+491701234567",
        "Hotline 0049 170 1234567",
        "Tel. 030 1234567",
        "Tel (030) 123 45 67",
        "(555) 123-4567",
        "555-123-4567",
        "01701234567",
    ],
    "an IBAN": [
        "DE89370400440532013000",
        "paid to DE89 3704 0044 0532 0130 00 in May",
        "gb29nwbk60161331926819",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "a number like a passport's": [
        "holder of AB1234567",
        "document C01X00T47",
        "passport 123456789",
        "Reisepass Nr. 12345678",
        "护照 123456789",
    ],
    "a birth date": [
        "a man, 1985-03-12",
        "geb. 12.03.1985",
        "12 March 1985",
        "March 12, 1985",
        "born in 2011",
        "DOB 01/02/03",
    ],
}
CLEAN_TEXT = [
    "Fake trading platform, withdrawals refused.",
    "Victims were told to pay 1,250,000.50 USDT since 2026-10-02 08:00.",
    "Wallet 0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b received 12500000000 wei in block 19482733.",
    "Address TRoAbFf3FdcX13v1sNGhSwvhu3duvNkxAg, chain tron, 3 victims.",
    "The site login-wallet.example asked for 0.123456789 ETH and 20 % tax.",
    "Operation of 12.10.2026, order 44/2025, entry SDN 12345.",
    "Ratio 1:20, version 2.10.4, IP 10.0.0.1, port 8443.",
    "US20 million were moved through the platform within days of opening.",
    "sha256 e10d0895015af118582107a20a457a617e33d1867936c38d54356f1381706ded",
    "Telegram handle @golden_sun, 12,000 followers",
]
CLEAN_STUB = [
    "7f2c91",
    "batch-7-row-1",
    "550e8400-e29b-41d4-a716-446655440000",
    "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "20261002-000123",
    "000000000042",
    "ORCON",
    "REL-TO:KR",
    "CC-BY-4.0",
    "gdpr-17",
    "court_order",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "1f3a5c7e9b2d4f6a8c1e3b5d7f9a2c4e",  # a UUID in hex without a 0 has the shape of a Bitcoin address
    "Sq4S7YqjRX_Jr4iDVGMFbb24Be9QbB87_Sk6aNWoFEM",
]
FOUND_IN_STUB = [
    "jane.doe@example.org",
    "+49 30 1234567",
    "call+491701234567" + " now +491701234567",
    "DE89370400440532013000",
    "de89370400440532013000",
    "see eip155:0:0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b",
    "tron:0x2b6653dc:TRoAbFf3FdcX13v1sNGhSwvhu3duvNkxAg",
    "bip122:000000000019d6689c085ae165831e93:1JNfAWSTZ4ChTwfjQsmG",
    "0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b",
    "TRoAbFf3FdcX13v1sNGhSwvhu3duvNkxAg",
    "1JNfAWSTZ4ChTwfjQsmGK3xDEVeubYSRPg",
    "domain:login-wallet.example",
    "url:https://x.example/a",
    "email:x",
    "phone:+49301234567",
    "handle:telegram:golden_sun",
    "ip:10.0.0.1",
    "app:google:com.example",
    "tx:eip155:1:0xabc",
    "iban:DE89",
    "entity:de.bka:golden-sun",
]


@pytest.mark.parametrize(("sort", "text"), [(sort, text) for sort, texts in FOUND_IN_TEXT.items() for text in texts])
def test_personal_data_in_a_summary_is_named_by_its_sort(sort: str, text: str) -> None:
    """Each form that the specification names is found, and the answer says which it is without repeating it."""
    assert personal_data_in_text(text) == sort


@pytest.mark.parametrize("text", CLEAN_TEXT)
def test_an_ordinary_summary_is_left_alone(text: str) -> None:
    """Amounts, dates of the case, addresses, hashes and handles are not personal data here."""
    assert personal_data_in_text(text) is None


@pytest.mark.parametrize("text", FOUND_IN_STUB)
def test_ids_and_contacts_are_found_in_a_stub(text: str) -> None:
    """An id of §3.4a, an e-mail address, a phone number or an IBAN has no place in what is never erased."""
    assert personal_data_in_stub(text) is not None


@pytest.mark.parametrize("text", CLEAN_STUB)
def test_ordinary_idempotency_keys_and_codes_pass(text: str) -> None:
    """Random keys, counters, hashes and codes are what `jti`, `hc`, `lic` and `ground` are for."""
    assert personal_data_in_stub(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a@" * 50_000,
        "@" * 100_000,
        "a." * 50_000 + "@",
        "x@" + "a." * 50_000,
        "DE89" * 25_000,
        "DE89 " * 20_000,
        "+" * 100_000,
        "+1" + " ." * 50_000,
        "0 " * 50_000,
        "01-" * 33_000,
        "(((" * 33_000,
        "passport " * 11_000,
        "born " * 20_000,
        "12." * 33_000,
        "jan " * 25_000,
        "domain:" * 14_000,
        "eip155:" * 14_000,
        "A1" * 50_000,
        "٠١٢" * 33_000,
    ],
)
def test_a_hostile_text_is_scanned_in_linear_time(text: str) -> None:
    """A hundred thousand characters of near matches: well under what a backtracking pattern would need."""
    began = time.process_time()
    personal_data_in_text(text)
    personal_data_in_stub(text)
    assert time.process_time() - began < 5.0


def test_digits_of_other_scripts_are_not_taken_for_ascii() -> None:
    """ASCII digits only: full-width and Arabic digits form neither an IBAN nor a phone number."""
    assert personal_data_in_stub("ＤＥ８９３７０４００４４０５３２０１３０００") is None
    assert personal_data_in_text("+٤٩٣٠١٢٣٤٥٦٧") is None
