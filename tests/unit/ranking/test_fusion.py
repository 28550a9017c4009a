import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights
from millrace.streams.ranking.features import CONTEXTS, FEATURES
from millrace.streams.ranking.online_fusion import OnlineFusion
from millrace.streams.scoring.card import ServingCard


def card(feature_names=FEATURE_NAMES):
    return ServingCard(
        version="v000001",
        triton_model="recommender_v000001",
        items=10,
        vector_width=4,
        feature_names=feature_names,
        context_names=CONTEXT_NAMES,
        weights=tuple(float(number) for number in range(FEATURES)),
        context_weights=tuple((float(number),) * FEATURES for number in range(CONTEXTS)),
    )


def test_a_card_gives_its_weights():
    weights = FusionWeights.from_card(card())
    context = np.zeros(CONTEXTS, np.float32)
    context[3] = 0.5
    assert weights.effective(context) == pytest.approx(np.arange(FEATURES) + 1.5)


def test_a_card_for_other_features_is_refused():
    with pytest.raises(ConfigurationError, match="v000001"):
        FusionWeights.from_card(card(feature_names=FEATURE_NAMES[::-1]))


def test_online_fusion_follows_the_gradient_of_the_log_likelihood():
    random = np.random.default_rng(0)
    start = FusionWeights(np.zeros(FEATURES, np.float32), np.zeros((CONTEXTS, FEATURES), np.float32))
    online = OnlineFusion(start, learning_rate=0.1, context_rate=0.0)
    truth = random.normal(size=FEATURES)
    context = np.zeros(CONTEXTS, np.float32)
    for _ in range(2_000):
        features = random.normal(size=(20, FEATURES)).astype(np.float32)
        chances = np.exp(features @ truth)
        online.learn(features, context, int(random.choice(20, p=chances / chances.sum())))
    learned = online.weights.weights
    assert np.corrcoef(learned, truth)[0, 1] > 0.95
    assert not start.weights.any()
    assert not online.weights.context_weights.any()
