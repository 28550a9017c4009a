"""Training the ranker: listwise softmax over each moment's candidates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.dataset.samples import RankerSamples
from model.network.backend import keras, ops
from model.network.ranker import FusionRanker
from model.network.recommender import Recommender
from model.training.progress import Progress
from model.training.steps import Fitter
from streams.ranking import FusionWeights

_WEIGHT_DECAY = 0.01
_BATCH_SAMPLES = 64
_SCORED_AT_ONCE = 512
# Scales are measured on this many samples; a feature that hardly varies is not blown up.
_SCALE_SAMPLES = 2000
_LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class RankerPass:
    """How to run over the samples.

    Args:
        epochs: Times each sample is seen.
        learning_rate: Peak of AdamW's.
    """

    epochs: int
    learning_rate: float = 2e-3


class _Listwise(keras.Model):  # type: ignore[misc]
    """Scores [B, C] as logits of what came next."""

    def __init__(self, ranker: FusionRanker) -> None:
        super().__init__(name="listwise")
        self.ranker = ranker

    def build(self, input_shape: Any) -> None:
        """Do nothing: the ranker comes built."""

    def call(self, inputs: Any) -> Any:
        """Return the scores of a batch of (features, log_prob, context, candidates)."""
        features, log_prob, context, candidates = inputs
        return self.ranker(ops.cast(features, "float32"), log_prob, context, candidates)


def encoder_log_probabilities(recommender: Recommender, samples: RankerSamples) -> NDArray[np.float32]:
    """Return [N, C] the baked encoder's log-probability of every candidate."""
    out = np.empty(samples.candidates.shape, np.float32)
    for first in range(0, len(samples), _SCORED_AT_ONCE):
        part = samples.part(first, first + _SCORED_AT_ONCE)
        inputs = {"history": part.history, "history_value": part.history_value, "history_age": part.history_age}
        logits = recommender.logits(recommender.hidden(inputs))
        out[first : first + len(part)] = recommender.log_probabilities(logits, part.candidates)
    return out


def fit_scales(ranker: FusionRanker, samples: RankerSamples, log_prob: NDArray[np.float32]) -> None:
    """Set the constant feature scales to one over the spread within a pool."""
    pick = np.linspace(0, len(samples) - 1, min(len(samples), _SCALE_SAMPLES)).astype(int)
    there = (samples.candidates[pick] > 0)[..., None]
    phi = np.concatenate([samples.features[pick].astype(np.float32), log_prob[pick][..., None]], axis=-1)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    centred = (phi - (phi * there).sum(axis=1, keepdims=True) / count) * there
    spread = np.sqrt(np.square(centred).sum(axis=(0, 1)) / max(there.sum(), 1))
    ranker.feature_scale.assign(1.0 / np.maximum(spread, _LEAST_SPREAD))


class RankerTrainer:
    """Trains one ranker, in as many passes as wanted.

    Args:
        ranker: Starts from the weights it has.
    """

    def __init__(self, ranker: FusionRanker) -> None:
        self._fitter = Fitter(_Listwise(ranker), _WEIGHT_DECAY, "ranker")

    def run(
        self,
        samples: RankerSamples,
        log_prob: NDArray[np.float32],
        how: RankerPass,
        seed: int,
        progress: Progress,
    ) -> None:
        """Learn the samples whose target is a candidate.

        Args:
            samples: Training samples.
            log_prob: [N, C] from `encoder_log_probabilities`.
            how: Epochs and rate.
            seed: Of the order of the samples.
            progress: Told the share of steps done.
        """
        place = samples.place
        rows = np.flatnonzero(place >= 0)
        if not len(rows):
            return
        self._fitter.fit(
            (samples.features[rows], log_prob[rows], samples.context[rows], samples.candidates[rows]),
            place[rows],
            np.ones(len(rows), np.float32),
            how.epochs,
            how.learning_rate,
            _BATCH_SAMPLES,
            seed,
            progress,
        )


def target_ranks(ranker: FusionRanker, samples: RankerSamples, log_prob: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return [N] the target's place from 0 by score; a target that is no candidate comes after all of them.

    Ties count against the target.
    """
    place = samples.place
    ranks = np.full(len(samples), samples.candidates.shape[1], np.int32)
    for first in range(0, len(samples), _SCORED_AT_ONCE):
        part = samples.part(first, first + _SCORED_AT_ONCE)
        at = slice(first, first + len(part))
        features = part.features.astype(np.float32)
        scores = np.asarray(ranker(features, log_prob[at], part.context, part.candidates))
        own = np.take_along_axis(scores, np.maximum(place[at], 0)[:, None], axis=1)
        ranks[at] = np.where(place[at] >= 0, (scores >= own).sum(axis=1) - 1, ranks[at])
    return ranks


def adopt_linear(ranker: FusionRanker, fusion: FusionWeights, log_prob_weight: float) -> None:
    """Start the linear part of `ranker` from a fitted fusion, with a first weight for the encoder.

    Args:
        ranker: Takes the weights over; its own scales stay.
        fusion: Fitted without the encoder.
        log_prob_weight: Weight of the encoder's log-probability before scaling.
    """
    scale = np.asarray(ranker.feature_scale)
    ranker.weights_.assign(np.append(fusion.weights, log_prob_weight) / scale)
    ranker.context_weights.assign(np.pad(fusion.context_weights, ((0, 0), (0, 1))) / scale)
