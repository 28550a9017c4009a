"""Fitting the rating head: what one rating tells of the next, by gradient; what an item is, in closed form."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from millrace.model.backend import keras, ops
from millrace.model.dataset.event_table import EventTable
from millrace.model.network.rating_head import CONSUMPTION_WIDTH, FACTORS, RatingHead
from millrace.model.network.recommender import Recommender
from millrace.model.rating.consumption import consumption_vectors
from millrace.model.rating.levels import Levels, fit_levels
from millrace.model.rating.process import (
    SETTING_NAMES,
    Older,
    Points,
    ProcessSettings,
    first_settings,
    observed,
    one_step_ahead,
)
from millrace.model.rating.rating_sequences import RatingSequences, cut_sequences

# As many ratings are given before the first predicted one as are predicted: what lies further back tells little.
_LENGTH, _TARGETS = 51, 25
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
        sequences: Most that are seen; of a longer log some are drawn.
    """

    epochs: int = 15
    learning_rate: float = 0.02
    sequences: int = 2_000


FIRST_PASS = RatingPass()
REFRESH_PASS = RatingPass(epochs=4, learning_rate=0.01, sequences=1_500)


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
    items = _ItemInputs(content, consumption_vectors(events, head.config.rows, CONSUMPTION_WIDTH, seed))
    sequences = cut_sequences(events, levels, _LENGTH, _TARGETS, how.sequences, rng)
    fit = _head_fit(content.shape[1])
    fit.read(head)
    error = fit.run(sequences, items, levels.mean, how, rng)
    fit.write(head, items, levels)
    return error


@dataclass(frozen=True, slots=True)
class _ItemInputs:
    """What is known of items whatever their ratings.

    Args:
        content: [rows, columns].
        consumed: [rows, CONSUMPTION_WIDTH] from `consumption_vectors`.
    """

    content: NDArray[np.float32]
    consumed: NDArray[np.float32]


