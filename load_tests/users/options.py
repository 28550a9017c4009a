"""What a person may choose about a load test."""

import re
from dataclasses import dataclass
from pathlib import Path

from millrace.kernel.errors import ConfigurationError

DEFAULT_PAGE = Path(".millrace/load-test.html")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options of one run.

    Args:
        users: Simulated users.
        spawn_rate: Users that start per second; None: all within five seconds.
        run_time_s: How long they are at it.
        think_s: Shortest and longest look at a list.
        deadline_s: An event without a list for so long is unmatched.
        data: MovieLens folder.
        history: Oldest part of the data that a stack started for this run knows beforehand.
        seed: Makes people repeat themselves.
        stack: `embedded` or `local` to start one, `external` to load what the settings lead to; None: as the settings
            say, unless something runs.
        into_running: Load the running system that the settings lead to.
        home: Folder of a started stack.
        web_port: Where the web page is served; None: no page, the run starts by itself.
        page: Where the HTML report goes.
    """

    users: int = 20
    spawn_rate: float | None = None
    run_time_s: float = 60.0
    think_s: tuple[float, float] = (0.5, 1.5)
    deadline_s: float = 10.0
    data: Path = Path("data/ml-latest-small")
    history: float = 0.2
    seed: int = 0
    stack: str | None = None
    into_running: bool = False
    home: Path | None = None
    web_port: int | None = None
    page: Path = DEFAULT_PAGE

    @property
    def users_per_s(self) -> float:
        """How many users start per second."""
        return self.spawn_rate or max(1.0, self.users / 5)


def parse_range_s(text: str) -> tuple[float, float]:
    """Return both ends of `0.5-1.5`, or the same number twice for `1`.

    Raises:
        ConfigurationError: It is neither, or the first end lies above the second.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    low = float(found[1]) if found else 1.0
    high = float(found[2] or found[1]) if found else 0.0
    if low > high:
        raise ConfigurationError(f"The think time {text!r} is not of the form 1 or 0.5-1.5 (seconds).")
    return low, high
