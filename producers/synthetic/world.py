"""A data set with the density of ml-1m: catalogue, users and ratings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.errors import ConfigurationError
from millrace.producers.synthetic.choices import Chooser
from millrace.producers.synthetic.clock import arrivals, event_times
from millrace.producers.synthetic.items import Items, make_items
from millrace.producers.synthetic.options import SyntheticOptions
from millrace.producers.synthetic.people import MAX_SHARE_OF_ITEMS, People, make_people

_MEAN_STARS = 3.3
_LIKING_STARS = 1.2
_NOISE_STARS = 0.8
_LEAST_ITEMS = 50


@dataclass(frozen=True, slots=True)
class World:
    """A data set in memory; one row per rating, in time order.

    Args:
        items: The catalogue.
        people: The users.
        users: [N] int32 from 0.
        movies: [N] int32 from 0.
        stars: [N] int8 1 to 5.
        times_s: [N] int64 seconds since 1970.
    """

    items: Items
    people: People
    users: NDArray[np.int32]
    movies: NDArray[np.int32]
    stars: NDArray[np.int8]
    times_s: NDArray[np.int64]


def make_world(options: SyntheticOptions) -> World:
    """Draw a data set.

    Raises:
        ConfigurationError: The sizes do not fit together.
    """
    _check_sizes(options)
    rng = np.random.default_rng(options.seed)
    items, people = make_items(options.items, rng), make_people(options, rng)
    chooser, coming = Chooser(items), arrivals(options.users, rng)
    movies, times = [], []
    for user, count in enumerate(people.events.tolist()):
        available = items.appears <= coming[user]
        movies.append(np.asarray(chooser.sequence(people.taste[user], count, available, rng), np.int32))
        times.append(event_times(coming[user], count, rng))
    users = np.repeat(np.arange(options.users, dtype=np.int32), people.events)
    rated, when = np.concatenate(movies), np.concatenate(times)
    order = np.argsort(when, kind="stable")
    stars = _stars(items, people, users, rated, rng)
    return World(items, people, users[order], rated[order], stars[order], when[order])


def _stars(
    items: Items,
    people: People,
    users: NDArray[np.int32],
    rated: NDArray[np.int32],
    rng: np.random.Generator,
) -> NDArray[np.int8]:
    liking = np.einsum("nf,nf->n", people.taste[users], items.taste[rated])
    stars = _MEAN_STARS + people.bias[users] + items.quality[rated] + _LIKING_STARS * liking
    noisy = np.round(stars + rng.normal(0, _NOISE_STARS, len(users)))
    whole: NDArray[np.int8] = np.clip(noisy, 1, 5).astype(np.int8)
    return whole


def _check_sizes(options: SyntheticOptions) -> None:
    if min(options.events, options.users) < 1 or options.items < _LEAST_ITEMS or options.seed < 0:
        raise ConfigurationError(
            f"A data set needs at least one event, one user and {_LEAST_ITEMS} items, and a seed of 0 or more."
        )
    most = MAX_SHARE_OF_ITEMS / 2
    if not options.users <= options.events <= most * options.users * options.items:
        raise ConfigurationError(
            f"{options.events} events do not fit {options.users} users and {options.items} items: give at least one "
            f"event per user, and at most {most:g} of all pairs of a user and an item."
        )
