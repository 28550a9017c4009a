"""Small random streams for the statistics tests."""

from dataclasses import dataclass

import numpy as np

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event


@dataclass(frozen=True)
class Learned:
    before: UserState
    event: ResolvedEvent


def random_stream(seed: int, events: int, items: int = 30, users: int = 4) -> list[Learned]:
    """Return events with the state of the user before each; times grow, items repeat now and then."""
    random = np.random.default_rng(seed)
    states: dict[str, UserState] = {}
    out = []
    for number in range(events):
        user = f"u{random.integers(users)}"
        item = int(random.zipf(1.4)) % items + 1
        value = float(random.integers(1, 11)) / 2
        event = ResolvedEvent(f"e{number}", user, item, value, 1_000_000 + number * 1000)
        before = states.get(user, UserState(user))
        out.append(Learned(before, event))
        states[user] = apply_event(before, event).state
    return out
