"""The users of a data set: demographics, taste, number of ratings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.producers.synthetic.items import FACTORS, unit
from millrace.producers.synthetic.options import SyntheticOptions

# ml-1m's codes of age groups, and about their shares.
AGES = (1, 18, 25, 35, 45, 50, 56)
_AGE_SHARES = (0.04, 0.18, 0.35, 0.2, 0.09, 0.08, 0.06)
_FEMALE_SHARE = 0.28
_OCCUPATIONS = 21
_TASTE_GROUPS = 30
# Spread of the log of a user's events: median 96 at a mean of 166, as in ml-1m.
_ACTIVITY_SPREAD = 1.04
_LEAST_SHARE_OF_MEAN = 0.12
# A user can have rated at most this share of the catalogue.
MAX_SHARE_OF_ITEMS = 0.6


@dataclass(frozen=True, slots=True)
class People:
    """Columns over the users 0..U-1.

    Args:
        female: [U] bool.
        age: [U] int64 codes of AGES.
        occupation: [U] int64.
        taste: [U, FACTORS] float64, unit length.
        bias: [U] float64 stars that the user gives more than others.
        events: [U] int64 ratings of each; they sum to the wanted number.
    """

    female: NDArray[np.bool_]
    age: NDArray[np.int64]
    occupation: NDArray[np.int64]
    taste: NDArray[np.float64]
    bias: NDArray[np.float64]
    events: NDArray[np.int64]


def make_people(options: SyntheticOptions, rng: np.random.Generator) -> People:
    """Draw the users; taste depends on the group of like-minded people and a little on gender and age."""
    count = options.users
    female = rng.random(count) < _FEMALE_SHARE
    age = rng.choice(len(AGES), count, p=_AGE_SHARES)
    groups = unit(rng.normal(0, 1, (_TASTE_GROUPS, FACTORS)))
    of_gender = unit(rng.normal(0, 1, (2, FACTORS)))
    of_age = unit(rng.normal(0, 1, (len(AGES), FACTORS)))
    own = unit(rng.normal(0, 1, (count, FACTORS)))
    group = rng.integers(0, _TASTE_GROUPS, count)
    return People(
        female=female,
        age=np.asarray(AGES, np.int64)[age],
        occupation=rng.integers(0, _OCCUPATIONS, count),
        taste=unit(groups[group] + 0.6 * own + 0.4 * of_gender[female.astype(int)] + 0.4 * of_age[age]),
        bias=rng.normal(0, 0.4, count),
        events=_activity(options, rng),
    )


def _activity(options: SyntheticOptions, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return events per user: log-normal with a floor and a ceiling, adjusted one by one to the exact sum."""
    mean = options.events / options.users
    least, most = max(int(mean * _LEAST_SHARE_OF_MEAN), 1), int(MAX_SHARE_OF_ITEMS * options.items)
    drawn = rng.lognormal(0, _ACTIVITY_SPREAD, options.users)
    counts: NDArray[np.int64] = np.clip(np.round(drawn * mean / drawn.mean()), least, most).astype(np.int64)
    while (missing := options.events - int(counts.sum())) != 0:
        step = int(np.sign(missing))
        movable = np.flatnonzero((counts + step >= 1) & (counts + step <= most))
        counts[rng.choice(movable, min(abs(missing), len(movable)), replace=False)] += step
    return counts
