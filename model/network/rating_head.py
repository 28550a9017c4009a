"""The rating a user would give, folded in from the history: nothing of a user is stored in the network."""

from typing import Any

import numpy as np

from millrace.model.backend import gather, keras, ops
from millrace.model.content import FIXED_COLUMNS
from millrace.model.network.config import NetworkConfig
from millrace.model.rating.posterior import History, Level, feeling, level_before
from millrace.model.rating.process import ProcessSettings, first_settings
from millrace.streams.ranking.context_kernel import LOG_HISTORY_SCALE, NEUTRAL_VALUE
from millrace.streams.ranking.features import CONTEXT_NAMES

# Ratings that are read: older ones count by their number and mean alone.
LENGTH = 50
MIN_RATING = 0.5
MAX_RATING = 5.0
CONSUMPTION_WIDTH = 32
# Of item vectors; half of them is enough on the oldest 30 % of ml-latest-small.
FACTORS = 32
_START_MEAN = 3.5
_START_NOISE = 0.8
_CONTENT_SPREAD = 0.15
_CONSUMPTION_SPREAD = 0.04
_LOG_HISTORY = CONTEXT_NAMES.index("log_history")
_MEAN_VALUE = CONTEXT_NAMES.index("mean_value")


class RatingHead(keras.layers.Layer):  # type: ignore[misc]
    """Predicts clip(mean + item bias + posterior mean of the user's level and taste for the item).

    `millrace.model.rating.process` has the posterior, `millrace.model.training.fit_rating_head` the fit. Each table has
    one row per item; row 0 stands for items newer than the version.

    Args:
        config: Sizes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(name="rating")
        self.config = config
        columns = FIXED_COLUMNS + len(config.genres)
        self.mean = self._constant((), _START_MEAN, "mean")
        self.bias = self._constant((config.rows,), 0.0, "rating_bias")
        self.noise = self._constant((config.rows,), _START_NOISE, "rating_noise")
        self.factors = self._constant((config.rows, FACTORS), 0.0, "factors")
        self.settings = self.add_weight(
            shape=first_settings().shape,
            initializer=lambda *_, **__: first_settings(),
            trainable=False,
            name="settings",
        )
        # Of these the tables are made; kept so that the next fit starts from them.
        self.content_bias = self._constant((columns,), 0.0, "content_bias")
        self.log_content = self._constant((columns,), float(np.log(_CONTENT_SPREAD)), "log_content")
        self.log_consumption = self._constant((CONSUMPTION_WIDTH,), float(np.log(_CONSUMPTION_SPREAD)), "log_consumed")

    def call(self, values: Any, items: Any, ages: Any, context: Any, wanted: Any) -> Any:
        """Return predicted ratings [B, K].

        Args:
            values: [B, L] float32 ratings of the history, 0 where padded.
            items: [B, L] int32, newest last, 0 where padded; the newest LENGTH are read, or fewer if the
                network reads fewer.
            ages: [B, L] float32 seconds before the request.
            context: [B, U] float32, see CONTEXT_NAMES.
            wanted: [B, K] int32 items to predict.
        """
        newest = slice(-min(self.config.length, LENGTH), None)
        values, items, ages = values[:, newest], items[:, newest], ages[:, newest]
        settings, rows = ProcessSettings(self.settings), self._rows(items)
        expected = self.mean + self.bias
        history = History(
            factors=gather(self.factors, rows),
            noise=gather(self.noise, rows),
            age=ages,
            there=ops.cast(items > 0, "float32"),
            rest=values - gather(expected, rows),
        )
        felt = feeling(settings, history, self._level(settings, values, context))
        asked = self._rows(wanted)
        taste = ops.matmul(felt.taste, ops.transpose(gather(self.factors, asked), (0, 2, 1)))
        rating = gather(expected, asked) + felt.level + ops.squeeze(taste, 1)
        return ops.clip(rating, MIN_RATING, MAX_RATING)

    def _rows(self, items: Any) -> Any:
        """Return table rows of items; an item newer than the version has row 0."""
        return ops.where(items > self.config.items, 0, items)

    def _level(self, settings: ProcessSettings, values: Any, context: Any) -> Level:
        """Return the level by what the context tells beyond the history.

        A user with no more ratings than are read has no others; where requests carry another context than today's,
        nothing is known of others.
        """
        if self.config.context != len(CONTEXT_NAMES):
            nothing = ops.zeros_like(values[:, :1])
            return level_before(settings, nothing, nothing)
        events = ops.exp(context[:, _LOG_HISTORY : _LOG_HISTORY + 1] * LOG_HISTORY_SCALE) - 1.0
        count = ops.relu(events - float(values.shape[1]))
        total = (context[:, _MEAN_VALUE : _MEAN_VALUE + 1] + NEUTRAL_VALUE) * events
        total = total - ops.sum(values, axis=1, keepdims=True) - self.mean * count
        return level_before(settings, count, total * ops.minimum(count, 1.0))

    def _constant(self, shape: tuple[int, ...], value: float, name: str) -> Any:
        return self.add_weight(shape=shape, initializer=keras.initializers.Constant(value), trainable=False, name=name)
