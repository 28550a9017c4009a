"""How to replay: schedule, bounds and whether to watch for answers."""

from dataclasses import dataclass

from millrace.kernel.errors import ConfigurationError
from millrace.producers.replay.pacing import FixedRate, Pacer, RecordedSpeed, Unpaced


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Args:
        rate: Events per second; in a closed loop an upper bound.
        speed: Event time as a multiple of real time; not together with `rate`.
        closed_loop: A user's next event waits for the list answering the one before.
        window: Closed loop: how many events to look ahead of the oldest one not yet sent.
        max_in_flight: Closed loop: most unanswered events.
        deadline_s: An event without an answer for this long is given up; None: 5 s in a closed loop, else 60 s.
        max_lag: Pause while a consumer group is further behind: the embedded broker keeps about 30,000
            events per partition. 0: never.
        watch: Read the recommendations; without it nothing is known about answers.
    """

    rate: float | None = None
    speed: float | None = None
    closed_loop: bool = False
    window: int = 5000
    max_in_flight: int = 256
    deadline_s: float | None = None
    max_lag: int = 20_000
    watch: bool = True

    def pacer(self) -> Pacer:
        """Return the schedule.

        Raises:
            ConfigurationError: Rate and speed contradict each other or are not positive.
        """
        if self.rate is not None and self.speed is not None:
            raise ConfigurationError("A replay follows either a rate or a speed; give one of them.")
        if min(self.rate or 1.0, self.speed or 1.0) <= 0 or 0 in (self.rate, self.speed):
            raise ConfigurationError("The rate or speed of a replay must be greater than 0.")
        if self.rate is not None:
            return FixedRate(self.rate, catch_up=not self.closed_loop)
        return RecordedSpeed(self.speed) if self.speed is not None else Unpaced()
