"""Learning the ranker: the linear fusion event by event, the perceptron on top in small steps with replay.

What is served of the perceptron is an average of its weights over the last steps, which ranks better than the newest
(B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 1992).
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import keras, ops
from millrace.model.configuration import FusionChoices, RankerChoices
from millrace.model.learning.moments import LessonRing, Lessons
from millrace.model.network.ranker import FusionRanker
from millrace.streams.ranking import FusionWeights
from millrace.streams.ranking.online_fusion import OnlineFusion

_BATCH = 64
_RING = 12_000
_CLIP_NORM = 1.0
# Weight of the encoder's log-probability before anything is learned.
_FIRST_ENCODER_WEIGHT = 0.1
_SCALE_LESSONS = 1000
_LEAST_SPREAD = 0.05


class RankerLearner:
    """Keeps one ranker learning.

    Args:
        ranker: Its weights are replaced with every lesson.
        start: Linear weights of the pre-cut to start from, without the encoder's.
        linear: Linear weights of the ranker to start from, the encoder's last; None takes those of the pre-cut.
        fusion: Rates of the linear part.
        choices: Rates of the perceptron.
        encoder: False keeps the encoder's log-probability out.
        seed: Of the order of lessons.

    Attributes:
        cut: The linear fusion without the encoder, for the pre-cut of candidates.
    """

    def __init__(
        self,
        ranker: FusionRanker,
        start: FusionWeights,
        fusion: FusionChoices,
        choices: RankerChoices,
        encoder: bool = True,
        seed: int = 0,
        linear: FusionWeights | None = None,
    ) -> None:
        self._ranker = ranker
        self._choices = choices
        self._encoder = encoder
        self._rng = np.random.default_rng(seed)
        self._ring = LessonRing(_RING)
        # A ranker that has learned keeps its scales: its perceptron has grown used to them.
        self._scaled = linear is not None
        rates = (fusion.learning_rate, fusion.context_rate)
        self.cut = OnlineFusion(start, *rates)
        first = linear or _with_encoder(start, _FIRST_ENCODER_WEIGHT if encoder else 0.0)
        self._linear = OnlineFusion(first, *rates)
        self._model = _Perceptron(ranker)
        self._optimizer = _optimizer(choices)
        # The weights that steps go on from, while the ranker has their average; None before the first step.
        self._newest: list[NDArray[np.float32]] | None = None
        self._step: Any = None
        self.seconds: dict[str, float] = {"linear": 0.0, "perceptron": 0.0}
        self._adopt_linear()

    @property
    def weights(self) -> FusionWeights:
        """The linear fusion of the pre-cut, a copy."""
        return FusionWeights(self.cut.weights.weights.copy(), self.cut.weights.context_weights.copy())

    def move_to(self, ranker: FusionRanker) -> None:
        """Go on with another ranker of the same weights: that of a network that has grown, or was restored."""
        moments = [np.asarray(variable) for variable in self._optimizer.variables]
        self._ranker = ranker
        self._model, self._step = _Perceptron(ranker), None
        self._optimizer = _optimizer(self._choices)
        self._optimizer.build(_learned(ranker))
        for variable, value in zip(self._optimizer.variables, moments, strict=False):
            variable.assign(value)
        self._adopt_linear()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what belongs to TensorFlow; the optimizer's state as arrays. `move_to` completes the copy."""
        state = dict(self.__dict__)
        for name in ("_ranker", "_model", "_step"):
            state[name] = None
        state["_optimizer"] = _Kept([np.asarray(variable) for variable in self._optimizer.variables])
        return state

    def learn(self, lessons: Lessons, epochs: int = 1) -> None:
        """Learn new lessons, and again some of the old ones.

        Args:
            lessons: In the order of their events.
            epochs: Passes of the perceptron.
        """
        if not len(lessons):
            return
        began = time.perf_counter()
        if not self._scaled:
            self._fit_scales(lessons)
        self._learn_linear(lessons)
        self._adopt_linear()
        middle = time.perf_counter()
        if self._ranker.perceptron:
            for _ in range(epochs):
                self._learn_perceptron(lessons)
        self._ring.add(lessons)
        self.seconds["linear"] += middle - began
        self.seconds["perceptron"] += time.perf_counter() - middle

    def _learn_linear(self, lessons: Lessons) -> None:
        for number in range(len(lessons)):
            size = int((lessons.candidates[number] > 0).sum())
            features = lessons.features[number, :size].astype(np.float32)
            context, place = lessons.context[number], int(lessons.place[number])
            self.cut.learn(features, context, place)
            # Out of reach for a system without the encoder: a constant column has no gradient.
            own = lessons.log_prob[number, :size, None] if self._encoder else np.zeros((size, 1), np.float32)
            self._linear.learn(np.concatenate([features, own], axis=1), context, place)

    def _adopt_linear(self) -> None:
        scale = np.asarray(self._ranker.feature_scale)
        self._ranker.weights_.assign(self._linear.weights.weights / scale)
        self._ranker.context_weights.assign(self._linear.weights.context_weights / scale)

    def _fit_scales(self, lessons: Lessons) -> None:
        """Fix how features are scaled: by their spread within a pool, and by mean and spread over all candidates."""
        some = lessons.take(np.linspace(0, len(lessons) - 1, min(len(lessons), _SCALE_LESSONS)).astype(np.int64))
        there = (some.candidates > 0)[..., None]
        raw = np.concatenate([some.features.astype(np.float32), some.log_prob[..., None]], axis=-1)
        count = np.maximum(there.sum(axis=1, keepdims=True), 1)
        centred = (raw - (raw * there).sum(axis=1, keepdims=True) / count) * there
        total = max(there.sum(), 1)
        mean = (raw * there).sum(axis=(0, 1)) / total
        apart = (raw - mean) * there
        for name, spread in (("feature_scale", centred), ("raw_scale", apart)):
            deviation = np.sqrt(np.square(spread).sum(axis=(0, 1)) / total)
            getattr(self._ranker, name).assign(1.0 / np.maximum(deviation, _LEAST_SPREAD))
        self._ranker.raw_mean.assign(mean)
        if not self._encoder:
            # Lessons hold zeros here, but the served graph computes log-probabilities: those of random weights.
            scale = np.array(self._ranker.raw_scale)
            scale[-1] = 0.0
            self._ranker.raw_scale.assign(scale)
        self._scaled = True

    def _learn_perceptron(self, lessons: Lessons) -> None:
        parts = [lessons]
        replayed = round(self._choices.replay_share * len(lessons))
        if replayed and len(self._ring):
            parts.append(self._ring.draw(replayed, self._rng))
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Lessons.__slots__}
        order = self._rng.permutation(len(joined["place"]))
        # Full batches only, the last one filled up: another shape would be traced anew.
        order = np.resize(order, -(-len(order) // _BATCH) * _BATCH)
        self._go_on_from_newest()
        for first in range(0, len(order), _BATCH):
            self._take_step({name: column[order[first : first + _BATCH]] for name, column in joined.items()})
        self._serve_average()

    def _go_on_from_newest(self) -> None:
        if self._newest is not None:
            for weight, newest in zip(_learned(self._ranker), self._newest, strict=True):
                weight.assign(newest)

    def _serve_average(self) -> None:
        if self._optimizer.use_ema:
            learned = _learned(self._ranker)
            self._newest = [np.array(weight) for weight in learned]
            self._optimizer.finalize_variable_values(learned)

    def _take_step(self, batch: dict[str, NDArray[Any]]) -> None:
        if self._step is None:
            self._step = _compiled_step(self._model, self._optimizer)
        log_prob = batch["log_prob"] if self._encoder else np.zeros_like(batch["log_prob"])
        self._step(
            batch["features"].astype(np.float32), log_prob, batch["context"], batch["candidates"], batch["place"]
        )


class _Perceptron(keras.Model):  # type: ignore[misc]
    """The ranker with its linear part held fast."""

    def __init__(self, ranker: FusionRanker) -> None:
        super().__init__(name="perceptron")
        self.ranker = ranker

    def build(self, input_shape: Any) -> None:
        """Do nothing: the ranker comes built."""

    def call(self, inputs: Any) -> Any:
        """Return the scores of (features, log_prob, context, candidates)."""
        return self.ranker(*inputs)


class _Kept:
    """The variables of an optimizer that is gone.

    Args:
        variables: In its order.
    """

    def __init__(self, variables: list[NDArray[Any]]) -> None:
        self.variables = variables


def _learned(ranker: FusionRanker) -> list[Any]:
    """Return the weights that gradient steps change: all but the linear ones."""
    linear = {id(ranker.weights_), id(ranker.context_weights)}
    return [weight for weight in ranker.trainable_weights if id(weight) not in linear]


def _optimizer(choices: RankerChoices) -> Any:
    return keras.optimizers.AdamW(
        choices.learning_rate,
        weight_decay=choices.weight_decay,
        clipnorm=_CLIP_NORM,
        use_ema=choices.averaging > 0.0,
        ema_momentum=choices.averaging,
        ema_overwrite_frequency=None,
    )


def _compiled_step(model: _Perceptron, optimizer: Any) -> Any:
    import tensorflow as tf

    ranker = model.ranker
    variables = _learned(ranker)
    if not optimizer.built:
        optimizer.build(variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(features: Any, log_prob: Any, context: Any, candidates: Any, place: Any) -> None:
        with tf.GradientTape() as tape:
            scores = ranker(features, log_prob, context, candidates)
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(place, scores, from_logits=True))
        values = [variable.value for variable in variables]
        optimizer.apply_gradients(zip(tape.gradient(loss, values), variables, strict=True))

    return step


def _with_encoder(start: FusionWeights, weight: float) -> FusionWeights:
    return FusionWeights(np.append(start.weights, np.float32(weight)), np.pad(start.context_weights, ((0, 0), (0, 1))))
