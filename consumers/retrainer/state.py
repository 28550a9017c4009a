"""What the retrainer is doing and did last, as its heartbeat shows it."""

from dataclasses import dataclass, field, replace

IDLE = "idle"


@dataclass(frozen=True, slots=True)
class RetrainerStatus:
    """A snapshot; replaced as a whole, so that the heartbeat's thread never sees half a change.

    Args:
        phase: `idle`, `starting`, a phase of the training, `load` or `switch`.
        fraction: Share of the phase that is done, 0 to 1.
        why: What started the training under way.
        champion: Version in service.
        new_events: Events the serving version has not learned.
        trainings: Trainings finished since the start.
        last_version: Version of the last finished training.
        last_result: Its outcome in one sentence, or the last failure.
        last_accepted: Whether it went into service.
        seconds: Wall-clock seconds of the last training by phase.
        switched_at_ms: When the serving plan was last changed.
        waiting: What is away, so that nothing can be done, or empty.
    """

    phase: str = IDLE
    fraction: float = 0.0
    why: str = ""
    champion: str | None = None
    new_events: int = 0
    trainings: int = 0
    last_version: str | None = None
    last_result: str = ""
    last_accepted: bool | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    switched_at_ms: int = 0
    waiting: str = ""

    def with_phase(self, phase: str, fraction: float = 0.0) -> "RetrainerStatus":
        """Return the status in another phase."""
        return replace(self, phase=phase, fraction=fraction)
