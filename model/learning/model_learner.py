"""The learner: what the retrainer runs beside the stream, and the evaluation inside it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.model.configuration import ModelConfiguration
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import Windows, cut_windows
from millrace.model.learning.encoder_cache import EncoderCache
from millrace.model.learning.encoder_scores import EncoderScores
from millrace.model.learning.growth import fresh_network, frozen, grown_network, network_length, thawed
from millrace.model.learning.log import GrowingLog
from millrace.model.learning.moments import HISTORY_INPUTS, Moment, lessons_of
from millrace.model.learning.ranker_learner import RankerLearner
from millrace.model.learning.rhythm import Rhythm
from millrace.model.onnx_export import Exporter
from millrace.model.registry import Version
from millrace.model.training.encoder_trainer import EncoderPass, EncoderTrainer
from millrace.model.training.first import FirstTraining, HeldOut, train_first
from millrace.model.training.fit_rating_head import FIRST_PASS, REFRESH_PASS, fit_rating
from millrace.model.training.plan import plan_training
from millrace.model.training.progress import Progress, silent
from millrace.model.training.refresh import refresh_windows
from millrace.model.versions import resume
from millrace.streams.ranking import FusionWeights
from millrace.streams.scoring.scorer import ScoreRequest

_SCORED_AT_ONCE = 128
_GRADED_PLACES = 10
# Beyond this rank nothing is listed: where a target stands that was no candidate.
_FAR = 1 << 20


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of the model there are; each can be left out to see what it is worth.

    Args:
        encoder: The sequence network: its log-probability and its proposals.
        perceptron: The re-ranker on top of the linear fusion.
        learned_fusion: Whether linear weights learn; else the default ones stay.
    """

    encoder: bool = True
    perceptron: bool = True
    learned_fusion: bool = True


