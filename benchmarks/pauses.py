"""What the garbage collector costs a server while it is measured: pauses, noted in the server and written to BENCH_PAUSES when it ends."""

from __future__ import annotations

import gc
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "BENCH_PAUSES"
LONG_MS = 10.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """So many collections; the longest, and how many took longer than LONG_MS."""

    count: int
    longest_ms: float
    long: int


class Recorder:
    """Notes every collection of this process from now on."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._taken_ms: list[float] = []
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self._taken_ms.append((time.perf_counter() - self._begun) * 1e3)

    def write(self) -> None:
        """Leave what was noted for who measures."""
        gc.callbacks.remove(self._note)
        long = sum(one > LONG_MS for one in self._taken_ms)
        Path(os.environ[FILE]).write_text(json.dumps([len(self._taken_ms), max(self._taken_ms, default=0.0), long]), "ascii")


def read(file: Path) -> Pauses:
    """What a server left."""
    return Pauses(*json.loads(file.read_text("ascii")))
