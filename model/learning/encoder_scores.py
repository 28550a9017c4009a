"""Encoder scores of candidates, for many requests at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from millrace.model.learning.moments import HISTORY_INPUTS, Moment
from millrace.model.network.recommender import Recommender

_SCORED_AT_ONCE = 128


class EncoderScores:
    """The log-probabilities of one network; its graph is traced once, its weights may change.

    Args:
        recommender: Network.
    """

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        kinds = tf.int32, tf.float32, tf.float32, tf.int32
        self._traced = tf.function(self._scores, [tf.TensorSpec((None, None), kind) for kind in kinds])

    def of(self, moments: Sequence[Moment]) -> NDArray[np.float32]:
        """Return [N, C] the log-probabilities of the moments' candidates."""
        out = []
        for first in range(0, len(moments), _SCORED_AT_ONCE):
            requests = [moment.request for moment in moments[first : first + _SCORED_AT_ONCE]]
            inputs = (np.concatenate([getattr(one, name) for one in requests]) for name in HISTORY_INPUTS)
            candidates = np.concatenate([one.candidates for one in requests])
            out.append(self._traced(*inputs, candidates).numpy())
        return np.concatenate(out)

    def _scores(self, history: Any, values: Any, ages: Any, candidates: Any) -> Any:
        inputs = dict(zip(HISTORY_INPUTS, (history, values, ages), strict=True))
        logits = self._recommender.logits(self._recommender.hidden(inputs))
        return self._recommender.log_probabilities(logits, candidates)
