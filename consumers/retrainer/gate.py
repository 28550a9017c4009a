"""May a version serve? A pure decision on its metrics over events that were predicted before they were learned."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

HIT_RATE = "hit_rate_at_10"
HOLDOUT_EVENTS = "holdout_events"
# On fewer events the noise is larger than any difference worth refusing a version for.
MIN_HOLDOUT_EVENTS = 200
# A version is clearly worse when chance alone explains the difference in fewer than 1 of 20 cases (one-sided).
CLEARLY_WORSE_Z = -1.645
# Prefixes of what a version is held against, by name in the verdict.
BASELINES = {"counts_": "the online counts alone", "parent_": "its parent", "popularity_": "the popularity list"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may serve, and why.

    Args:
        accepted: It may.
        reason: One sentence.
    """

    accepted: bool
    reason: str


def judge(metrics: Mapping[str, float]) -> Verdict:
    """Compare a version's hit rate with every baseline that was measured on the same events.

    The test is that of two proportions. Both rates come from the same events, which makes their difference less
    noisy than the test assumes: it refuses a little too seldom, never too often.

    Args:
        metrics: As in the version's card.
    """
    broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if broken:
        return Verdict(False, f"The metric {broken[0]} is {metrics[broken[0]]}: the training has diverged.")
    events, rate = int(metrics.get(HOLDOUT_EVENTS, 0)), metrics.get(HIT_RATE)
    if rate is None or events < MIN_HOLDOUT_EVENTS:
        return Verdict(True, f"Accepted unseen: {events} held-out events are too few to judge by.")
    for prefix, name in BASELINES.items():
        baseline = metrics.get(prefix + HIT_RATE)
        if baseline is not None and _z(rate, baseline, events) < CLEARLY_WORSE_Z:
            return Verdict(
                False, f"Its hit rate at 10 is {rate:.4f}, that of {name} {baseline:.4f}, on {events} held-out events."
            )
    return Verdict(True, f"Accepted: hit rate at 10 of {rate:.4f} on {events} held-out events.")


def _z(rate: float, baseline: float, events: int) -> float:
    """Return the standardised difference of two proportions of the same number of events."""
    variance = (rate * (1 - rate) + baseline * (1 - baseline)) / events
    return (rate - baseline) / math.sqrt(variance) if variance > 0 else 0.0
