"""How the ranker's perceptron learns: what serves is an average, what learns on is the newest."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.configuration import FusionChoices, RankerChoices
from millrace.model.learning.moments import Lessons
from millrace.model.learning.ranker_learner import RankerLearner
from millrace.model.network.config import NetworkConfig
from millrace.model.network.ranker import FusionRanker
from millrace.streams.ranking import FusionWeights

FEATURES, CONTEXT, CANDIDATES = 3, 2, 5
BLOCKS = 4
CONFIG = NetworkConfig(items=9, features=FEATURES, context=CONTEXT, ranker_units=(4, 3))


def lessons(seed: int) -> Lessons:
    """As many as one gradient step takes."""
    rng, count = np.random.default_rng(seed), 64
    features = rng.normal(size=(count, CANDIDATES, FEATURES)).astype(np.float16)
    return Lessons(
        np.tile(np.arange(1, CANDIDATES + 1, dtype=np.int32), (count, 1)),
        features,
        rng.normal(size=(count, CANDIDATES)).astype(np.float32),
        rng.normal(size=(count, CONTEXT)).astype(np.float32),
        features[:, :, 0].argmax(axis=1).astype(np.int32),
    )


def learner(averaging: float) -> tuple[FusionRanker, RankerLearner]:
    ranker = FusionRanker(CONFIG)
    start = FusionWeights(np.zeros(FEATURES, np.float32), np.zeros((CONTEXT, FEATURES), np.float32))
    choices = RankerChoices(averaging=averaging, replay_share=0.0, learning_rate=0.05)
    return ranker, RankerLearner(ranker, start, FusionChoices(), choices)


def perceptron(ranker: FusionRanker) -> list[NDArray[Any]]:
    linear = (ranker.weights_, ranker.context_weights)
    return [np.array(weight) for weight in ranker.trainable_weights if all(weight is not each for each in linear)]


def test_the_average_over_the_steps_serves_while_learning_goes_on_from_the_newest_weights() -> None:
    (averaged, averaging), (newest, plain) = learner(averaging=0.5), learner(averaging=0.0)
    expected: list[NDArray[Any]] = []
    for block in range(BLOCKS):
        averaging.learn(lessons(block))
        plain.learn(lessons(block))
        steps = perceptron(newest)
        expected = [0.5 * old + 0.5 * new for old, new in zip(expected or steps, steps, strict=True)]
        for served, wanted in zip(perceptron(averaged), expected, strict=True):
            np.testing.assert_allclose(served, wanted, atol=1e-6)
    assert any(
        np.abs(served - step).max() > 1e-3
        for served, step in zip(perceptron(averaged), perceptron(newest), strict=True)
    )


def test_a_restored_copy_goes_on_as_the_original_does() -> None:
    original, learning = learner(averaging=0.9)
    learning.learn(lessons(0))
    learning.learn(lessons(1))
    other = FusionRanker(CONFIG)
    for weight, value in zip(other.weights, original.weights, strict=True):
        weight.assign(value)
    restored: RankerLearner = copy.deepcopy(learning)
    restored.move_to(other)
    for each in (learning, restored):
        each.learn(lessons(2))
    for served, wanted in zip(perceptron(other), perceptron(original), strict=True):
        np.testing.assert_allclose(served, wanted, atol=1e-6)


def test_without_an_encoder_its_scores_change_nothing() -> None:
    ranker = FusionRanker(CONFIG)
    start = FusionWeights(np.zeros(FEATURES, np.float32), np.zeros((CONTEXT, FEATURES), np.float32))
    RankerLearner(ranker, start, FusionChoices(), RankerChoices(learning_rate=0.05), encoder=False).learn(unscored(0))
    one = unscored(1)
    features, silent = one.features.astype(np.float32), np.zeros((64, CANDIDATES), np.float32)
    random = np.random.default_rng(2).normal(-9, 1, silent.shape).astype(np.float32)
    expected = np.asarray(ranker(features, silent, one.context, one.candidates))
    np.testing.assert_allclose(ranker(features, random, one.context, one.candidates), expected, atol=1e-6)


def unscored(seed: int) -> Lessons:
    """Lessons of a learner without an encoder."""
    made = lessons(seed)
    return replace(made, log_prob=np.zeros_like(made.log_prob))
