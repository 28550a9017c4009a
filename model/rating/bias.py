"""The baseline of predicted ratings: mean + user bias + item bias, learned rating by rating."""

from collections import defaultdict

# Ratings of the average that a bias starts with, and of the neutral value that the mean starts with; all chosen by the
# error on rows 10 % to 30 % of ml-latest-small.
USER_PRIOR = 8.0
ITEM_PRIOR = 3.0
_MEAN_PRIOR = 10.0
_START_MEAN = 3.5
MIN_RATING = 0.5
MAX_RATING = 5.0


class _Residuals:
    """A shrunk mean of residuals."""

    __slots__ = ("_count", "_prior", "_total")

    def __init__(self, prior: float) -> None:
        self._prior, self._total, self._count = prior, 0.0, 0

    def add(self, residual: float) -> None:
        self._total += residual
        self._count += 1

    @property
    def mean(self) -> float:
        return self._total / (self._count + self._prior)


class BiasModel:
    """Regularised user and item biases, test-then-train (Koren, Bell and Volinsky, 2009, formula 1).

    Each rating's residual is taken with the biases of its moment. Solving anew for all ratings of the user and of the
    item at every event was no better.

    Args:
        user_prior: Ratings without deviation that a user's bias starts with.
        item_prior: Likewise for an item's.
    """

    def __init__(self, user_prior: float = USER_PRIOR, item_prior: float = ITEM_PRIOR) -> None:
        self._users: defaultdict[object, _Residuals] = defaultdict(lambda: _Residuals(user_prior))
        self._items: defaultdict[object, _Residuals] = defaultdict(lambda: _Residuals(item_prior))
        self._total, self._count = _START_MEAN * _MEAN_PRIOR, _MEAN_PRIOR

    @property
    def mean(self) -> float:
        """Mean of all ratings so far."""
        return self._total / self._count

    def predict(self, user: object, item: object) -> float:
        """Return the rating expected of a user for an item, 0.5 to 5."""
        user_bias = self._users[user].mean if user in self._users else 0.0
        item_bias = self._items[item].mean if item in self._items else 0.0
        return min(MAX_RATING, max(MIN_RATING, self.mean + user_bias + item_bias))

    def learn(self, user: object, item: object, value: float) -> None:
        """Learn one rating."""
        of_user, of_item = self._users[user], self._items[item]
        rest, user_bias, item_bias = value - self.mean, of_user.mean, of_item.mean
        of_user.add(rest - item_bias)
        of_item.add(rest - user_bias)
        self._total += value
        self._count += 1