class _HeadFit:
    """The numbers of a head as variables of a gradient descent whose step is traced once, which takes seconds.

    Args:
        columns: Of the content.
    """

    def __init__(self, columns: int) -> None:
        sizes = (len(SETTING_NAMES), columns, columns, CONSUMPTION_WIDTH)
        self._variables = [tf.Variable(tf.zeros(size)) for size in sizes]
        self._raw, self._content_bias, self._log_content, self._log_consumption = self._variables
        self._usual = [tf.Variable(tf.zeros(size)) for size in sizes]
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self._variables)
        self._step = tf.function(self._descend)

    def read(self, head: RatingHead) -> None:
        """Begin anew from what a head has learned."""
        start = [np.asarray(weight) for weight in _learned(head)]
        usual = [first_settings(), np.zeros_like(start[1]), *start[2:]]
        for variables, values in ((self._variables, start), (self._usual, usual)):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        for variable in self._optimizer.variables:
            variable.assign(ops.zeros_like(variable))

    def run(
        self, sequences: RatingSequences, items: _ItemInputs, mean: float, how: RatingPass, rng: np.random.Generator
    ) -> float:
        """Learn; returns the root mean squared error of the last epoch's one-step-ahead predictions."""
        total_graded = float(sequences.graded.sum())
        steps = -(-len(sequences) // _BATCH)
        square = graded = 0.0
        for epoch in range(how.epochs):
            rows = np.concatenate([rng.permutation(len(sequences)), rng.integers(0, len(sequences), _BATCH)])
            square = graded = 0.0
            for number in range(steps):
                done = (epoch * steps + number) / (how.epochs * steps)
                falling = 0.5 * (1.0 + np.cos(np.pi * done))
                self._optimizer.learning_rate.assign(how.learning_rate * (_LAST_RATE + (1.0 - _LAST_RATE) * falling))
                batch = sequences.take(rows[number * _BATCH : (number + 1) * _BATCH])
                in_batch = float(batch.graded.sum())
                known = items.content[batch.item], items.consumed[batch.item]
                scalars = np.float32(mean), np.float32(in_batch / total_graded)
                square += float(self._step(*map(tf.constant, (*_arrays(batch), *known, *scalars))))
                graded += in_batch
        return float(np.sqrt(square / graded))

    def _descend(self, *tensors: Any) -> Any:
        """Go one step; returns the summed squared error.

        Args:
            tensors: Fields of the batch, content and consumption vectors [W, T, ...] of its items, mean of all
                ratings, share of the graded ratings that are in the batch.
        """
        *fields, content, consumed, mean, share = tensors
        with tf.GradientTape() as tape:
            square, surprise = self._errors(RatingSequences(*fields), content, consumed, mean)
            loss = (surprise + share * self._penalty()) / _LOSS_SCALE
        self._optimizer.apply(tape.gradient(loss, self._variables), self._variables)
        return square

    def _errors(self, batch: RatingSequences, content: Any, consumed: Any, mean: Any) -> tuple[Any, Any]:
        """Return summed squared error and summed negative log-likelihood (times two) of the graded ratings."""
        settings = ProcessSettings(self._raw)
        there = ops.cast(batch.item > 0, "float32")
        bias, factors, noise = self._points(content, consumed, batch.rest, batch.count)
        given = Points(
            factors=factors * ops.expand_dims(there, -1),
            bias=bias,
            noise=noise,
            age=batch.age,
            place=np.arange(_LENGTH, dtype=np.float32),
            there=there,
        )
        older = Older(batch.older_count, batch.older_mean)
        rest = observed(mean, given, batch.value, older)
        error, deviation = one_step_ahead(settings, given, older, rest)
        square = ops.square(error) * batch.graded
        surprise = square / ops.square(deviation) + 2.0 * ops.log(deviation) * batch.graded
        return ops.sum(square), ops.sum(surprise)

    def _points(self, content: Any, consumed: Any, rest: Any, count: Any) -> tuple[Any, Any, Any]:
        """Return bias [...], factors [..., D] and noise [...] of items by what is known of them.

        Args:
            content: [..., columns].
            consumed: [..., CONSUMPTION_WIDTH].
            rest: [...] what ratings say of them in total.
            count: [...] how many ratings.
        """
        settings = ProcessSettings(self._raw)
        log_count = ops.log(count + 1.0) - _USUAL_LOG_COUNT
        by_content = ops.squeeze(ops.matmul(content, ops.expand_dims(self._content_bias, -1)), -1)
        open_share = settings.shrink / (count + settings.shrink)
        bias = rest / (count + settings.shrink) + (by_content + settings.popular_bias * log_count) * open_share
        factors = [
            content * ops.exp(self._log_content),
            consumed * ops.exp(self._log_consumption),
            ops.expand_dims(bias * settings.bias_taste, -1),
            ops.expand_dims(log_count * settings.popular_taste, -1),
        ]
        return bias, ops.concatenate(factors, axis=-1), settings.noise + settings.unknown * open_share

    def _penalty(self) -> Any:
        """Return twice the negative log-density of the learned numbers."""
        spreads = (_SETTING_SPREAD**2, _CONTENT_BIAS_VARIANCE, _SETTING_SPREAD**2, _SETTING_SPREAD**2)
        total = 0.0
        for variable, usual, variance in zip(self._variables, self._usual, spreads, strict=True):
            total = total + ops.sum(ops.square(variable - usual)) / variance
        return total

    def write(self, head: RatingHead, items: _ItemInputs, levels: Levels) -> None:
        """Put numbers and item tables into a head."""
        for weight, variable in zip(_learned(head), self._variables, strict=True):
            weight.assign(variable)
        known = (items.content, items.consumed, levels.total.astype(np.float32), levels.count.astype(np.float32))
        bias, factors, noise = map(np.asarray, self._points(*map(tf.constant, known)))
        head.mean.assign(levels.mean)
        head.bias.assign(bias)
        head.noise.assign(noise)
        head.factors.assign(narrowed(factors, FACTORS))


@functools.lru_cache(maxsize=2)
def _head_fit(columns: int) -> _HeadFit:
    """Return the learner for contents of so many columns."""
    return _HeadFit(columns)


def _learned(head: RatingHead) -> list[Any]:
    """Return the weights of a head that are learned by gradient, in the order of `_HeadFit`'s variables."""
    return [head.settings, head.content_bias, head.log_content, head.log_consumption]


def narrowed(factors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return [rows, width] factors whose inner products are as near as can be to those of [rows, D]."""
    _, axes = np.linalg.eigh(factors.T.astype(np.float64) @ factors)
    best = factors @ axes[:, ::-1][:, :width]
    out = np.zeros((len(factors), width), np.float32)
    out[:, : best.shape[1]] = best
    return out


def _arrays(batch: RatingSequences) -> list[NDArray[Any]]:
    return [getattr(batch, name) for name in RatingSequences.__dataclass_fields__]
