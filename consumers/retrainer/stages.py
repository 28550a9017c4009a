"""How far a training is as a whole, from the shares of its phases: pure."""

# In order, with the share of the time each took of a first training on 60,000 events.
STAGES = (
    ("read", 0.03),
    ("encoder", 0.40),
    ("replay", 0.20),
    ("ranker", 0.12),
    ("encoder", 0.15),
    ("export", 0.06),
    ("load", 0.03),
    ("switch", 0.01),
)


class Stages:
    """Follows the phases of one training; the share never goes back."""

    def __init__(self) -> None:
        self._stage = 0
        self._share = 0.0

    def advance(self, phase: str, share: float) -> float:
        """Return the share of the whole that is done, 0 to 1.

        Args:
            phase: A phase that comes later moves on to it; an unknown one changes nothing.
            share: Of the phase, 0 to 1.
        """
        names = [name for name, _ in STAGES]
        if names[self._stage] != phase and phase in names[self._stage :]:
            self._stage = names.index(phase, self._stage)
        if names[self._stage] == phase:
            before = sum(part for _, part in STAGES[: self._stage])
            self._share = max(self._share, before + STAGES[self._stage][1] * min(max(share, 0.0), 1.0))
        return self._share
