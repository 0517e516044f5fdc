"""Indicators, ids and what is pasted: one id for one thing, and exactly that text in statements."""

from __future__ import annotations

import pytest

from app.domain.address import Wallet
from app.domain.errors import InvalidAddress
from app.domain.identifiers import EntityId, bucket_of, covering, describe, id_key, read_id, read_indicator, read_subject

EVM = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
TX = "5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Evil.EXAMPLE", "domain:evil.example"),
        ("evil.example.", "domain:evil.example"),
        ("*.evil.example", "domain:*.evil.example"),
        ("evil[.]example", "domain:evil.example"),
        ("bücher.example", "domain:xn--bcher-kva.example"),
        ("BÜCHER.example", "domain:xn--bcher-kva.example"),
        ("bu\u0308cher.example", "domain:xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "domain:xn--bcher-kva.example"),
        ("\u0430pple.example", "domain:xn--pple-43d.example"),  # Cyrillic а: what is registered so is listed so
        ("login_wallet.example.com", "domain:login_wallet.example.com"),
        ("https://Evil.example", "url:https://evil.example/"),
        ("HTTP://evil.example:80/a/./b/../c?q=1#part", "url:http://evil.example/a/c?q=1"),
        ("hxxps://evil[.]example/x", "url:https://evil.example/x"),
        ("https://user:secret@evil.example:8443/", "url:https://evil.example:8443/"),
        ("https://evil.example/%7euser/%e2%82%ac?a=%2f&b=€", "url:https://evil.example/~user/%E2%82%AC?a=%2F&b=%E2%82%AC"),
        ("https://evil.example/100%", "url:https://evil.example/100%25"),
        ("https://evil.example?", "url:https://evil.example/"),
        ("https://203.0.113.7/x", "url:https://203.0.113.7/x"),
        ("https://[2001:DB8:0::7]:8080/", "url:https://[2001:db8::7]:8080/"),
        ("evil.example/claim", "url:https://evil.example/claim"),
        ("https://t.me/Quick_Profit", "handle:telegram:quick_profit"),
        ("t.me/quick_profit/", "handle:telegram:quick_profit"),
        ("https://t.me/joinchat/AbC", "url:https://t.me/joinchat/AbC"),
        ("https://wa.me/4915112345678", "phone:+4915112345678"),
        ("Support@Evil.EXAMPLE", "email:support@evil.example"),
        ("mailto:a.b+c@evil.example", "email:a.b+c@evil.example"),
        ("+49 (0)151 1234-5678", "phone:+4915112345678"),
        ("tel:+1-202-555-0143", "phone:+12025550143"),
        ("+39 06 1234 5678", "phone:+390612345678"),
        ("handle:Telegram:@Quick_Profit", "handle:telegram:quick_profit"),
        ("handle:twitter:QuickProfit", "handle:x:quickprofit"),
        ("handle:facebook:Mu\u0308ller.Invest", "handle:facebook:müller.invest"),
        ("203.0.113.7", "ip:203.0.113.7"),
        ("2001:DB8:0:0::7", "ip:2001:db8::7"),
        ("[2001:db8::7]", "ip:2001:db8::7"),
        ("::ffff:203.0.113.7", "ip:203.0.113.7"),
        ("app:play:example.quick.profit", "app:google-play:example.quick.profit"),
        ("app:ios:id1234567890", "app:apple:1234567890"),
        (f"tx:ethereum:0x{TX.upper()}", f"tx:eip155:1:0x{TX}"),
        (f"tx:eip155:56:{TX}", f"tx:eip155:56:0x{TX}"),
        (f"tx:tron:728126428:0x{TX}", f"tx:tron:0x2b6653dc:{TX}"),
        (f"tx:btc:{TX}", f"tx:bip122:000000000019d6689c085ae165831e93:{TX}"),
        ("DE89 3704 0044 0532 0130 00", "iban:DE89370400440532013000"),
        ("iban:gb82west12345698765432", "iban:GB82WEST12345698765432"),
    ],
)
def test_every_spelling_of_an_indicator_has_one_id(text: str, found: str):
    """What is pasted gives the canonical id, which reads back as itself in both ways."""
    indicator = read_subject(text)
    assert indicator.id == found
    assert read_id(found) == read_id(indicator.id)
    assert read_id(found).id == read_indicator(found).id == read_subject(f" {found} ").id == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("vitalik.eth", "name_not_address"),
        ("domain:someone.sol", "name_not_address"),
        ("@someone", "name_not_address"),
        ("localhost", "length"),
        ("domain:localhost", "length"),
        ("evil..example", "alphabet"),
        ("-evil.example", "alphabet"),
        ("evil.example\n", "alphabet"),
        ("a.*.example", "alphabet"),
        ("1.2.3.4.5", "alphabet"),
        ("999.0.0.1", "alphabet"),
        ("01.2.3.4", "alphabet"),
        ("fe80::1%eth0", "uri"),
        ("a" * 64 + ".example", "length"),
        (".".join(["abcdefgh"] * 30) + ".example", "length"),
        ("\u212a.example", "confusable"),
        ("e\u200bvil.example", "confusable"),
        ("\uff45vil.example", "confusable"),
        ("evil\u3002example", "alphabet"),
        ("evil\u00ad.example", "confusable"),
        ("ftp://evil.example/", "uri"),
        ("javascript://x", "uri"),
        ("ethereum:" + EVM, "uri"),
        ("https://evil.example/a b", "alphabet"),
        ("https://evil.example\\@good.example/", "alphabet"),
        ("https://evil.example/\u202e", "confusable"),
        ("https://evil.example:99999/", "alphabet"),
        ("https://evil.example:٣/", "alphabet"),
        ("https://[::1/", "alphabet"),
        ("https://*.evil.example/", "alphabet"),
        ("https://3232235777/", "alphabet"),
        ("a@b@evil.example", "alphabet"),
        ('"a b"@evil.example', "alphabet"),
        ("\u0430@evil.example", "confusable"),
        ("a@*.example", "alphabet"),
        ("+49", "alphabet"),
        ("+999 123 4567 890", "length"),
        ("+4915112345678901234", "length"),
        ("+٤٩15112345678", "confusable"),
        ("phone:015112345678", "alphabet"),
        ("handle:someone", "alphabet"),
        ("handle:telegram:", "length"),
        ("handle:telegram:a b", "alphabet"),
        ("handle:telegram:a\u200bb", "confusable"),
        ("handle:telegram:\uff41bc", "confusable"),
        ("handle:telegram:\u212aelvin", "confusable"),
        ("handle:tele gram:abc", "alphabet"),
        ("app:google-play:nodots", "alphabet"),
        ("app:apple:0123", "alphabet"),
        (f"tx:eip155:0:0x{TX}", "unknown_chain"),
        (f"tx:sepolia:0x{TX}", "testnet"),
        ("tx:eip155:1:0x12", "length"),
        (f"tx:solana:{TX}", "length"),
        ("iban:DE88370400440532013000", "checksum"),
        ("iban:DE89", "alphabet"),
        ("url:", "length"),
        ("url:https://evil.example/" + "a" * 3000, "length"),
        ("entity:de.bka:golden-sun", "name_not_address"),
    ],
)
def test_what_is_no_indicator_is_refused(text: str, code: str):
    """Each fault has its code; nothing invisible, wide or foreign is mapped to what it imitates."""
    with pytest.raises(InvalidAddress) as caught:
        read_subject(text)
    assert caught.value.code == code
    assert len(text) < 16 or text not in caught.value.detail


