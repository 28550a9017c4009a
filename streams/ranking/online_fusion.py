"""Learning the linear fusion online: softmax regression over the candidates, one AdaGrad step per event."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.ranking.fusion import FusionWeights
from millrace.streams.ranking.fusion_kernel import learn_fusion

_LEARNING_RATE = 0.02
# Steps of context weights are smaller: each context is seen in a part of the events only.
_CONTEXT_RATE = 0.01


class OnlineFusion:
    """Weights that follow the gradient phi(target) - E[phi] of the log-likelihood of what users do next.

    Features differ in scale by a factor of 100, so each is measured in its own mean spread over a list's candidates.

    AdaGrad: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods", JMLR 2011.

    Args:
        start: Weights to start from.
        learning_rate: Step size of the weights, in spreads.
        context_rate: Step size of the context weights; 0 leaves them alone.
    """

    def __init__(
        self, start: FusionWeights, learning_rate: float = _LEARNING_RATE, context_rate: float = _CONTEXT_RATE
    ) -> None:
        self.weights = FusionWeights(start.weights.copy(), start.context_weights.copy())
        self._rates = (learning_rate, context_rate)
        self._squares = np.ones(start.weights.shape)
        self._context_squares = np.ones(start.context_weights.shape)
        self._spreads = np.zeros(start.weights.shape)
        self._lists = 0

    def learn(self, features: NDArray[np.float32], context: NDArray[np.float32], target: int) -> None:
        """Take one step.

        Args:
            features: [C, F] of the candidates, without padding.
            context: [U].
            target: Place of the item that the user took.
        """
        if len(features) == 0:
            return
        self._lists += 1
        learn_fusion(
            np.ascontiguousarray(features, np.float32),
            np.ascontiguousarray(context, np.float32),
            target,
            *self._rates,
            self._lists,
            self._spreads,
            self._squares,
            self._context_squares,
            self.weights.weights,
            self.weights.context_weights,
        )
