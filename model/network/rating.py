"""The rating a user would give, folded in from the history: nothing of a user is stored in the network."""

from typing import Any

import numpy as np

from model.network.backend import keras, ops
from model.network.config import NetworkConfig
from model.network.content import FIXED_COLUMNS
from model.rating.process import Older, Points, Settings, first_settings, observed, posterior_mean, trend
from streams.ranking.features import CONTEXT_NAMES, LOG_HISTORY_SCALE, NEUTRAL_VALUE

MIN_RATING = 0.5
MAX_RATING = 5.0
CONSUMPTION_WIDTH = 32
_START_MEAN = 3.5
_START_NOISE = 0.8
_CONTENT_SPREAD = 0.15
_CONSUMPTION_SPREAD = 0.04
_LOG_HISTORY = CONTEXT_NAMES.index("log_history")
_MEAN_VALUE = CONTEXT_NAMES.index("mean_value")


class RatingHead(keras.layers.Layer):  # type: ignore[misc]
    """Predicts clip(mean + item bias + trend + posterior mean of the user's taste for the item).

    See `model.rating.process` for the posterior and `model.training.rating` for how it is fitted. The tables hold what
    an item is to it; row 0 stands for items newer than the version.

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
        self.factors = self._constant((config.rows, config.width), 0.0, "factors")
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
            items: [B, L] int32, newest last, 0 where padded; of more than the network's length, the newest are read.
            ages: [B, L] float32 seconds before the request.
            context: [B, U] float32, see CONTEXT_NAMES.
            wanted: [B, K] int32 items to predict.
        """
        settings, length = Settings(self.settings), self.config.length
        values, items, ages = values[:, -length:], items[:, -length:], ages[:, -length:]
        given = self.points(items, ages, np.arange(length, dtype=np.float32), ops.cast(items > 0, "float32"))
        now = np.full(1, length, np.float32)
        asked = self.points(
            wanted, ops.zeros_like(wanted, dtype="float32"), now, ops.ones_like(wanted, dtype="float32")
        )
        older = self._older(values, given.there, context)
        rest = observed(settings, self.mean, given, values, older)
        taste = posterior_mean(settings, given, older, rest, asked)
        before = ops.expand_dims(older.count + ops.sum(given.there, axis=1), 1)
        rating = self.mean + asked.bias + trend(settings, before) + taste
        return ops.clip(rating, MIN_RATING, MAX_RATING)

    def points(self, items: Any, ages: Any, places: Any, there: Any) -> Points:
        """Return items as points of the process; an item newer than the version has row 0.

        Args:
            items: [B, N] int32.
            ages: [B, N] float32.
            places: [N] or [1] float32.
            there: [B, N] float32.
        """
        rows = ops.where(items > self.config.items, 0, items)
        return Points(
            factors=ops.take(self.factors, rows, axis=0),
            bias=ops.take(self.bias, rows, axis=0),
            noise=ops.take(self.noise, rows, axis=0),
            age=ages,
            place=places,
            there=there,
        )

    def _older(self, values: Any, there: Any, context: Any) -> Older:
        """Return what the context tells beyond the history; nothing if requests carry another context than today's."""
        if self.config.context != len(CONTEXT_NAMES):
            nothing = ops.zeros_like(values[:, 0])
            return Older(nothing, nothing)
        count = ops.exp(context[:, _LOG_HISTORY] * LOG_HISTORY_SCALE) - 1.0
        older = ops.floor(ops.maximum(count - ops.sum(there, axis=1), 0.0) + 0.5)
        total = (context[:, _MEAN_VALUE] + NEUTRAL_VALUE) * count - ops.sum(values * there, axis=1)
        return Older(older, total / ops.maximum(older, 1.0))

    def _constant(self, shape: tuple[int, ...], value: float, name: str) -> Any:
        return self.add_weight(shape=shape, initializer=keras.initializers.Constant(value), trainable=False, name=name)
