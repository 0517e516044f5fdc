"""Standard Webhooks: what is signed here others verify, what others signed is verified here."""

from __future__ import annotations

from base64 import b64encode

import pytest

from app.domain.errors import InvalidProof, Malformed
from app.sdk.webhook import WebhookKey, headers_for, verify

# The vector that the specification's own libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPOKEN = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
NOW = 1614265330
OLD, NEW = WebhookKey(b"o" * 32, b"1" * 32), WebhookKey(b"n" * 32, b"2" * 32)


def test_the_published_vector_verifies() -> None:
    """Also with header names in capitals, and among signatures of versions that nobody knows."""
    assert verify(SPOKEN, BODY, SECRET, now=NOW) == SPOKEN["webhook-id"]
    loud = {name.title(): value for name, value in SPOKEN.items()}
    loud["Webhook-Signature"] = f"v9,abc {SPOKEN['webhook-signature']}"
    assert verify(loud, BODY, SECRET, now=NOW + 299) == SPOKEN["webhook-id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "+1614265330"},
        {"webhook-timestamp": ""},
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF="},
        {"webhook-signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": " ".join(["v9,abc"] * 16 + [SPOKEN["webhook-signature"]])},
        {"webhook-signature": ""},
    ],
)
def test_whatever_is_changed_does_not_verify(changed: dict[str, str]) -> None:
    """Id, time, signature, its version; and no list of signatures without end is tried."""
    with pytest.raises(InvalidProof):
        verify({**SPOKEN, **changed}, BODY, SECRET, now=NOW)


@pytest.mark.parametrize(("body", "now"), [(BODY + b" ", NOW), (BODY, NOW + 301), (BODY, NOW - 301)])
def test_another_body_and_another_time_do_not_verify(body: bytes, now: int) -> None:
    """A request that is repeated after five minutes is old."""
    with pytest.raises(InvalidProof):
        verify(SPOKEN, body, SECRET, now=now)


@pytest.mark.parametrize("key", [OLD.secret, OLD.public, NEW.secret, NEW.public])
def test_during_a_rotation_each_key_verifies(key: str) -> None:
    """Shared or public, old or new: the receiver may change when it suits him."""
    headers = headers_for([NEW, OLD], "a-1", NOW, BODY)
    assert [one.partition(",")[0] for one in headers["webhook-signature"].split()] == ["v1", "v1a", "v1", "v1a"]
    assert verify(headers, BODY, key, now=NOW) == "a-1"
    with pytest.raises(InvalidProof):
        verify(headers_for([WebhookKey(b"x" * 24, b"3" * 32)], "a-1", NOW, BODY), BODY, key, now=NOW)


@pytest.mark.parametrize(
    "secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_!", "whpk_" + b64encode(b"x" * 31).decode()]
)
def test_a_secret_that_is_none_is_named_as_such(secret: str) -> None:
    """A receiver that is set up wrongly must not look like a forged request."""
    with pytest.raises(Malformed):
        verify(SPOKEN, BODY, secret, now=NOW)


def test_keys_of_another_length_are_refused() -> None:
    """24 to 64 bytes, as the specification says."""
    for shared, seed in ((b"x" * 23, b"1" * 32), (b"x" * 65, b"1" * 32), (b"x" * 24, b"1" * 31)):
        with pytest.raises(Malformed):
            WebhookKey(shared, seed)
