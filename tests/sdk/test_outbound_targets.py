"""The guard of S-14, before anything is connected: which addresses and URLs may be called at all."""

from __future__ import annotations

import pytest

from app.domain.errors import BadRequest
from app.sdk.outbound import check_addresses, check_url
from tests.sdk.inside import INSIDE, PUBLIC

NO_ADDRESSES = ["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3", "1.2.3.4.5", "8.8.8.8 ", "2606:4700::1111%1"]


@pytest.mark.parametrize("address", INSIDE + NO_ADDRESSES)
def test_what_is_not_public_is_refused(address: str):
    """The whole table, alone and beside a public address: one bad address spoils the answer."""
    for addresses in ([address], [PUBLIC, address], [address, PUBLIC]):
        with pytest.raises(BadRequest):
            check_addresses(addresses)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e", "2002:5db8:d70e::1", "2a00:1450::1"],
)
def test_what_is_public_passes(address: str):
    """Also where a public IPv4 address is wrapped in an IPv6 one."""
    assert check_addresses([address]) == (address,)


def test_an_answer_of_no_or_of_many_addresses_is_refused():
    """Nothing to connect to, or a list to keep us busy."""
    for addresses in ([], [PUBLIC] * 17):
        with pytest.raises(BadRequest):
            check_addresses(addresses)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_passes_only_when_it_is_asked_for(address: str):
    """The development switch opens loopback, and nothing else that is inside."""
    assert check_addresses([address], allow_loopback=True) == (address,)
    for other in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "::"):
        with pytest.raises(BadRequest):
            check_addresses([address, other], allow_loopback=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://de.example", "https://de.example"),
        ("https://DE.Example/", "https://de.example"),
        ("https://de.example:443/cordon/", "https://de.example/cordon"),
        ("https://de.example:8443", "https://de.example:8443"),
        ("https://b\u00fcro.example", "https://xn--bro-hoa.example"),
        (f"https://{PUBLIC}", f"https://{PUBLIC}"),
        ("https://[2606:4700:4700:0::1111]:8443", "https://[2606:4700:4700::1111]:8443"),
    ],
)
def test_a_url_has_one_spelling(url: str, shown: str):
    """Small letters, ASCII, no default port, no slash at the end."""
    assert check_url(url).url == shown


BAD_URLS = [
    "",
    "de.example",
    "http://de.example",
    "ftp://de.example",
    "file:///etc/passwd",
    "HTTPS://de.example",
    "https://",
    "https:///path",
    "https://user@de.example",
    "https://user:word@de.example",
    "https://de.example@127.0.0.1",
    "https://de.example#part",
    "https://de.example\\@127.0.0.1",
    "https://de.example /",
    " https://de.example",
    "https://de.example\n",
    "https://de.example\r\nHost: x",
    "https://de.example:22",
    "https://de.example:80",
    "https://de.example:0443",
    "https://de.example:+443",
    "https://de.example:99999",
    "https://de.example:",
    "https://de.example?x=1",
    "https://de.example./",
    "https://*.de.example",
    "https://_x.de.example",
    "https://de%2eexample",
    "https://de(.)example",
    "https://hxxp.example",
    "https://localhost",
    "https://localhost.",
    "https://LOCALHOST",
    "https://a.localhost",
    "https://a.localhost.",
    "https://node.internal",
    "https://node.local",
    "https://abcdefgh.onion",
    "https://intranet",
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://0177.0.0.1",
    "https://017700000001",
    "https://127.0.0.1.",
    "https://\uff11\uff12\uff17.0.0.1",
    "https://\u2460\u2461\u2466.0.0.1",
    "https://127\u30020\u30020\u30021",
    "https://loc\u00adalhost",
    "https://[fe80::1%lo]",
    "https://[fe80::1%25lo]",
    "https://[::1",
    "https://[v1.x]",
    "https://[]",
    *(f"https://[{one}]" if ":" in one else f"https://{one}" for one in INSIDE if "%" not in one),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_leads_inside_or_deceives_is_refused(url: str):
    """Other schemes and ports, users, fragments, second spellings of addresses, names of this machine."""
    with pytest.raises(BadRequest):
        check_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001", "https://localhost:9443"])
def test_development_may_call_its_own_machine(url: str):
    """Any port and plain http, on loopback only, and only with the switch."""
    assert check_url(url, allow_loopback=True).url == url
    with pytest.raises(BadRequest):
        check_url(url)
    with pytest.raises(BadRequest):
        check_url("http://de.example", allow_loopback=True)