def test_a_kind_may_be_named():
    """The kind decides where a text could be several things; an unknown kind is refused."""
    assert read_indicator("line:someone", kind="handle").id == "handle:line:someone"
    assert read_indicator("domain:evil.example", kind="domain").id == "domain:evil.example"
    assert read_indicator("Evil.example", kind="domain").kind == "domain"
    for kind in ("wallet", "entity", ""):
        with pytest.raises(InvalidAddress):
            read_indicator("evil.example", kind=kind)


def test_what_is_pasted_may_be_a_wallet():
    """Wallets in any spelling come out as wallets; with a chain named, everything is read as one."""
    assert read_subject(EVM).id == "eip155:0:" + EVM
    assert read_subject(f" {EVM[2:]}").id == "eip155:0:" + EVM
    assert read_subject(EVM, chain="bsc").scope_chain == "eip155:56"
    assert read_subject("tvm:-239:0:" + TX).family == "ton"
    assert read_subject("xrpl:0:rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY", tag="7").tag == "7"
    with pytest.raises(InvalidAddress) as caught:
        read_subject("evil.example", chain="ethereum")
    assert caught.value.code == "name_not_address"
    assert read_subject("domain:evil.example", chain="ethereum").id == "domain:evil.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        EVM,
        "evil.example",
        "domain:Evil.example",
        "domain:evil.example.",
        "domain:bücher.example",
        "url:https://evil.example",
        "url:https://evil.example/#x",
        "url:https://evil.example:443/",
        "url:https://evil.example/a/../b",
        "url:https://evil.example/%7e",
        "url:https://t.me/quick_profit",
        "email:Support@evil.example",
        "phone:+49 151 12345678",
        "phone:4915112345678",
        "phone:+049151123456",
        "phone:+٤٩15112345678",
        "handle:telegram:@quick",
        "handle:telegram:Quick",
        "handle:twitter:quick",
        "ip:2001:DB8::7",
        "ip:203.0.113.07",
        "ip:::ffff:1.2.3.4",
        "iban:DE89 3704 0044 0532 0130 00",
        "iban:de89370400440532013000",
        f"tx:eip155:1:{TX}",
        f"tx:eip155:1:0x{TX.upper()}",
        f"tx:tron:728126428:{TX}",
        "app:play:example.quick.profit",
        "entity:de.bka:Golden",
        "entity:de.bka:golden--sun",
        "entity:de.bka:",
        "entity:bka:golden",
        "entity:de.bka:golden-sun\n",
        "foo:bar:baz",
        "handle:facebook:mu\u0308ller.invest",
        "domain:evil.example\ufeff",
        "handle:x:\ud800",
        "url:https://evil.example/" + "a" * 2048,
    ],
)
def test_other_spellings_are_no_ids(text: str):
    """Statements carry exactly the canonical text: a second spelling would be a second key and another bucket."""
    with pytest.raises(InvalidAddress):
        read_id(text)


