"""Learning the linear fusion online: softmax regression over the candidates, one AdaGrad step per event."""

import numpy as np
from numpy.typing import NDArray

from streams.ranking.fusion import FusionWeights

_LEARNING_RATE = 0.02
# Steps of context weights are smaller: each context is seen in a part of the events only.
_CONTEXT_RATE = 0.01
_GRADIENT_LIMIT = 3.0


class OnlineFusion:
    """Weights that follow the gradient phi(target) - E[phi] of the log-likelihood of what users do next.

    AdaGrad: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods", JMLR 2011.

    Args:
        start: Weights to start from.
        learning_rate: Step size of the weights.
        context_rate: Step size of the context weights; 0 leaves them alone.
    """

    def __init__(
        self, start: FusionWeights, learning_rate: float = _LEARNING_RATE, context_rate: float = _CONTEXT_RATE
    ) -> None:
        self.weights = FusionWeights(start.weights.copy(), start.context_weights.copy())
        self._rates = (learning_rate, context_rate)
        self._squares = np.ones_like(start.weights)
        self._context_squares = np.ones_like(start.context_weights)

    def learn(self, features: NDArray[np.float32], context: NDArray[np.float32], target: int) -> None:
        """Take one step.

        Args:
            features: [C, F] of the candidates, without padding.
            context: [U].
            target: Place of the item that the user took.
        """
        scores = np.einsum("cf,f->c", features, self.weights.effective(context))
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        gradient = features[target] - np.einsum("c,cf->f", chances, features)
        np.clip(gradient, -_GRADIENT_LIMIT, _GRADIENT_LIMIT, out=gradient)
        self._squares += gradient * gradient
        self.weights.weights[:] += self._rates[0] * gradient / np.sqrt(self._squares)
        if self._rates[1] > 0.0:
            outer = np.outer(context, gradient)
            self._context_squares += outer * outer
            self.weights.context_weights[:] += self._rates[1] * outer / np.sqrt(self._context_squares)
