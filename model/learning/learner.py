"""The learner: what the retrainer runs beside the stream, and the evaluation inside it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.contracts import CatalogueItem
from model.configuration import ModelConfiguration
from model.dataset.events import EventTable
from model.dataset.windows import Windows, cut_windows
from model.export import Exporter
from model.learning.log import GrowingLog
from model.learning.moments import Moment, lessons_of
from model.learning.ranker import RankerLearner
from model.learning.rhythm import Rhythm
from model.network.config import NetworkConfig
from model.network.content import content_matrix, genre_vocabulary
from model.network.recommender import Recommender
from model.training.encoder import EncoderPass, EncoderTrainer
from model.training.plan import plan_training
from model.training.progress import silent
from model.training.rating import fit_rating
from streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights

_SCORED_AT_ONCE = 128


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


class Learner:
    """Learns from events and moments, at two speeds.

    The encoder learns the log; the ranker learns moments: requests as they were made, with what came next. A moment's
    log-probabilities come from the encoder as it was before it learned the target, so the ranker sees the encoder as
    good as it is on what it does not know.

    Args:
        items: Dense index -> item.
        configuration: What was chosen; the rest follows from the data.
        parts: What there is.
        start: Linear weights to start from.
        seed: Of everything random.

    Attributes:
        recommender: The network; baked.
        seconds: Wall-clock seconds by phase.
        refreshes: Times each part was refreshed.
    """

    def __init__(
        self,
        items: Mapping[int, CatalogueItem],
        configuration: ModelConfiguration,
        parts: Parts | None = None,
        start: FusionWeights | None = None,
        seed: int = 0,
    ) -> None:
        self._items = items
        self._configuration = configuration
        self._parts = parts or Parts()
        self._seed = seed
        self.recommender = _fresh(items, configuration, self._parts, seed)
        self.ranker = RankerLearner(
            self.recommender.ranker,
            start or FusionWeights.default(),
            configuration.fusion,
            configuration.ranker,
            self._parts.encoder,
            seed,
        )
        self.log = GrowingLog()
        self._moments: list[Moment] = []
        self._encoder_at = 0
        self._ranker_at = 0
        self._exporter = Exporter()
        self.seconds: dict[str, float] = {"encoder": 0.0, "ranker": 0.0, "rating": 0.0, "export": 0.0}
        self.refreshes: dict[str, int] = {"encoder": 0, "ranker": 0}

    @property
    def rhythm(self) -> Rhythm:
        """How often what is refreshed."""
        return Rhythm(self._configuration.rhythm.ranker_events, self._configuration.rhythm.encoder_growth)

    @property
    def weights(self) -> FusionWeights:
        """The linear fusion of the pre-cut."""
        return self.ranker.weights

    def add_event(self, user_id: str, item: int, value: float, ts_ms: int) -> None:
        """Add one event to the log."""
        self.log.add(user_id, item, value, ts_ms)

    def add_moment(self, moment: Moment) -> None:
        """Add a request and what came next; to be called before the event itself is added."""
        self._moments.append(moment)

    def refresh_due(self) -> bool:
        """Do what is due; returns whether anything was, so that a new version is to be written."""
        count = self.log.count
        if self._parts.encoder and self.rhythm.encoder_due(count, self._encoder_at):
            self.refresh_ranker()
            self.refresh_encoder()
        elif self.rhythm.ranker_due(count, self._ranker_at):
            self.refresh_ranker()
        else:
            return False
        return True

    def refresh_ranker(self) -> None:
        """Let the ranker learn the moments since the last time."""
        began = time.perf_counter()
        moments, self._moments = self._moments, []
        self._ranker_at = self.log.count
        if moments and self._parts.learned_fusion:
            first = self.refreshes["ranker"] == 0
            lessons = lessons_of(moments, self._log_probabilities(moments))
            self.ranker.learn(lessons, self._configuration.ranker.epochs if first else 1)
            self.refreshes["ranker"] += 1
        self.seconds["ranker"] += time.perf_counter() - began

    def refresh_encoder(self) -> None:
        """Let the encoder learn the events since the last time, and as many of the older ones."""
        if not self._parts.encoder:
            return
        began = time.perf_counter()
        events = self.log.table()
        plan = plan_training(events, self._encoder_at, warm=self._encoder_at > 0)
        windows = cut_windows(events, self.recommender.config.length, plan.window_targets)
        first = self._encoder_at == 0
        how = _first_pass(self._configuration, events) if first else _refresh_pass(self._configuration)
        learned = windows if first else _touching(windows, self._encoder_at, self._seed)
        EncoderTrainer(self.recommender, windows, self._seed).run(learned, how, self._seed, silent)
        middle = time.perf_counter()
        fit_rating(self.recommender, windows)
        self._encoder_at = self.log.count
        self.refreshes["encoder"] += 1
        self.seconds["encoder"] += middle - began
        self.seconds["rating"] += time.perf_counter() - middle

    def write(self, path: Path) -> None:
        """Write the network as it is now as ONNX."""
        began = time.perf_counter()
        self._exporter.write(self.recommender, path)
        self.seconds["export"] += time.perf_counter() - began

    def _log_probabilities(self, moments: list[Moment]) -> NDArray[np.float32]:
        """Return [N, C] the encoder's log-probabilities of the candidates; zeros without an encoder."""
        candidates = np.concatenate([moment.request.candidates for moment in moments])
        if not self._parts.encoder or self._encoder_at == 0:
            return np.zeros(candidates.shape, np.float32)
        out = []
        for first in range(0, len(moments), _SCORED_AT_ONCE):
            requests = [moment.request for moment in moments[first : first + _SCORED_AT_ONCE]]
            names = ("history", "history_value", "history_age")
            inputs = {name: np.concatenate([getattr(request, name) for request in requests]) for name in names}
            logits = self.recommender.logits(self.recommender.hidden(inputs))
            part = candidates[first : first + len(requests)]
            out.append(np.asarray(self.recommender.log_probabilities(logits, part)))
        return np.concatenate(out)


