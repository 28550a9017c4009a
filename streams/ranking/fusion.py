"""The linear fusion: one number per candidate, from its features and the request's context."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.errors import ConfigurationError
from millrace.streams.ranking.default_weights import DEFAULT_CONTEXT_WEIGHTS, DEFAULT_WEIGHTS
from millrace.streams.ranking.features import CONTEXT_NAMES, CONTEXTS, FEATURE_NAMES, FEATURES
from millrace.streams.ranking.fusion_kernel import weights_in_context
from millrace.streams.scoring.card import ServingCard

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Log-linear weights: score = features . (weights + context . context_weights).

    Args:
        weights: [F] float32.
        context_weights: [U, F] float32 additions per unit of each context entry.
    """

    weights: Floats
    context_weights: Floats

    @classmethod
    def default(cls) -> "FusionWeights":
        """Return weights that serve before any model version exists; see `default_weights` for their origin."""
        context = np.zeros((CONTEXTS, FEATURES), np.float32)
        for name, row in DEFAULT_CONTEXT_WEIGHTS.items():
            for feature, weight in row.items():
                context[CONTEXT_NAMES.index(name), FEATURE_NAMES.index(feature)] = weight
        return cls(np.array([DEFAULT_WEIGHTS[name] for name in FEATURE_NAMES], np.float32), context)

    @classmethod
    def from_card(cls, card: ServingCard) -> "FusionWeights":
        """Return the weights of a model version.

        Raises:
            ConfigurationError: The version was built for other features.
        """
        if card.feature_names != FEATURE_NAMES or card.context_names != CONTEXT_NAMES:
            raise ConfigurationError(
                f"Model {card.version} was built for other features than this program computes; train a new version."
            )
        return cls(np.array(card.weights, np.float32), np.array(card.context_weights, np.float32))

    def effective(self, context: Floats) -> Floats:
        """Return the weights [F] that hold in a context [U]."""
        return weights_in_context(self.weights, self.context_weights, context)
