"""The state of a followed log as an answer shows it (protocol §3.7, §3.10; schemas §4.2).

Whatever is stale, suspect or forked makes an answer `degraded`, so that nobody takes silence for "not listed". `age_s` tells how long ago
the log was last heard of, and says 0 below a minute: how often it grows is nobody's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from .canonical import JsonValue

FRESH_S = 60
STALE_AFTER_S = 300
"""From the newest cosignature by a key that the log's jurisdiction names (protocol §3.6)."""
GOOD = frozenset({"live", "retired"})


@dataclass(frozen=True, slots=True)
class Source:
    """A followed log. `state`: live, stale, suspect, forked or retired; `heard_s`: the newest heartbeat that counts, epoch seconds."""

    origin: str
    state: str
    heard_s: int

    def state_at(self, now_s: int) -> str:
        """The state as it shows at a moment: a live log goes stale by itself when it falls silent."""
        if self.state == "live" and now_s - self.heard_s > STALE_AFTER_S:
            return "stale"
        return self.state

    def words(self, now_s: int) -> dict[str, JsonValue]:
        """One entry of `sources` in an answer (schemas §4.2)."""
        state = self.state_at(now_s)
        age_s = max(now_s - self.heard_s, 0)
        is_dated = state != "retired" and age_s > FRESH_S
        return {"origin": self.origin, "state": state, "age_s": age_s if is_dated else 0, "stale": state == "stale"}


def is_degraded(sources: tuple[Source, ...], now_s: int) -> bool:
    """Whether some log cannot be relied on at the moment."""
    return any(one.state_at(now_s) not in GOOD for one in sources)
