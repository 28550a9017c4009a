"""The system as it serves: statistics, candidate step, ONNX artifact and list rules, learning at two speeds.

No part of it is written for the evaluation: only the servers between the parts are left out.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.lateness import Lateness
from millrace.model.evaluation.system import CandidateFeatures, Ranking, SystemNotes
from millrace.model.learning.encoder_cache import EncoderCache
from millrace.model.learning.model_learner import ModelLearner, Parts
from millrace.model.learning.moments import Moment
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CandidateBatch, CandidateStep, FusionWeights, ListRules, RankedItems, select_list
from millrace.streams.ranking.exploration import ExplorationPolicy
from millrace.streams.ranking.features import CONTEXT_NAMES, FEATURE_NAMES
from millrace.streams.ranking.rules import ListedItem
from millrace.streams.ranking.warm_up import warm_up_lists
from millrace.streams.scoring.onnx import OnnxScorer
from millrace.streams.scoring.scorer import CANDIDATES, ScoreRequest
from millrace.streams.statistics import ItemStatistics

# Parts that can be left out, and the beginnings of the names of the features each brings.
FEATURE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "transitions": ("transition_",),
    "timed": ("transition_timed",),
    "popularity": ("popular_",),
    "covisitation": ("covisited",),
    "content": ("genre_", "year_", "title_", "release_", "unreleased"),
}
PARTS = ("encoder", "proposals", "perceptron", "learned_fusion", "context", "rules", "exploration", "diversity")
ABLATIONS = (*PARTS, *FEATURE_GROUPS)
# Ratings are asked for in batches of this many; the network that answers is the one that was there at the time.
_RATED_TOGETHER = 64
# Candidates are made, and so the ranker learns, from this share of the training part on.
_MOMENTS_FROM = 0.5


@dataclass(frozen=True, slots=True)
class ServedOptions:
    """How the system is run.

    Args:
        training_end: Row before which nothing is graded.
        without: Names in ABLATIONS of what is left out.
        configuration: What was chosen of the model.
        rules: How lists are made from rankings.
        lag_s: Seconds by which the statistics are late.
        rate: Events per second that `lag_s` means; None takes the events' own times.
        request_time: False withholds how long ago the user's last event was.
        seed: Of everything random.
        encoder_cache: Folder of trained encoders, shared by systems on the same stream; None trains them here.
    """

    training_end: int
    without: frozenset[str] = frozenset()
    configuration: ModelConfiguration = field(default_factory=ModelConfiguration)
    rules: ListRules = field(default_factory=ListRules)
    lag_s: float = 0.0
    rate: float | None = None
    request_time: bool = True
    seed: int = 0
    encoder_cache: Path | None = None

    def __post_init__(self) -> None:
        unknown = sorted(self.without - set(ABLATIONS))
        if unknown:
            raise ConfigurationError(f"There is no part {unknown[0]!r} to leave out; known are {', '.join(ABLATIONS)}.")


class ServedSystem:
    """Serves lists from ONNX artifacts that it learns itself, as the whole of Millrace does.

    Args:
        catalogue: All items.
        options: How it is run.
        name: Shown in the report.
    """

    def __init__(self, catalogue: Catalogue, options: ServedOptions, name: str = "millrace") -> None:
        self.name = name
        self.lists_from = round(options.training_end * _MOMENTS_FROM)
        self.notes = SystemNotes()
        self._options = options
        self._catalogue = catalogue
        self._columns = _left_out(options.without)
        self.statistics = ItemStatistics()
        self._late = Lateness(self._learn_statistics, options.lag_s, options.rate)
        self._step = CandidateStep(self.statistics, catalogue)
        without = options.without
        parts = Parts("encoder" not in without, "perceptron" not in without, "learned_fusion" not in without)
        configuration = options.configuration
        if "context" in without:
            fusion = configuration.fusion.model_copy(update={"context_rate": 0.0})
            configuration = configuration.model_copy(update={"fusion": fusion})
        start = _start(self._columns, without)
        encoder_cache = EncoderCache(options.encoder_cache) if options.encoder_cache else None
        self.learner = ModelLearner(
            catalogue.items(), configuration, parts, start, seed=options.seed, encoder_cache=encoder_cache
        )
        self._weights = self.learner.weights
        self._rules = _rules(options.rules, without)
        self._artifact: OnnxScorer | None = None
        self._asked: dict[str, ScoreRequest] = {}
        self._last_asked: ScoreRequest | None = None
        self._last_ranked: tuple[RankedItems, UserState] | None = None
        self._unrated: list[tuple[int, ScoreRequest, int]] = []
        self._vectors = np.zeros((0, 0), np.float32)
        self._lists = 0
        self._compiled = False
        self._exploration = ExplorationPolicy()
        self._explored: dict[str, int] = {}

    def prepare(self, row: int) -> None:
        """Refresh what is due."""
        if not self._compiled:
            # Here, and not in the first list or the first event, whose time is told.
            warm_up_lists(self._rules, self.statistics.rows.neighbours)
            self._compiled = True
        if row == self.lists_from:
            self.learner.refresh_encoder()
        if row >= self.lists_from and (row == self.lists_from or self.learner.refresh_due()):
            self._rate_targets()
            self._deploy()

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Return the list for a user, and the state with the network's proposals for the next one."""
        worked = time.thread_time()
        asked_ms = now_ms if self._options.request_time else state.last_ts_ms or now_ms
        batch = self._masked(self._step.build([state], [asked_ms], self._weights))
        request = batch.request()
        built, candidates_cpu_s = time.perf_counter(), time.thread_time() - worked
        response = self._scorer().score_now("network", request)
        scored = time.perf_counter()
        ranked = RankedItems.from_response(request, response, 0)
        self._last_ranked = ranked, state
        self._lists += 1
        list_id = f"{state.user_id}-{state.count}"
        listed = select_list(self._rules, ranked, state, self._step, list_id, self._vectors, self._exploration)
        self._note_explored(state.user_id, listed)
        self._asked[state.user_id] = self._last_asked = request
        self._spent(candidates=candidates_cpu_s, scoring=scored - built, selection=time.perf_counter() - scored)
        shown = tuple(entry.item for entry in listed)
        ranking = Ranking(shown, ranked.items[ranked.items > 0])
        if "encoder" in self._options.without or "proposals" in self._options.without:
            return ranking, state
        return ranking, replace(state, proposals=response.proposals[0][response.proposals[0] > 0])

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event: the moment for the ranker, the event for the encoder and the statistics."""
        request, explored = self._asked.pop(event.user_id, None), self._explored.pop(event.user_id, 0)
        if first_touch and explored == event.item:
            self._exploration.taken(event.item)
        if request is not None and first_touch and event.weight > 0.0:
            self.learner.add_moment(Moment(request, event.item))
            self._unrated.append((row, request, event.item))
            if len(self._unrated) == _RATED_TOGETHER:
                self._rate_targets()
        self.learner.add_event(event.user_id, event.item, event.value, event.ts_ms, event.weight)
        worked = time.thread_time()
        self._late.learn(before, event)
        self._spent(statistics=time.thread_time() - worked)

    def last_features(self) -> CandidateFeatures | None:
        """Return what the last list was ranked by."""
        if self._last_asked is None:
            return None
        candidates = self._last_asked.candidates[0]
        return CandidateFeatures(
            FEATURE_NAMES, candidates[candidates > 0], self._last_asked.features[0, candidates > 0]
        )

    def relisted(self, diversity: float) -> tuple[int, ...]:
        """Return what the last list would show at another weight of dissimilarity, without exploration."""
        if self._last_ranked is None:
            return ()
        rules = replace(self._rules, diversity=diversity, exploration_rate=0.0)
        listed = select_list(rules, *self._last_ranked, self._step, "again", self._vectors)
        return tuple(entry.item for entry in listed)

    def finish(self) -> None:
        """Complete `notes`."""
        self._rate_targets()
        self.notes.seconds |= {f"learning_{name}": seconds for name, seconds in self.learner.seconds.items()}
        self.notes.counts |= {f"refreshed_{name}": float(times) for name, times in self.learner.refreshes.items()}
        self.notes.counts["lists"] = float(self._lists)
        self.notes.counts |= {
            f"explored_{name}": float(self._exploration.counts.get(name, 0)) for name in ("shown", "taken")
        }

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the artifact, which is written anew from the learner's network."""
        return {**self.__dict__, "_artifact": None, "_compiled": False}

    def _scorer(self) -> OnnxScorer:
        return self._artifact or self._deploy()

    def _deploy(self) -> OnnxScorer:
        """Let the newest version serve, and look at item vectors and pre-cut weights anew."""
        with tempfile.TemporaryDirectory(prefix="millrace-evaluate-") as folder:
            path = Path(folder) / "network.onnx"
            self.learner.write(path)
            self._artifact = OnnxScorer(paths={"network": path}, threads=1)
            self._artifact.load("network")
        self._weights = self.learner.weights
        self._vectors = np.asarray(self.learner.recommender.vectors)[: self.learner.recommender.config.items + 1]
        return self._artifact

    def _rate_targets(self) -> None:
        """Ask the version that serves now what rating it expects of the targets that have come since the last time."""
        waiting, self._unrated = self._unrated, []
        if not waiting:
            return
        request = _asking_for([request for _, request, _ in waiting], [item for _, _, item in waiting])
        response = self._scorer().score_now("network", request)
        for (row, _, _), rating in zip(waiting, response.predicted_ratings[:, 0].tolist(), strict=True):
            self.notes.ratings[row] = rating

    def _learn_statistics(self, before: UserState, event: ResolvedEvent) -> None:
        self.statistics.update(before, event.item, event.value, event.ts_ms, event.weight)

    def _masked(self, batch: CandidateBatch) -> CandidateBatch:
        if len(self._columns):
            batch.features[..., self._columns] = 0.0
        if "context" in self._options.without:
            batch.context[:] = 0.0
        return batch

    def _note_explored(self, user_id: str, listed: Sequence[ListedItem]) -> None:
        """Remember the item in the exploration slot; it counts as shown, as a list that is published does."""
        self._explored.pop(user_id, None)
        for entry in listed:
            if entry.propensity is not None:
                self._exploration.shown(entry.item)
                self._explored[user_id] = entry.item

    def _spent(self, **seconds: float) -> None:
        for name, value in seconds.items():
            self.notes.seconds[name] = self.notes.seconds.get(name, 0.0) + value