def _fresh(
    items: Mapping[int, CatalogueItem], configuration: ModelConfiguration, parts: Parts, seed: int
) -> Recommender:
    genres = genre_vocabulary(items.values())
    chosen = configuration.network
    config = NetworkConfig(
        items=max(items),
        genres=genres,
        features=len(FEATURE_NAMES),
        context=len(CONTEXT_NAMES),
        width=chosen.width,
        heads=chosen.heads,
        blocks=chosen.blocks,
        dropout=chosen.dropout,
        id_dropout=chosen.id_dropout,
        ranker_units=chosen.ranker_units,
    )
    recommender = Recommender(config, content_matrix(items, genres, config.rows), seed)
    recommender.ranker.perceptron = parts.perceptron
    recommender.bake()
    return recommender


def _first_pass(configuration: ModelConfiguration, events: EventTable) -> EncoderPass:
    planned = plan_training(events, 0, warm=False).first
    epochs = configuration.encoder.epochs or max(round(planned.epochs * configuration.encoder.epochs_scale), 1)
    return EncoderPass(epochs, configuration.encoder.learning_rate)


def _refresh_pass(configuration: ModelConfiguration) -> EncoderPass:
    return EncoderPass(configuration.encoder.refresh_epochs or 5, configuration.encoder.refresh_learning_rate)


def _touching(windows: Windows, first: int, seed: int) -> Windows:
    """Return the windows that reach into the log from row `first` on, and as many of the others."""
    new, old = np.flatnonzero(windows.newest >= first), np.flatnonzero(windows.newest < first)
    replayed = np.random.default_rng(seed + first).choice(old, min(len(new), len(old)), replace=False)
    return windows.take(np.concatenate([new, replayed]))
