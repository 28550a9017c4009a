"""A user's rating of items as a Gaussian process over items and time.

What a user thinks of an item beyond the average is a random function: a level that holds, parts of the level that fade
with time or with further ratings, and a taste over item factors. The history gives noisy values of that function, and
the prediction is its posterior mean (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 2).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from millrace.model.backend import ops

# Starting values, as learned on the oldest 30 % of ml-latest-small. Those of the first group are positive and learned
# as logarithms.
_POSITIVE: Final = {
    "level": 0.055,  # variance of a user's lasting level
    "slow": 0.012,  # of the part of it that fades over `slow_s`
    "session": 0.04,  # over `session_s`
    "recent": 0.035,  # over `recent_places` ratings
    "slow_s": 1.1e7,
    "session_s": 1.1e3,
    "recent_places": 7.5,
    "taste_recent": 0.4,  # how much taste among neighbouring ratings exceeds lasting taste
    "taste_places": 25.0,
    "noise": 0.6,  # variance of one rating
    "unknown": 0.18,  # variance of an item's bias around what its content says
    "shrink": 6.7,  # ratings that weigh as much as the content in an item's bias
    "older_noise": 0.03,  # variance of the mean of the ratings before the history
    "older_share": 1.8,  # and its part that falls with their number
    "bias_taste": 0.33,  # spread of a user's feeling for items that everyone likes
    "popular_taste": 0.1,  # and for popular ones
}
_FREE: Final = {
    "popular_bias": 0.04,  # how far the bias of an item grows with the logarithm of its ratings
}
SETTING_NAMES: Final = (*_POSITIVE, *_FREE)


def first_settings() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return [len(SETTING_NAMES)] float32, as a network starts with."""
    return np.array([*np.log(list(_POSITIVE.values())), *_FREE.values()], np.float32)


class ProcessSettings:
    """The learned numbers by name.

    Args:
        raw: [len(SETTING_NAMES)] tensor, logarithms of the positive ones.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        """Return the scalar tensor of a setting."""
        value = self._raw[SETTING_NAMES.index(name)]
        return ops.exp(value) if name in _POSITIVE else value


@dataclass(frozen=True, slots=True)
class Points:
    """Ratings of one user each, given or to be predicted; B users, N points.

    Args:
        factors: [B, N, D] item factors.
        bias: [B, N] item biases.
        noise: [B, N] variance of the rating and of the item's bias.
        age: [B, N] seconds before a common moment.
        place: [N] place in the order of ratings; only differences count.
        there: [B, N] float32, 0 where padded.
    """

    factors: Any
    bias: Any
    noise: Any
    age: Any
    place: Any
    there: Any


@dataclass(frozen=True, slots=True)
class Older:
    """What is known of a user's ratings before the history.

    Args:
        count: [B].
        mean: [B].
    """

    count: Any
    mean: Any

    @property
    def there(self) -> Any:
        """[B] float32, 0 where there are none."""
        return ops.cast(self.count > 0, "float32")


def covariance(settings: ProcessSettings, left: Points, right: Points) -> Any:
    """Return [B, N, M] the prior covariance of two sets of points, 0 where one is padded."""
    seconds = ops.abs(ops.expand_dims(left.age, 2) - ops.expand_dims(right.age, 1))
    places = ops.abs(ops.expand_dims(left.place, 1) - ops.expand_dims(right.place, 0))
    level = settings.level + settings.recent * ops.exp(-places / settings.recent_places)
    level = level + settings.slow * ops.exp(-seconds / settings.slow_s)
    level = level + settings.session * ops.exp(-seconds / settings.session_s)
    taste = ops.matmul(left.factors, ops.transpose(right.factors, (0, 2, 1)))
    taste = taste * (1.0 + settings.taste_recent * ops.exp(-places / settings.taste_places))
    return (level + taste) * ops.expand_dims(left.there, 2) * ops.expand_dims(right.there, 1)


def observed(mean: Any, given: Points, values: Any, older: Older) -> Any:
    """Return [B, 1 + N] what the ratings exceed expectation by: the older ones' mean, then each of the history.

    Args:
        mean: Of all ratings, scalar.
        given: N points in the order of the ratings.
        values: [B, N] their ratings.
        older: Before them.
    """
    rest = (values - mean - given.bias) * given.there
    older_rest = (older.mean - mean) * older.there
    return ops.concatenate([ops.expand_dims(older_rest, 1), rest], axis=1)


def system(settings: ProcessSettings, given: Points, older: Older) -> Any:
    """Return [B, 1 + N, 1 + N] the covariance of what `observed` returns, noise included."""
    size = given.place.shape[0] + 1
    inner = covariance(settings, given, given)
    edge = settings.level * ops.expand_dims(older.there, 1) * given.there
    share = settings.older_share / ops.maximum(older.count, 1.0)
    corner = settings.level * older.there + settings.older_noise + share
    top = ops.expand_dims(edge, 1)
    left = ops.expand_dims(ops.concatenate([ops.zeros_like(edge[:, :1]), edge], axis=1), 2)
    whole = ops.concatenate([left, ops.concatenate([top, inner], axis=1)], axis=2)
    diagonal = ops.concatenate([ops.expand_dims(corner, 1), given.noise], axis=1)
    return whole + ops.expand_dims(diagonal, 2) * np.eye(size, dtype=np.float32)


def one_step_ahead(settings: ProcessSettings, given: Points, older: Older, rest: Any) -> tuple[Any, Any]:
    """Return errors and standard deviations, both [B, N], of predicting each rating from those before it.

    The Cholesky factor of the covariance holds them all: its diagonal has the deviations, and solving with it gives
    the errors divided by these.

    Args:
        settings: Learned numbers.
        given: Ratings in their order.
        older: Before them.
        rest: [B, 1 + N] from `observed`.
    """
    factor = ops.cholesky(system(settings, given, older))
    scaled = ops.squeeze(ops.solve_triangular(factor, ops.expand_dims(rest, 2), lower=True), -1)
    deviation = ops.diagonal(factor, axis1=1, axis2=2)
    return (scaled * deviation)[:, 1:], deviation[:, 1:]
