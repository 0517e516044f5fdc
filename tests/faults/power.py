"""A disk whose power is cut: what a traced process wrote, replayed up to any of its syncs (F-02).

`strace` writes down every write, sync and rename of a node; `Disk` plays them on a copy of the folder from before, and knows of each file
what was synced. A cut takes everything that was not: all of it, or some pages of it, as a disk that writes in any order would. A rename or
a new file is there once its directory was synced. So a cut can be made at each sync of a run, not only where a kill happens to fall.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
CALLS = "openat,open,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat"
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>")
_CALL = re.compile(r"(\w+)\((.*?)\)? += (-?\d+)(<[^>]*>)?.*", re.DOTALL)
_FD = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>")
_DATA = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def command(trace: Path) -> list[str]:
    """What a command begins with whose writes are written down.

    It is told that the kernel syncs nothing by itself (io_setup): a sync that a thread asks for can be seen.
    """
    seen = ["-e", f"trace={CALLS},io_setup", "-e", "inject=io_setup:error=ENOSYS"]
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-ttt", "-xx", "-s", "4000000", *seen, "-o", str(trace)]


class Call(NamedTuple):
    """One system call that succeeded: when it began (Unix seconds), its name, its arguments as text, its result and what that is a file of."""

    at_s: float
    name: str
    words: str
    result: int
    path: str


def read_trace(trace: Path) -> Iterator[Call]:
    """The calls in the order in which they took effect."""
    begun: dict[str, tuple[float, str]] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, at_s, text = found[1], float(found[2]), found[3]
            if text.endswith("<unfinished ...>"):
                begun[thread] = (at_s, text.removesuffix("<unfinished ...>"))
                continue
            resumed = _RESUMED.match(text)
            if resumed is not None:
                at_s, head = begun.pop(thread, (at_s, ""))
                text = head + text[resumed.end() :].lstrip()
            call = _CALL.fullmatch(text)
            if call is not None and int(call[3]) >= 0:
                yield Call(at_s, call[1], call[2], int(call[3]), _plain((call[4] or "").strip("<>")))


@dataclass(slots=True)
class _File:
    """What a file holds now and what is durable of it; `lost` are the places written since."""

    live: bytearray
    durable: bytes
    dirty: list[tuple[int, int]] = field(default_factory=list)


class Disk:
    """A folder as a disk would have it. `play` one call after the other; `cut` writes the folder as it is after a power cut now."""

    def __init__(self, folder: Path, before: Path, *, lies_of: str = "") -> None:
        """`lies_of`: a sync of files with this ending does nothing."""
        self._folder = str(folder)
        self._lies_of = lies_of
        self._files: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._positions: dict[int, int] = {}
        for path in (one for one in before.rglob("*") if one.is_file()):
            content = path.read_bytes()
            self._files[self._folder + "/" + str(path.relative_to(before))] = _File(bytearray(content), content)
        self._durable = dict(self._files)

    def play(self, call: Call) -> bool:
        """What the call changed; whether it was a sync of ours."""
        descriptor = _FD.match(call.words)
        number, path = (descriptor[1], _plain(descriptor[2])) if descriptor else ("", "")
        match call.name:
            case "openat" | "open" | "creat" if self._is_ours(call.path):
                self._open(call)
            case "write" if self._is_ours(path):
                start = self._positions.get(int(number), 0)
                self._positions[int(number)] = start + call.result
                self._write(path, start, _data(call.words)[: call.result])
            case "pwrite64" if self._is_ours(path):
                self._write(path, int(call.words.rpartition(",")[2]), _data(call.words)[: call.result])
            case "ftruncate" if path in self._files:
                self._truncate(path, int(call.words.rpartition(",")[2]))
            case "rename" | "renameat" | "renameat2":
                self._rename(call)
            case "unlink" | "unlinkat":
                self._files.pop(self._named(call)[-1], None)
            case "fsync" | "fdatasync" if self._is_ours(path) or path == self._folder:
                if not (self._lies_of and path.endswith(self._lies_of)):
                    self._sync(path)
                return True
        return False

    def cut(self, target: Path, *, chance: random.Random | None = None) -> None:
        """The folder after a cut: without what was not synced, or (`chance`) with any pages of it."""
        shutil.rmtree(target, ignore_errors=True)
        for path, file in self._durable.items():
            content = bytearray(file.durable)
            for start, end in file.dirty if chance is not None else ():
                for page in range(start, end, PAGE):
                    if chance is not None and chance.random() < 0.5:
                        stop = min(page + PAGE, end, len(file.live))
                        content.extend(bytes(max(0, stop - len(content))))
                        content[page:stop] = file.live[page:stop]
            place = target / path.removeprefix(self._folder + "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(0o600)

    # --- calls ---------------------------------------------------------------------------------------------------------

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._folder + "/") and not path.endswith(
            "-shm"
        )  # the shared memory of SQLite is made anew by whoever opens first

    def _open(self, call: Call) -> None:
        self._positions[call.result] = 0
        if call.path not in self._files and "O_CREAT" in call.words:
            self._files[call.path] = _File(bytearray(), b"")
        if call.path in self._files and "O_TRUNC" in call.words:
            self._truncate(call.path, 0)
        if "O_APPEND" in call.words and call.path in self._files:
            self._positions[call.result] = len(self._files[call.path].live)

    def _write(self, path: str, start: int, data: bytes) -> None:
        file = self._files.get(path)
        if file is None:
            return
        if start > len(file.live):
            file.live.extend(bytes(start - len(file.live)))
        file.live[start : start + len(data)] = data
        file.dirty.append((start, start + len(data)))

    def _truncate(self, path: str, size: int) -> None:
        file = self._files[path]
        del file.live[size:]
        file.live.extend(bytes(size - len(file.live)))

    def _rename(self, call: Call) -> None:
        old, new = self._named(call)[-2:]
        if old in self._files:
            self._files[new] = self._files.pop(old)

    def _named(self, call: Call) -> list[str]:
        return [text if text.startswith("/") else f"{self._folder}/{text}" for text in _texts(call.words)]

    def _sync(self, path: str) -> None:
        if path in self._files:
            file = self._files[path]
            file.durable = bytes(file.live)
            file.dirty.clear()
        else:  # a directory: which files there are, and under which names
            parent = path + "/"
            for known in [one for one in self._durable if one.startswith(parent) and "/" not in one.removeprefix(parent)]:
                del self._durable[known]
            self._durable |= {
                one: file for one, file in self._files.items() if one.startswith(parent) and "/" not in one.removeprefix(parent)
            }


def _texts(words: str) -> list[str]:
    return [bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "replace") for found in _DATA.findall(words)]


def _data(words: str) -> bytes:
    found = _DATA.search(words)
    assert found is not None, words[:200]
    assert not found[2], "strace has cut a write short"
    return bytes.fromhex(found[1].replace("\\x", ""))


def _plain(path: str) -> str:
    """A path as -xx spells it."""
    return bytes.fromhex(path.replace("\\x", "")).decode("utf-8", "replace") if path.startswith("\\x") else path