def _asking_for(requests: Sequence[ScoreRequest], items: Sequence[int]) -> ScoreRequest:
    """Return the requests with one candidate each."""
    width = max(request.exclude.shape[1] for request in requests)
    candidates = np.zeros((len(items), CANDIDATES), np.int32)
    candidates[:, 0] = items
    joined = {
        name: np.concatenate([getattr(request, name) for request in requests])
        for name in ("history", "history_value", "history_age", "features", "context")
    }
    return ScoreRequest(candidates=candidates, exclude=np.zeros((len(items), width), np.int32), **joined)


def _left_out(without: frozenset[str]) -> list[int]:
    beginnings = tuple(start for name, starts in FEATURE_GROUPS.items() if name in without for start in starts)
    return [column for column, name in enumerate(FEATURE_NAMES) if beginnings and name.startswith(beginnings)]


def _start(columns: list[int], without: frozenset[str]) -> FusionWeights:
    default = FusionWeights.default()
    default.weights[columns] = 0.0
    default.context_weights[:, columns] = 0.0
    if "context" in without:
        default.context_weights[: len(CONTEXT_NAMES)] = 0.0
    return default


def _rules(rules: ListRules, without: frozenset[str]) -> ListRules:
    if without & {"rules", "diversity"}:
        rules = replace(rules, diversity=0.0)
    if without & {"rules", "exploration"}:
        rules = replace(rules, exploration_rate=0.0)
    return rules