class ModelLearner:
    """Learns from events and moments, at two speeds.

    The encoder learns the log; the ranker learns moments: requests as they were made, with what came next. A moment's
    log-probabilities come from the encoder as it was before it learned the target, so the ranker sees the encoder as
    good as it is on what it does not know.

    Args:
        items: Dense index -> item; may grow.
        configuration: What was chosen; the rest follows from the data.
        parts: What there is.
        start: Linear weights to start from.
        parent: Version to go on from; None begins with random weights.
        seed: Of everything random.
        progress: See the attribute.
        encoder_cache: Where trained encoders are kept for other systems on the same log.

    Attributes:
        recommender: The network; baked.
        log: The events so far.
        seconds: Wall-clock seconds by phase.
        refreshes: Times each part was refreshed.
        progress: Told phase and share of what takes long.
        first_training: What came of the encoder's first training, once it had one.
    """

    def __init__(
        self,
        items: Mapping[int, CatalogueItem],
        configuration: ModelConfiguration,
        parts: Parts | None = None,
        start: FusionWeights | None = None,
        parent: Version | None = None,
        seed: int = 0,
        progress: Progress = silent,
        encoder_cache: EncoderCache | None = None,
    ) -> None:
        self._encoder_cache = encoder_cache
        self._items = items
        self._configuration = configuration
        self._parts = parts or Parts()
        self._seed = seed
        self.progress = progress
        self.recommender = resume(parent, items, seed) if parent else fresh_network(items, configuration.network, seed)
        self.recommender.ranker.perceptron = self._parts.perceptron
        cut = FusionWeights.from_card(parent.card.serving) if parent else start or FusionWeights.default()
        linear = FusionWeights(*self.recommender.ranker.plain_weights()) if parent else None
        self._ranker = RankerLearner(
            self.recommender.ranker, cut, configuration.fusion, configuration.ranker, self._parts.encoder, seed, linear
        )
        self.log = GrowingLog()
        self._moments: list[Moment] = []
        self._encoder_at = parent.card.encoder_events if parent else 0
        self._ranker_at = parent.card.events if parent else 0
        self._trainer: EncoderTrainer | None = None
        self._scores: EncoderScores | None = None
        # Of a copy of a learner, which makes its trainer when it learns.
        self._optimizer_state: list[NDArray[np.float32]] = []
        self._targets = 0
        self.exporter = Exporter()
        self.seconds: dict[str, float] = {"encoder": 0.0, "ranker": 0.0, "rating": 0.0, "export": 0.0}
        self.refreshes: dict[str, int] = {"encoder": 0, "ranker": 0}
        self.first_training: FirstTraining | None = None

    @property
    def rhythm(self) -> Rhythm:
        """How often what is refreshed."""
        return Rhythm(self._configuration.rhythm.ranker_events, self._configuration.rhythm.encoder_growth)

    @property
    def weights(self) -> FusionWeights:
        """The linear fusion of the pre-cut."""
        return self._ranker.weights

    @property
    def encoder_events(self) -> int:
        """How many events the encoder has learned."""
        return self._encoder_at

    def add_event(self, user_id: str, item: int, value: float, ts_ms: int, weight: float = 1.0) -> None:
        """Add one event to the log."""
        self.log.add(user_id, item, value, ts_ms, weight)

    def add_moment(self, moment: Moment) -> None:
        """Add a request and what came next; to be called before the event itself is added."""
        self._moments.append(moment)

    def encoder_due(self) -> bool:
        """Tell whether the log has grown enough for the encoder to learn again."""
        return self._parts.encoder and self.rhythm.encoder_due(self.log.count, self._encoder_at)

    def refresh_due(self) -> bool:
        """Do what is due; returns whether anything was, so that a new version is to be written."""
        if self.encoder_due():
            self.refresh_ranker()
            self.refresh_encoder()
        elif self.rhythm.ranker_due(self.log.count, self._ranker_at):
            self.refresh_ranker()
        else:
            return False
        return True

    def refresh_ranker(self, holdout: float = 0.0) -> dict[str, float]:
        """Let the ranker learn the moments since the last time.

        Args:
            holdout: Newest share of them that grades the ranker after it has learned the others, and is learned then.

        Returns:
            Figures of the held-out moments, as a version's card has them; empty without any.
        """
        began = time.perf_counter()
        moments, self._moments = self._moments, []
        self._ranker_at = self.log.count
        metrics: dict[str, float] = {}
        if moments and self._parts.learned_fusion:
            log_prob = self._log_probabilities(moments)
            cut = len(moments) - round(len(moments) * holdout)
            first = self.refreshes["ranker"] == 0
            before = self._graded("parent_", moments[cut:], log_prob[cut:])
            self._learn(moments[:cut], log_prob[:cut], self._configuration.ranker.epochs if first else 1)
            if cut < len(moments):
                metrics = self._compared(moments[cut:], log_prob[cut:]) | ({} if first else before)
                self._learn(moments[cut:], log_prob[cut:], 1)
            self.refreshes["ranker"] += 1
        self.seconds["ranker"] += time.perf_counter() - began
        return metrics

    def refresh_encoder(self, held_out: HeldOut | None = None) -> None:
        """Let the encoder learn the events since the last time, and as many of the older ones.

        Args:
            held_out: For the first training of a protocol that has held-out events of its own.
        """
        if not self._parts.encoder:
            return
        events, first = self.log.table(), self._encoder_at == 0
        if first:
            self._size()
        self._grow()
        if self._encoder_cache is None or not self._encoder_cache.load(self.recommender, self.log.count):
            self._train(events, first, held_out)
        self._encoder_at = self.log.count
        self.refreshes["encoder"] += 1

    def refresh_rating(self) -> None:
        """Fit the rating head to the log in few passes; `refresh_encoder` does more on its first call."""
        began = time.perf_counter()
        fit_rating(self.recommender, self.log.table(), REFRESH_PASS, self._seed)
        self.seconds["rating"] += time.perf_counter() - began

    def _train(self, events: EventTable, first: bool, held_out: HeldOut | None) -> None:
        began = time.perf_counter()
        windows = cut_windows(events, self.recommender.config.length, self._window_targets(events))
        trainer = self._trainer_of(windows)
        if first:
            self._train_first(trainer, events, windows, held_out)
        else:
            self._train_again(trainer, events, windows)
        middle = time.perf_counter()
        fit_rating(self.recommender, events, FIRST_PASS if first else REFRESH_PASS, self._seed)
        if self._encoder_cache is not None:
            self._encoder_cache.save(self.recommender, self.log.count)
        self.seconds["encoder"] += middle - began
        self.seconds["rating"] += time.perf_counter() - middle

    def _window_targets(self, events: EventTable) -> int:
        """Return the targets of a window; they stay as the first log asked for: another number is traced anew."""
        if not self._targets:
            length = self.recommender.config.length
            self._targets = self._configuration.encoder.window_targets or plan_training(events, length).window_targets
        return self._targets

    def _trainer_of(self, windows: Windows) -> EncoderTrainer:
        """Return the trainer of the network, which knows the items of these windows."""
        if self._trainer is None:
            decay = self._configuration.encoder.weight_decay
            self._trainer = EncoderTrainer(self.recommender, windows, self._seed, decay)
            if self._optimizer_state:
                self._trainer.optimizer_state = self._optimizer_state
        if self._encoder_at:
            self._trainer.cover(windows, self._seed + self._encoder_at)
        return self._trainer

    def _train_first(
        self, trainer: EncoderTrainer, events: EventTable, windows: Windows, held_out: HeldOut | None
    ) -> None:
        chosen, seed = self._configuration.encoder, self._seed
        if chosen.epochs is None:
            log = (events, windows, chosen.learning_rate)
            self.first_training = train_first(self.recommender, trainer, *log, seed, self.progress, held_out)
        else:
            trainer.run(windows, EncoderPass(chosen.epochs, chosen.learning_rate), seed, self.progress)
            self.first_training = FirstTraining(chosen.epochs, ())

    def _train_again(self, trainer: EncoderTrainer, events: EventTable, windows: Windows) -> None:
        chosen = self._configuration.encoder
        part = refresh_windows(windows, self._encoder_at, chosen.replay_share, self._seed)
        planned = plan_training(events, self.recommender.config.length).refresh
        how = EncoderPass(chosen.refresh_epochs or planned.epochs, chosen.refresh_learning_rate)
        trainer.run(part, how, self._seed + self._encoder_at, self.progress)

    def write(self, path: Path) -> None:
        """Write the network as it is now as ONNX, unchecked."""
        began = time.perf_counter()
        self.exporter.write(self.recommender, path)
        self.seconds["export"] += time.perf_counter() - began

    def proposals(self, request: ScoreRequest) -> NDArray[np.int32]:
        """Return [B, P] what the encoder proposes for the users of a request; zeros before it has learned."""
        if not self._parts.encoder or self._encoder_at == 0:
            return np.zeros((len(request.history), 1), np.int32)
        out = []
        for first in range(0, len(request.history), _SCORED_AT_ONCE):
            at = slice(first, first + _SCORED_AT_ONCE)
            inputs = {name: getattr(request, name)[at] for name in HISTORY_INPUTS}
            logits = self.recommender.logits(self.recommender.hidden(inputs))
            out.append(np.asarray(self.recommender.proposals(logits, request.exclude[at])))
        return np.concatenate(out)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what belongs to TensorFlow, the network as arrays."""
        without = {"exporter": None, "progress": silent, "_trainer": None, "_scores": None}
        state = self._trainer.optimizer_state if self._trainer else self._optimizer_state
        return {**self.__dict__, "recommender": frozen(self.recommender), "_optimizer_state": state, **without}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.recommender = thawed(state["recommender"])
        self._ranker.move_to(self.recommender.ranker)
        self.exporter = Exporter()

    def _size(self) -> None:
        """Let the log choose the sizes that nobody has chosen, before anything is learned."""
        length = network_length(self.log.count, len(self._items))
        if self._configuration.network.length is None and length != self.recommender.config.length:
            choices = self._configuration.network.model_copy(update={"length": length})
            self.recommender, self._scores = fresh_network(self._items, choices, self._seed), None
            self.recommender.ranker.perceptron = self._parts.perceptron
            self._ranker.move_to(self.recommender.ranker)

    def _grow(self) -> None:
        """Make room for items that have come since the network was made."""
        if max(self._items) > self.recommender.config.items:
            self.recommender = grown_network(self.recommender, self._items, self._seed)
            self._ranker.move_to(self.recommender.ranker)
            self._trainer, self._scores, self._optimizer_state = None, None, []

    def _learn(self, moments: Sequence[Moment], log_prob: NDArray[np.float32], epochs: int) -> None:
        lessons = lessons_of(moments, log_prob)
        if lessons is not None:
            self._ranker.learn(lessons, epochs)

    def _log_probabilities(self, moments: Sequence[Moment]) -> NDArray[np.float32]:
        """Return [N, C] the encoder's log-probabilities of the candidates; zeros without an encoder."""
        if not self._parts.encoder or self._encoder_at == 0:
            return np.zeros((len(moments), moments[0].request.candidates.shape[1]), np.float32)
        if self._scores is None:
            self._scores = EncoderScores(self.recommender)
        return self._scores.of(moments)

    def _compared(self, moments: Sequence[Moment], log_prob: NDArray[np.float32]) -> dict[str, float]:
        popularity = np.array([moment.popularity_rank for moment in moments])
        counts = [_rank(_linear(self._ranker.weights, moment), moment) for moment in moments]
        return {
            "holdout_events": float(len(moments)),
            **_figures("popularity_", np.where(popularity < 0, _FAR, popularity)),
            **_figures("counts_", np.array(counts)),
            **self._graded("", moments, log_prob),
        }

    def _graded(self, prefix: str, moments: Sequence[Moment], log_prob: NDArray[np.float32]) -> dict[str, float]:
        ranks = []
        for first in range(0, len(moments), _SCORED_AT_ONCE):
            part = moments[first : first + _SCORED_AT_ONCE]
            requests = [moment.request for moment in part]
            scores = np.asarray(
                self.recommender.ranker(
                    np.concatenate([request.features for request in requests]),
                    log_prob[first : first + len(part)],
                    np.concatenate([request.context for request in requests]),
                    np.concatenate([request.candidates for request in requests]),
                )
            )
            ranks += [_rank(row, moment) for row, moment in zip(scores, part, strict=True)]
        return _figures(prefix, np.array(ranks))


def _linear(weights: FusionWeights, moment: Moment) -> NDArray[np.float32]:
    request = moment.request
    scores = request.features[0] @ weights.effective(request.context[0])
    return np.where(request.candidates[0] > 0, scores, -np.inf)


def _rank(scores: NDArray[np.float32], moment: Moment) -> int:
    """Return the target's place from 0 by score; ties count against it."""
    place = moment.place
    return int((scores >= scores[place]).sum()) - 1 if place >= 0 else _FAR


def _figures(prefix: str, ranks: NDArray[np.int64]) -> dict[str, float]:
    """Return hit rate and NDCG at 10 of target ranks from 0."""
    hits = ranks < _GRADED_PLACES
    gains = np.where(hits, 1.0 / np.log2(ranks + 2.0), 0.0)
    return {
        f"{prefix}hit_rate_at_10": float(hits.mean()) if len(ranks) else 0.0,
        f"{prefix}ndcg_at_10": float(gains.mean()) if len(ranks) else 0.0,
    }
