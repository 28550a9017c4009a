"""One training run, from the log to a network and its card."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from millrace.errors import ConfigurationError
from model.dataset.events import TrainingData
from model.dataset.replay import Replay, replay_samples
from model.dataset.samples import RankerSamples
from model.dataset.windows import Windows, cut_windows
from model.network.config import NetworkConfig
from model.network.content import content_matrix, genre_vocabulary
from model.network.recommender import Recommender
from model.registry import Version, VersionCard
from model.training.encoder import EncoderTrainer
from model.training.fusion import fit_fusion, fusion_ranks
from model.training.plan import TrainingPlan, plan_training
from model.training.progress import Progress, silent
from model.training.ranker import (
    RankerTrainer,
    adopt_linear,
    encoder_log_probabilities,
    fit_scales,
    target_ranks,
)
from model.training.rating import fit_rating
from model.versions import resume, serving_card
from streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights

LEAST_EVENTS = 200
_FIRST_ENCODER_WEIGHT = 0.1
_GRADED_PLACES = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network that is not published yet.

    Args:
        recommender: Baked.
        card: Without name, time and timing, which publishing adds.
    """

    recommender: Recommender
    card: VersionCard


@dataclass(slots=True)
class _Clock:
    """Adds up wall-clock seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)


def train(data: TrainingData, parent: Version | None = None, seed: int = 0, progress: Progress = silent) -> Trained:
    """Train a version on a log.

    The encoder learns everything but the newest part; the ranker learns that part with log-probabilities of an encoder
    that has not seen it; its newest quarter grades the version before it is learned; then both learn the rest.

    Args:
        data: The log, the items and what the parent has learned of it.
        parent: Version to start from; None starts from random weights.
        seed: Of everything random.
        progress: Told phase and share.

    Raises:
        ConfigurationError: There is too little to learn from, or the parent is of another build.
    """
    if len(data.events) < LEAST_EVENTS:
        raise ConfigurationError(
            f"A model needs at least {LEAST_EVENTS} events to learn from; there are {len(data.events)}."
        )
    clock = _Clock()
    plan = plan_training(data.events, data.new_from, parent is not None)
    recommender = resume(parent, data.items, seed) if parent else _fresh(data, seed)
    windows = cut_windows(data.events, recommender.config.length, plan.window_targets)
    encoder = EncoderTrainer(recommender, windows, seed)
    if plan.first:
        with clock.phase("encoder"):
            older = cut_windows(data.events.head(plan.ranker_from), recommender.config.length, plan.window_targets)
            encoder.run(older, plan.first, seed, progress)
    before = FusionWeights.from_card(parent.card.serving) if parent else FusionWeights.default()
    with clock.phase("replay"):
        samples = _samples(data, plan, before, seed, progress)
    with clock.phase("ranker"):
        weights, metrics = _rank(recommender, samples, plan, before, parent is not None, seed, progress)
    with clock.phase("encoder"):
        encoder.run(_newest(windows, plan.ranker_from, seed), plan.last, seed, progress)
        metrics["rating_rmse"] = fit_rating(recommender, windows)
    serving = serving_card(recommender, FEATURE_NAMES, CONTEXT_NAMES, weights.weights, weights.context_weights)
    return Trained(
        recommender,
        VersionCard(
            serving=serving,
            network=recommender.config,
            parent=parent.name if parent else None,
            position=dict(data.position),
            events=len(data.events),
            metrics=metrics,
            seconds=clock.seconds,
            seed=seed,
        ),
    )


def _fresh(data: TrainingData, seed: int) -> Recommender:
    genres = genre_vocabulary(data.items.values())
    config = NetworkConfig(
        items=max(data.items), genres=genres, features=len(FEATURE_NAMES), context=len(CONTEXT_NAMES)
    )
    return Recommender(config, content_matrix(data.items, genres, config.rows), seed)


def _newest(windows: Windows, first: int, seed: int) -> Windows:
    """Return the windows that reach into the log from row `first` on, and as many of the others."""
    new, old = np.flatnonzero(windows.newest >= first), np.flatnonzero(windows.newest < first)
    replayed = np.random.default_rng(seed).choice(old, min(len(new), len(old)), replace=False)
    return windows.take(np.concatenate([new, replayed]))


def _samples(
    data: TrainingData, plan: TrainingPlan, weights: FusionWeights, seed: int, progress: Progress
) -> RankerSamples:
    rows = np.arange(plan.ranker_from, len(data.events))
    if len(rows) > plan.samples:
        rows = np.random.default_rng(seed).choice(rows, plan.samples, replace=False)
    replay = Replay(data.items, data.events)
    return replay_samples(replay, frozenset(rows.tolist()), weights, _of_phase(progress, "replay"))


def _of_phase(progress: Progress, phase: str) -> Callable[[float], None]:
    return lambda share: progress(phase, share)


def _rank(
    recommender: Recommender,
    samples: RankerSamples,
    plan: TrainingPlan,
    before: FusionWeights,
    warm: bool,
    seed: int,
    progress: Progress,
) -> tuple[FusionWeights, dict[str, float]]:
    """Fit fusion and ranker on the older samples, grade them on the newer ones, then learn those too."""
    log_prob = encoder_log_probabilities(recommender, samples)
    cut = len(samples) - round(len(samples) * plan.graded_share)
    older, graded = samples.part(0, cut), samples.part(cut, len(samples))
    ranker, trainer = recommender.ranker, RankerTrainer(recommender.ranker)
    metrics = {"holdout_events": float(len(graded)), **_graded("popularity_", graded.popularity_rank)}
    fusion = fit_fusion(before, older, plan.fusion_epochs, seed)
    metrics |= _graded("counts_", fusion_ranks(fusion, graded))
    if warm:
        metrics |= _graded("parent_", target_ranks(ranker, graded, log_prob[cut:]))
    else:
        fit_scales(ranker, older, log_prob[:cut])
        adopt_linear(ranker, fusion, _FIRST_ENCODER_WEIGHT)
    trainer.run(older, log_prob[:cut], plan.ranker, seed, progress)
    metrics |= _graded("", target_ranks(ranker, graded, log_prob[cut:]))
    newest = max(len(samples) - 2 * len(graded), 0)
    trainer.run(samples.part(newest, len(samples)), log_prob[newest:], plan.finish, seed, silent)
    return fit_fusion(before, samples, plan.fusion_epochs, seed), metrics


def _graded(prefix: str, ranks: NDArray[np.int32]) -> dict[str, float]:
    """Return hit rate and NDCG at 10 of target ranks from 0."""
    hits = ranks < _GRADED_PLACES
    gains = np.where(hits, 1.0 / np.log2(ranks + 2.0), 0.0)
    return {
        f"{prefix}hit_rate_at_10": float(hits.mean()) if len(ranks) else 0.0,
        f"{prefix}ndcg_at_10": float(gains.mean()) if len(ranks) else 0.0,
    }
