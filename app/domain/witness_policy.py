"""Which cosignatures make a checkpoint good enough: the policy file of C2SP tlog-policy, read and evaluated.

Lines `log <vkey> [<url>]`, `witness <name> <vkey> [<url>]`, `group <name> all|any|<k> <name>…`, and one `quorum <name>|none`. A line names
only what stands above it, and each name is a member of one group at most, so a witness counts once and nothing goes in circles. Names are
octets, compared as such. White space is blanks and tabs; a line that begins with `#` is a comment. Protocol §1.2, §3.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .canonical import read_decimal
from .errors import Malformed, TooLarge
from .note import KeyType, VerifierKey, parse_vkey

MAX_POLICY = 256 * 1024
MAX_EACH = 256
"""Logs, witnesses and groups, each; the standard asks for 32 at least."""
NONE = "none"

_BLANKS = re.compile(r"[ \t]+")
_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Named:
    """A log or a witness: its key, and where it is reached ("" if the file does not say)."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses a checkpoint if at least `threshold` of its members do."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """A policy as read; `groups` stand in the order of the file, which is one in which they can be evaluated."""

    logs: tuple[Named, ...] = ()
    witnesses: Mapping[str, Named] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = NONE

    def satisfied(self, names: Collection[str]) -> bool:
        """Whether the witnesses of these names (of the policy, not of the keys) are enough; names it does not know do not count."""
        if self.quorum == NONE:
            return True
        witnessed = set(self.witnesses).intersection(names)
        for name, group in self.groups.items():
            if len(witnessed.intersection(group.members)) >= group.threshold:
                witnessed.add(name)
        return self.quorum in witnessed

    def names_of(self, keys: Iterable[VerifierKey]) -> frozenset[str]:
        """The names that the policy has for these keys, whose cosignatures the caller has verified."""
        known = {witness.key: name for name, witness in self.witnesses.items()}
        return frozenset(known[key] for key in keys if key in known)


def any_of(threshold: int, keys: Sequence[VerifierKey]) -> WitnessPolicy:
    """The policy without a file: any `threshold` of these witnesses, each under its key name; never satisfied by fewer."""
    witnesses = {key.name: Named(key) for key in keys}
    return WitnessPolicy((), witnesses, {"enough witnesses": Group(threshold, tuple(witnesses))}, "enough witnesses")


def parse_policy(text: str | bytes) -> WitnessPolicy:
    """Read a policy file; Malformed says in which line what is wrong, TooLarge above 256 KiB or 256 logs, witnesses or groups."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_POLICY:
        raise TooLarge("a witness policy above 256 KiB is not read")
    if _FORBIDDEN.search(data) or (data and not data.endswith(b"\n")):
        raise Malformed("a witness policy is lines of text, each with its line end, and no other control character than a tab")
    reader = _Reader()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [word for word in _BLANKS.split(line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.read(words)
        except Malformed as error:
            raise Malformed(f"line {number} of the witness policy: {error.detail}") from error
    return reader.policy()


class _Reader:
    """What stands above the present line."""

    def __init__(self) -> None:
        self._logs: list[Named] = []
        self._witnesses: dict[str, Named] = {}
        self._groups: dict[str, Group] = {}
        self._taken: set[str] = set()
        self._quorum: str | None = None

    def read(self, words: Sequence[str]) -> None:
        lines: dict[str, Callable[[Sequence[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._set_quorum,
        }
        read_line = lines.get(words[0])
        if read_line is None:
            raise Malformed("a line begins with log, witness, group, quorum, or # for a comment")
        read_line(words[1:])
        if max(len(self._logs), len(self._witnesses), len(self._groups)) > MAX_EACH:
            raise TooLarge(f"a witness policy has at most {MAX_EACH} logs, witnesses and groups each")

    def policy(self) -> WitnessPolicy:
        if self._quorum is None:
            raise Malformed("the witness policy has no quorum line: `quorum none` if no cosignature is needed")
        return WitnessPolicy(tuple(self._logs), self._witnesses, self._groups, self._quorum)

    def _log(self, words: Sequence[str]) -> None:
        self._logs.append(_read_named(words, KeyType.ED25519, self._logs))

    def _witness(self, words: Sequence[str]) -> None:
        if len(words) < 2:
            raise Malformed("a witness has a name and a key: witness <name> <vkey> [<url>]")
        self._new(words[0])
        self._witnesses[words[0]] = _read_named(words[1:], KeyType.COSIGNATURE, self._witnesses.values())

    def _group(self, words: Sequence[str]) -> None:
        if len(words) < 3:
            raise Malformed("a group has a name, a threshold and members: group <name> all|any|<k> <name>…")
        name, threshold, members = words[0], words[1], tuple(words[2:])
        self._new(name)
        for member in members:
            self._known(member)
            if member in self._taken:
                raise Malformed("a name is a member of one group, once: else one witness would count twice")
            self._taken.add(member)
        count = {"any": 1, "all": len(members)}.get(threshold) or read_decimal(threshold)
        if not 1 <= count <= len(members):
            raise Malformed(f"the threshold of a group of {len(members)} is from 1 to {len(members)}")
        self._groups[name] = Group(count, members)

    def _set_quorum(self, words: Sequence[str]) -> None:
        if len(words) != 1 or self._quorum is not None:
            raise Malformed("there is one quorum line, and it names one witness or group, or none")
        if words[0] != NONE:
            self._known(words[0])
        self._quorum = words[0]

    def _new(self, name: str) -> None:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise Malformed("this name is taken: witnesses and groups share their names, and `none` is no name")

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise Malformed("a line names only witnesses and groups that stand above it")


def _read_named(words: Sequence[str], kind: KeyType, others: Iterable[Named]) -> Named:
    if not 1 <= len(words) <= 2:
        raise Malformed("a key is followed by one URL at most")
    key = parse_vkey(words[0])
    if key.type != kind:
        raise Malformed("the key of a log is of type 0x01, the key of a witness of type 0x04")
    if any(other.key.public == key.public for other in others):
        raise Malformed("this key stands there twice: one key is one witness, whatever it is called")
    return Named(key, words[1] if len(words) == 2 else "")
