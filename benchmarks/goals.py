"""The floors and aims of this house beside what was measured: a figure of a loaded machine is judged as it is, and can be measured again."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def judge(what: str, value: float, floor: float, aim: float, *, unit: str = "", is_most: bool = False) -> None:
    """Print one goal. `is_most`: the value may be at most so much, else it has to be at least that."""

    def reached(goal: float) -> bool:
        return value <= goal if is_most else value >= goal

    verdict = (
        "aim reached" if reached(aim) else "floor reached" if reached(floor) else "BELOW THE FLOOR" if not is_most else "ABOVE THE FLOOR"
    )
    word = "at most" if is_most else "at least"
    print(f"  {what:<74} {value:>9,.2f}{unit:<4} {word} {floor:g}{unit} (aim {aim:g}{unit}): {verdict}")


def ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median([a / b for a, b in zip(ours, others, strict=True)])
