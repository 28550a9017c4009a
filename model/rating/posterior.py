"""The posterior mean of `millrace.model.rating.process` given a history."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from millrace.model.backend import ops
from millrace.model.rating.chebyshev import solve
from millrace.model.rating.process import ProcessSettings


@dataclass(frozen=True, slots=True)
class History:
    """Ratings of B users, newest last.

    Args:
        factors: [B, L, D] item factors.
        noise: [B, L] variance of the rating and of the item's bias.
        age: [B, L] seconds before now.
        there: [B, L] 1, or 0 where padded.
        rest: [B, L] float32 rating minus its item's mean.
    """

    factors: Any
    noise: Any
    age: Any
    there: Any
    rest: Any


@dataclass(frozen=True, slots=True)
class Level:
    """The posterior of a user's lasting level given the ratings before the history.

    Args:
        mean: [B, 1] float32, in stars.
        variance: [B, 1] float32, in squared stars.
    """

    mean: Any
    variance: Any


@dataclass(frozen=True, slots=True)
class Feeling:
    """Posterior means at the time of the request: rating = item mean + level + factors . taste.

    Args:
        level: [B, 1] float32, in stars.
        taste: [B, 1, D] float32.
    """

    level: Any
    taste: Any


def level_before(settings: ProcessSettings, count: Any, total: Any) -> Level:
    """Return the posterior of the level given the ratings before the history; the prior if there are none.

    Observing their mean first and the history then is the same as observing both together, as only the lasting level
    is common to them.

    Args:
        settings: Learned parameters of the process.
        count: [B, 1] number of these ratings.
        total: [B, 1] sum of rating minus expectation over them; 0 if there are none.
    """
    weight = settings.level / (count * (settings.level + settings.older_noise) + settings.older_share)
    return Level(weight * total, settings.level * (1.0 - weight * count))


def feeling(settings: ProcessSettings, history: History, level: Level) -> Feeling:
    """Return the posterior means of level and taste at the time of the request.

    Args:
        settings: Learned parameters of the process.
        history: Noisy observations.
        level: Posterior of the level before the history.
    """
    length = history.age.shape[1]
    taste_kept, fading = _by_place(settings, length)
    shared = _by_time(settings, history.age) + fading + ops.expand_dims(level.variance, 2)
    taste = ops.matmul(history.factors, ops.transpose(history.factors, (0, 2, 1))) * taste_kept[:length]
    noise = ops.expand_dims(history.noise, 2) * np.eye(length, dtype=np.float32)
    rest, there = ops.expand_dims(history.rest - level.mean, 1), ops.expand_dims(history.there, 1)
    weights = solve(shared[:, :length] + taste + noise, rest, there)
    now = ops.sum(weights * shared[:, length:], axis=2)
    return Feeling(level.mean + now, ops.matmul(weights * taste_kept[length:], history.factors))


def _by_place(settings: ProcessSettings, length: int) -> tuple[Any, Any]:
    """Return [L + 1, L] what is kept of taste, and covariance, between ratings by their places; the last row is now."""
    places = np.arange(length + 1, dtype=np.float32)
    apart = np.abs(places[:, None] - places[None, :-1])
    taste_kept = 1.0 + settings.taste_recent * ops.exp(-apart / settings.taste_places)
    return taste_kept, settings.recent * ops.exp(-apart / settings.recent_places)


def _by_time(settings: ProcessSettings, age: Any) -> Any:
    """Return [B, L + 1, L] covariance between ratings by their times; the last row is now."""
    with_now = ops.pad(age, ((0, 0), (0, 1)))
    seconds = ops.abs(ops.expand_dims(with_now, 2) - ops.expand_dims(age, 1))
    slow = settings.slow * ops.exp(seconds * (-1.0 / settings.slow_s))
    return slow + settings.session * ops.exp(seconds * (-1.0 / settings.session_s))
