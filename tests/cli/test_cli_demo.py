"""The demonstration: of our own making, accepted through the gate, and done only once."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import demo_data
from tests.cli.derivation import DERIVE
from tests.cli.program import ROOT, cordon, environment, running
from tests.waiting import wait_until


@pytest.mark.parametrize(("chain", "n", "address"), [*demo_data.WALLETS, *demo_data.CASH_OUT, demo_data.GUARDED])
def test_a_wallet_is_the_address_of_its_number(chain: str, n: int, address: str):
    """Every wallet derives from a small number by the rules of its chain: nobody's property was copied."""
    assert DERIVE[chain](n) == address


def test_the_data_set_has_the_promised_size():
    """About 40 wallets over every chain of the vocabulary of chains, 10 indicators, 4 entities, 30 links, two cash-out points."""
    assert len(demo_data.WALLETS) + len(demo_data.CASH_OUT) + 1 == 42
    assert {chain for chain, _, _ in demo_data.WALLETS} == set(DERIVE)
    assert len(demo_data.INDICATORS) == 10
    assert all(re.search(r"\.example(/|$)", identifier) for identifier, _ in demo_data.INDICATORS)
    assert len(demo_data.ENTITIES) == 4
    links = list(demo_data._links())
    assert len(links) == 30
    assert {link["to"] for link in links if link["relation"] == "cashes_out_at"} == {
        demo_data.wallet_id(chain, address) for chain, _, address in demo_data.CASH_OUT
    }


def test_a_second_start_changes_nothing(node_dir: Path):
    """`demo` on its own directory founds nothing anew and logs nothing again."""
    before = (node_dir / "anchor").read_text()
    again = cordon("demo", "--data-dir", node_dir, "--json")
    assert (again.code, again.json["statements"]) == (0, 0)
    assert (node_dir / "anchor").read_text() == before


def test_a_broken_first_start_goes_on_with_the_same_bytes(node_dir: Path):
    """Without the mark of completion every statement is sent again, and each is known."""
    (node_dir / "demonstrated").unlink()
    before = (node_dir / "anchor").read_text()
    again = cordon("demo", "--data-dir", node_dir, "--json")
    assert (again.code, again.json["statements"]) == (0, 0)
    assert (node_dir / "anchor").read_text() == before


def test_a_real_node_is_not_taken_for_a_demonstration(tmp_path: Path):
    """`demo` on the directory of a founded node refuses and says what to do."""
    assert cordon("init", "--jurisdiction", "xa", "--node", "xa.example", "--data-dir", tmp_path / "xa").code == 0
    refused = cordon("demo", "--data-dir", tmp_path / "xa")
    assert refused.code == 1
    assert "--data-dir" in refused.err


def test_what_the_public_sees_of_it(demonstration: Path):
    """Listed, protected, retracted, disputed and renewed rows answer as they should, without delay."""
    by_n = {n: address for _, n, address in (*demo_data.WALLETS, *demo_data.CASH_OUT, demo_data.GUARDED)}
    asked = [by_n[1], by_n[52], by_n[20], by_n[12], by_n[21], "gh-trade.example", by_n[50]]
    words = [word for address in asked for word in ("--address", address)]
    listed, guarded, retracted, disputed, renewed, indicator, cash_out = cordon(
        "screen", *words, "--data-dir", demonstration, "--json"
    ).rows
    assert (listed["match"], listed["severity"]) == ("listed", 3)
    assert guarded["match"] == "protected"
    assert all(one["state"] == "retracted" for one in retracted["statements"])
    assert retracted["match"] != "listed"
    assert [one["state"] for one in disputed["statements"]] == ["disputed"]
    assert renewed["statements"][0]["expires_at"] > listed["statements"][0]["expires_at"]
    assert indicator["match"] == "listed"
    assert cash_out["statements"][0]["suggested_action"] == "monitor"


@pytest.mark.slow
def test_the_printed_commands_work_word_for_word(tmp_path: Path):
    """`demo --serve` prints one lookup, one submission, one verification; each is run as it stands, by a shell, and does what it says."""
    with running(tmp_path / "demo", "demo", "--serve") as node:
        wait_until(lambda: node.log.read_text().count("\n  # ") >= 3)
        text = node.log.read_text()
        printed = [line.strip() for line in text.splitlines() if re.match(r"  \S*(cordon|python)\S* ", line)]
        assert len(printed) == 3, text
        done = [
            subprocess.run(line, shell=True, env=environment(), capture_output=True, text=True, check=False, timeout=60) for line in printed
        ]
        assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
        lookup, submission, verification = (one.stdout for one in done)
        assert "listed" in lookup
        assert "1 accepted" in submission
        assert verification.startswith("VALID")
        node.child.send_signal(signal.SIGTERM)
        assert node.child.wait(20) == 0


def test_the_printed_commands_name_the_program_as_it_is_here(demonstration: Path):
    """The commands begin with the program of this environment, quoted for a shell."""
    from app.cli.demo import commands

    for line in commands(demonstration, "http://127.0.0.1:8000"):
        words = shlex.split(line)
        assert (Path(words[0]) if Path(words[0]).is_absolute() else ROOT / words[0]).exists() or words[0] == sys.executable
