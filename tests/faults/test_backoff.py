"""F-18, F-19: how often a peer that fails is asked, and that not all ask at once."""

from __future__ import annotations

import random
from itertools import pairwise

from app.services.follow.loop import pause_s

CAP_S = 300.0


def tries(seed: int, lasts_s: float, retry_after_s: float | None = None) -> list[float]:
    """When a peer is asked that fails for so long, in seconds from its first failure; the last one is after it is back."""
    random.seed(seed)
    found, now, failures = [0.0], 0.0, 0
    while now < lasts_s:
        failures += 1
        now += pause_s(failures, most=CAP_S, retry_after_s=retry_after_s)
        found.append(now)
    return found


def test_a_peer_that_is_down_is_left_in_peace_and_found_again() -> None:
    """An hour of 503: at most one try in two and a half minutes once it has lasted, and at most five minutes until it is noticed that it is back."""
    for seed in range(50):
        times = tries(seed, 3600)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(CAP_S / 2 <= gap <= CAP_S for gap in gaps[10:])
        assert len(times) <= 10 + 3600 / (CAP_S / 2)
        assert times[-1] - 3600 <= CAP_S
        assert gaps[0] <= 0.5, "a hiccup costs half a second"


def test_retry_after_is_obeyed_up_to_our_own_cap() -> None:
    """Two minutes asked for are two minutes; a century is five minutes."""
    for seed in range(20):
        assert all(later - earlier >= 120 for earlier, later in pairwise(tries(seed, 600, 120)))
        assert tries(seed, 1, 3.15e9)[1] == CAP_S


def test_those_who_failed_together_do_not_return_together() -> None:
    """Fifty nodes whose peer was away for ten minutes: their next tries are spread over minutes, never five within the same second."""
    returns = [tries(seed, 600)[-1] for seed in range(50)]
    assert max(returns) - min(returns) > 60
    assert max(sum(1 for one in returns if int(one) == second) for second in {int(one) for one in returns}) < 5
