"""Every command's manners: exit codes, JSON, sentences instead of tracebacks, and settings that are read as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.tree import COMMANDS
from tests.cli.program import cordon, process


def test_a_real_process_ends_with_the_code_and_prints_json(tmp_path: Path):
    """The program as a process: 0, 1, 2 and 3, one JSON document on stdout, a sentence on stderr, never a traceback."""
    good = process("config", "check", "--data-dir", tmp_path, "--json")
    assert (good.code, json.loads(good.out)["ok"]) == (0, True)
    refused = process("verify", tmp_path, "--data-dir", tmp_path, "--json")
    assert (refused.code, json.loads(refused.out)["error"]["code"]) == (1, "not_found")
    usage = process("submit", "--json")
    assert (usage.code, json.loads(usage.out)["error"]["code"]) == (2, "usage")
    away = process("screen", "--address", "x", "--node", "http://127.0.0.1:9", "--json")
    assert (away.code, json.loads(away.out)["error"]["code"]) == (3, "unavailable")
    for one in (good, refused, usage, away):
        assert "Traceback" not in one.out + one.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("no-such",),
        ("keys", "no-such"),
        ("init",),
        ("screen",),
        ("import", "no-such", "x", "--as", "zz.police"),
        ("serve", "--port", "0"),
    ],
)
def test_a_wrong_command_line_is_exit_2(words: tuple[str, ...]):
    """Unknown commands, missing and impossible options."""
    assert cordon(*words).code == 2


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_tells_what_it_does(name: str):
    """`--help` of each command, and it takes --json and --data-dir where it touches a node."""
    helped = cordon(name, "--help")
    assert helped.code == 0
    assert "Usage: cordon" in helped.out


@pytest.mark.parametrize(
    "words",
    [
        ("serve",), ("member", "list"), ("client", "list"), ("protected", "list"), ("fsck",), ("db", "upgrade"), ("export", "-"), ("backup", "x.tar"),
        ("freeze",), ("policy", "set", "--needs2", "", "--four-eyes", ""),
    ],
)  # fmt: skip
def test_a_directory_without_a_node_is_said_so(words: tuple[str, ...], tmp_path: Path):
    """Without `init` every command on the host says what makes a node; a command that would ask a node finds none."""
    said = cordon(*words, "--data-dir", tmp_path / "none")
    assert said.code in (1, 3)
    assert "cordon init" in said.err or "cordon serve" in said.err
    assert not (tmp_path / "none").exists()


def test_an_unknown_setting_stops_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A misspelt CORDON_… must not silently be a default."""
    monkeypatch.setenv("CORDON_PUBLIC_DELAY", "1")
    refused = cordon("config", "check", "--data-dir", tmp_path)
    assert refused.code == 2
    assert "CORDON_PUBLIC_DELAY" in refused.err


@pytest.mark.parametrize("text", [b"public_delay_h = 5\npublic_delay_h = 6\n", b"port = \n", b"\xff\xfe"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, text: bytes):
    """A name twice, half a line, not UTF-8: exit 2 with the file and the place, and no word of a fault of the program."""
    (tmp_path / "cordon.toml").write_bytes(text)
    refused = cordon("config", "check", "--data-dir", tmp_path)
    assert refused.code == 2
    assert f"{tmp_path / 'cordon.toml'} is not TOML" in refused.err


def test_settings_are_shown_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Passwords of URLs and tokens are stars, in text and in JSON; the rest is as read, cordon.toml included."""
    monkeypatch.setenv("CORDON_DATABASE_URL", "postgresql+psycopg://cordon:geheim@db.example/cordon")
    monkeypatch.setenv("CORDON_METRICS_TOKEN", "sehrgeheim")
    (tmp_path / "cordon.toml").write_text("public_delay_h = 5\n")
    for flag in ((), ("--json",)):
        shown = cordon("config", "show", "--data-dir", tmp_path, *flag)
        assert shown.code == 0
        assert "geheim" not in shown.out
    assert shown.json["public_delay_h"] == 5
    assert shown.json["database_url"] == "postgresql+psycopg://cordon:***@db.example/cordon"


def test_a_fault_of_the_program_is_a_sentence_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Whatever nobody foresaw leaves no traceback on the screen, but one in a file that can be sent."""
    import tempfile

    from app.cli.console import report_bug

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyError) as caught:
        {}["nobody foresaw this"]
    assert report_bug(caught.value, as_json=True) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert json.loads(said.out)["error"]["code"] == "internal"
    (written,) = tmp_path.glob("cordon-error-*.txt")
    assert "nobody foresaw this" in written.read_text()
    assert str(written) in said.err


def test_what_others_wrote_does_not_steer_the_terminal(node_dir: Path, tmp_path: Path):
    """Control characters in a value are shown as replacement characters."""
    from app.cli.console import plain

    assert plain("a\x1b[2Jb\u202ec\n") == "a\ufffd[2Jb\ufffdc\ufffd"


def test_doctor_finds_what_is_wrong(node_dir: Path):
    """A key that others may read and a missing one are faults with a cure; then the exit code is 1."""
    assert cordon("doctor", "--data-dir", node_dir, "--json").json["sound"] is True
    (node_dir / "keys" / "log.key").chmod(0o644)
    (node_dir / "keys" / "node.jwk").unlink()
    sick = cordon("doctor", "--data-dir", node_dir, "--json")
    faults = [one["detail"] for one in sick.json["findings"] if one["level"] == "fault"]
    assert sick.code == 1
    assert any("chmod 600" in fault for fault in faults)
    assert any("restore node*.jwk" in fault for fault in faults), faults
