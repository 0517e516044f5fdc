"""Screening receipts as tokens: `typ: cordon-receipt+jwt`, signed by a key of the node that the root document names (protocol §3.10)."""

from __future__ import annotations

from ..domain.canonical import write_json
from ..domain.errors import InvalidProof
from ..domain.screening_receipt import ScreeningReceipt, read_claims
from .jws import FindKey, SigningKey, open_token, sign_token

TYP = "cordon-receipt+jwt"
MAX_BYTES = 256 * 1024
"""500 questions and 900 hits take less."""


def sign_screening(receipt: ScreeningReceipt, key: SigningKey) -> str:
    """The receipt as a compact token."""
    return sign_token(write_json(receipt.claims()), key, typ=TYP)


def open_screening(token: str, find_key: FindKey) -> ScreeningReceipt:
    """The receipt that a node signed with a key of its own; what `open_token` raises, Malformed for other claims, InvalidProof if the
    key belongs to somebody else than who it says has issued it.
    """
    opened = open_token(token, typ=TYP, find_key=find_key, max_bytes=MAX_BYTES)
    receipt = read_claims(opened.claims)
    if opened.kid.partition("#")[0] != receipt.issuer:
        raise InvalidProof(f"a receipt of {receipt.issuer} is signed by its own key, not by {opened.kid}")
    return receipt