def test_entities_belong_to_a_member():
    """An entity id names who speaks of it."""
    entity = read_id("entity:de.bka:golden-sun-2")
    assert entity == EntityId("entity:de.bka:golden-sun-2", "de.bka", "golden-sun-2")


def test_patterns_cover_what_is_below_them():
    """`*.` is a thing of its own: it covers what is below, and neither the name itself nor a top-level domain is a pattern of it."""
    assert covering(read_indicator("a.b.evil.example")) == ("domain:*.b.evil.example", "domain:*.evil.example")
    assert covering(read_indicator("https://b.evil.example:8443/x")) == ("domain:*.evil.example",)
    assert covering(read_indicator("*.b.evil.example")) == ("domain:*.evil.example",)
    assert covering(read_indicator("evil.example")) == ()
    assert covering(read_indicator("203.0.113.7")) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EVM, "EVM address"),
        ("TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", "tron address"),
        ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "bitcoin address"),
        ("evil.example", "domain"),
        ("https://evil.example", "web address"),
        ("handle:telegram:quick", "telegram handle"),
        ("+4915112345678", "phone number"),
    ],
)
def test_people_are_told_what_a_text_was_read_as(text: str, words: str):
    """Search answers begin with it."""
    assert describe(read_subject(text)) == words


def test_an_entity_is_told_too():
    """Entities are subjects of links."""
    assert describe(read_id("entity:de.bka:golden-sun")) == "entity"


def test_keys_and_buckets():
    """The key is a hash of the text as it stands; the bucket is its first two bytes."""
    key = id_key("eip155:0:0x00000000219ab540356cbb839cbe05303d7705fa")
    assert key.hex() == "3d56bf8823bf84ac533951693e12b7b37eec11faebd3cb968915693cf4281b10"
    assert bucket_of(key) == 0x3D56
    assert len(id_key("x" * 2048)) == 32
    for bad in ("x" * 2049, "ü" * 1025, "a b", "a\u00a0b", "a\u0085", "a\ufeff", "u\u0308", "\ud800", ""):
        with pytest.raises(InvalidAddress):
            id_key(bad)


def test_a_wallet_cannot_be_changed():
    """What was read stays as it was read."""
    wallet = read_subject(EVM)
    assert isinstance(wallet, Wallet)
    with pytest.raises(AttributeError):
        wallet.id = "eip155:0:0x00"  # type: ignore[misc]
