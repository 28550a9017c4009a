"""Titles for `millrace subscribe`, which goes on with ids when nobody can say how items are called."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from millrace.kernel.contracts import Recommendation
from millrace.kernel.errors import MillraceError
from millrace.kernel.settings import Settings

if TYPE_CHECKING:
    from millrace.apps.titles import Titles

Tell = Callable[[str], object]
# Asking a server that is away takes seconds, for which lists would wait.
ASK_AGAIN_AFTER_S = 5.0


class OptionalTitles:
    """Titles as long as they can be had, ids where not.

    Args:
        titles: Where they come from; None for nowhere.
        tell: Takes a sentence when they stop coming.
        now: Clock in seconds.
    """

    def __init__(self, titles: "Titles | None", tell: Tell, now: Callable[[], float] = time.monotonic) -> None:
        self._titles = titles
        self._tell = tell
        self._now = now
        self._failed_s: float | None = None

    def learn(self, recommendation: Recommendation) -> None:
        """Make the titles of a list's items known, if that can be done now."""
        asked_lately = self._failed_s is not None and self._now() - self._failed_s < ASK_AGAIN_AFTER_S
        if self._titles is None or asked_lately:
            return
        try:
            self._titles.learn(recommendation)
        except _failures() as error:
            if self._failed_s is None:
                self._tell(f"New titles cannot be read ({_cause(error)}); items without one are shown by their ids.")
            self._failed_s = self._now()
        else:
            self._failed_s = None

    def title(self, item_id: str) -> str:
        """Return the title with its year, or the id when there is none."""
        return item_id if self._titles is None else self._titles.title(item_id)


def open_titles(settings: Settings, tell: Tell) -> OptionalTitles:
    """Return what looks titles up.

    Args:
        settings: Addresses.
        tell: Takes a sentence for a person when there are none.
    """
    from millrace.apps.titles import open_titles as open_them

    try:
        return OptionalTitles(open_them(settings), tell)
    except _failures() as error:
        tell(f"No titles can be read ({_cause(error)}); items are shown by their ids. Look at MILLRACE_REDIS_URL.")
        return OptionalTitles(None, tell)


def _failures() -> tuple[type[Exception], ...]:
    """Return what is raised when a server is away or its address is no address; an app may lack redis-py."""
    from kafka.errors import KafkaError

    common = (MillraceError, KafkaError, ValueError, OSError)
    try:
        import redis
    except ModuleNotFoundError:
        return common
    return (*common, redis.RedisError, redis.RedisClusterException)


def _cause(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
