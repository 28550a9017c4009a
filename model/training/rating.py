"""Fitting the rating head: what one rating tells of the next, by gradient; what an item is, in closed form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.dataset.events import EventTable
from model.network.backend import keras, ops
from model.network.rating import CONSUMPTION_WIDTH, RatingHead
from model.network.recommender import Recommender
from model.rating.consumption import consumption_vectors
from model.rating.levels import Levels, fit_levels
from model.rating.process import Older, Points, Settings, first_settings, observed, one_step_ahead
from model.rating.sequences import RatingSequences, cut_sequences

# As many ratings are given before the first predicted one as are predicted: what lies further back tells little.
_LENGTH, _TARGETS = 51, 25
# The learned numbers are a few hundred: more sequences than these do not move them.
_SEQUENCES = 2_000
_BATCH = 32
_LEAST_RATINGS = 50
# Spread of the learned numbers around their start, and of an item's bias by content.
_SETTING_SPREAD = 1.0
_CONTENT_BIAS_VARIANCE = 0.05
_USUAL_LOG_COUNT = 3.0
_LAST_RATE = 0.05
_LOSS_SCALE = 400.0


@dataclass(frozen=True, slots=True)
class RatingPass:
    """How to learn the numbers of the head.

    Args:
        epochs: Times each sequence is seen.
        learning_rate: Peak of Adam's; falls along a cosine.
    """

    epochs: int = 15
    learning_rate: float = 0.02


FIRST_PASS = RatingPass()
REFRESH_PASS = RatingPass(epochs=4, learning_rate=0.01)


def fit_rating(recommender: Recommender, events: EventTable, how: RatingPass | None = None, seed: int = 0) -> float:
    """Fit the rating head of a network; see `fit_rating_head`."""
    return fit_rating_head(recommender.rating, np.asarray(recommender.tower.content), events, how, seed)


def fit_rating_head(
    head: RatingHead, content: NDArray[np.float32], events: EventTable, how: RatingPass | None = None, seed: int = 0
) -> float:
    """Fit a rating head to a log, starting from what it has learned before.

    Args:
        head: Written.
        content: [rows, columns] of the items, see `content_matrix`.
        events: The log; items below the head's rows.
        how: Epochs and rate; None chooses `FIRST_PASS` for a head that has not learned anything, else `REFRESH_PASS`.
        seed: Of everything random.

    Returns:
        Root mean squared error of predicting each rating of the log from its user's earlier ones and from what others
        say of the item; NaN if there are too few ratings to learn from.
    """
    if len(events) < _LEAST_RATINGS:
        return float("nan")
    if how is None:
        how = FIRST_PASS if np.array_equal(head.settings, first_settings()) else REFRESH_PASS
    rng = np.random.default_rng(seed)
    levels = fit_levels(events, head.config.rows)
    consumed = consumption_vectors(events, head.config.rows, CONSUMPTION_WIDTH, seed)
    head.mean.assign(levels.mean)
    learner = _Learner(head, content, consumed)
    error = learner.run(cut_sequences(events, levels, _LENGTH, _TARGETS, _SEQUENCES, rng), how, rng)
    learner.write(levels)
    return error


class _Learner:
    """The numbers of a head as variables of a gradient descent.

    Args:
        head: Start values are read from it, and results written to it.
        content: [rows, columns].
        consumed: [rows, CONSUMPTION_WIDTH].
    """

    def __init__(self, head: RatingHead, content: NDArray[np.float32], consumed: NDArray[np.float32]) -> None:
        self._head = head
        self._content, self._consumed = tf.constant(content), tf.constant(consumed)
        kept = (head.settings, head.content_bias, head.log_content, head.log_consumption)
        self._variables = [tf.Variable(np.asarray(weight)) for weight in kept]
        self._raw, self._content_bias, self._log_content, self._log_consumption = self._variables
        self._start = first_settings()
        self._start_logs = [np.asarray(weight) for weight in kept[2:]]

    def run(self, sequences: RatingSequences, how: RatingPass, rng: np.random.Generator) -> float:
        """Learn; returns the root mean squared error of the last epoch's one-step-ahead predictions."""
        optimizer = keras.optimizers.Adam(how.learning_rate)
        total_graded = float(sequences.graded.sum())

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def step(*arrays: Any) -> Any:
            batch = RatingSequences(*arrays)
            share = ops.sum(batch.graded) / total_graded
            with tf.GradientTape() as tape:
                square, surprise = self._errors(batch)
                loss = (surprise + share * self._penalty()) / _LOSS_SCALE
            gradients = tape.gradient(loss, self._variables)
            optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
            return square

        steps = -(-len(sequences) // _BATCH)
        square = 0.0
        for epoch in range(how.epochs):
            rows = np.concatenate([rng.permutation(len(sequences)), rng.integers(0, len(sequences), _BATCH)])
            square = graded = 0.0
            for number in range(steps):
                done = (epoch * steps + number) / (how.epochs * steps)
                falling = 0.5 * (1.0 + np.cos(np.pi * done))
                optimizer.learning_rate.assign(how.learning_rate * (_LAST_RATE + (1.0 - _LAST_RATE) * falling))
                batch = sequences.take(rows[number * _BATCH : (number + 1) * _BATCH])
                square += float(step(*_tensors(batch)))
                graded += float(batch.graded.sum())
        return float(np.sqrt(square / graded))

    def _errors(self, batch: RatingSequences) -> tuple[Any, Any]:
        """Return summed squared error and summed negative log-likelihood (times two) of the graded ratings."""
        settings = Settings(self._raw)
        there = ops.cast(batch.item > 0, "float32")
        bias, factors, noise = self._items(batch.item, batch.rest, batch.count)
        given = Points(
            factors=factors * ops.expand_dims(there, -1),
            bias=bias,
            noise=noise,
            age=batch.age,
            place=np.arange(_LENGTH, dtype=np.float32),
            there=there,
        )
        older = Older(batch.older_count, batch.older_mean)
        rest = observed(float(self._head.mean), given, batch.value, older)
        error, deviation = one_step_ahead(settings, given, older, rest)
        square = ops.square(error) * batch.graded
        surprise = square / ops.square(deviation) + 2.0 * ops.log(deviation) * batch.graded
        return ops.sum(square), ops.sum(surprise)

    def _items(self, rows: Any, rest: Any, count: Any) -> tuple[Any, Any, Any]:
        """Return bias, factors [..., D] and noise of items by what is known of them.

        Args:
            rows: Table rows.
            rest: What ratings say of them in total.
            count: How many ratings.
        """
        settings = Settings(self._raw)
        content = ops.take(self._content, rows, axis=0)
        log_count = ops.log(count + 1.0) - _USUAL_LOG_COUNT
        by_content = ops.squeeze(ops.matmul(content, ops.expand_dims(self._content_bias, -1)), -1)
        open_share = settings.shrink / (count + settings.shrink)
        bias = rest / (count + settings.shrink) + (by_content + settings.popular_bias * log_count) * open_share
        factors = [
            content * ops.exp(self._log_content),
            ops.take(self._consumed, rows, axis=0) * ops.exp(self._log_consumption),
            ops.expand_dims(bias * settings.bias_taste, -1),
            ops.expand_dims(log_count * settings.popular_taste, -1),
        ]
        return bias, ops.concatenate(factors, axis=-1), settings.noise + settings.unknown * open_share

    def _penalty(self) -> Any:
        """Return twice the negative log-density of the learned numbers."""
        raw, content_bias = ops.square(self._raw - self._start), ops.square(self._content_bias)
        total = ops.sum(raw) / _SETTING_SPREAD**2 + ops.sum(content_bias) / _CONTENT_BIAS_VARIANCE
        logs = (self._log_content, self._log_consumption)
        for log, start in zip(logs, self._start_logs, strict=True):
            total = total + ops.sum(ops.square(log - start)) / _SETTING_SPREAD**2
        return total

    def write(self, levels: Levels) -> None:
        """Put numbers and item tables into the head."""
        head = self._head
        kept = (head.settings, head.content_bias, head.log_content, head.log_consumption)
        for weight, variable in zip(kept, self._variables, strict=True):
            weight.assign(variable)
        rows = np.arange(head.config.rows)
        tables = self._items(rows, tf.constant(levels.total, tf.float32), tf.constant(levels.count, tf.float32))
        bias, factors, noise = map(np.asarray, tables)
        head.bias.assign(bias)
        head.noise.assign(noise)
        head.factors.assign(narrowed(factors, head.config.width))


def narrowed(factors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return [rows, width] factors whose inner products are as near as can be to those of [rows, D]."""
    _, axes = np.linalg.eigh(factors.T.astype(np.float64) @ factors)
    best = factors @ axes[:, ::-1][:, :width]
    out = np.zeros((len(factors), width), np.float32)
    out[:, : best.shape[1]] = best
    return out


def _tensors(batch: RatingSequences) -> list[Any]:
    return [tf.constant(getattr(batch, name)) for name in RatingSequences.__dataclass_fields__]
