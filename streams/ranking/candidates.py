"""The candidate step: from user states to a few hundred candidates each, with features, cut by the linear fusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from streams.catalogue import Catalogue
from streams.ranking.cache_lines import cache_lines
from streams.ranking.candidate_kernel import choose_candidates
from streams.ranking.evidence_kernel import EVIDENCE
from streams.ranking.features import CONTEXTS, FEATURES, NEUTRAL_VALUE, TASTES, context_of
from streams.ranking.fusion import FusionWeights
from streams.ranking.history_kernel import EVIDENCE_LAGS, LINK_KERNELS, TRANSITIONS, WORTHS, weigh_history
from streams.ranking.pool_kernel import POOL_SIZE, fill_pool
from streams.ranking.popularity_view import PopularityView
from streams.ranking.requests import score_request
from streams.ranking.taste import Taste
from streams.ranking.taste_kernel import taste_of
from streams.scoring.protocol import CANDIDATES, ScoreRequest
from streams.statistics import ItemStatistics
from streams.statistics.popularity import history_bucket
from streams.users import UserState

_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000
_Array = TypeVar("_Array", bound=NDArray[Any])


@dataclass(frozen=True, slots=True)
class CandidateBatch:
    """Candidates of B users, best by linear fusion first, padded on the right with item 0.

    Args:
        candidates: [B, C] int32.
        features: [B, C, F] float32.
        context: [B, U] float32.
        linear: [B, C] float32 linear fusion scores, -inf where padded.
        unavailable: Item indexes known but not available.
    """

    candidates: NDArray[np.int32]
    features: NDArray[np.float32]
    context: NDArray[np.float32]
    linear: NDArray[np.float32]
    unavailable: NDArray[np.int32]

    def request(self, states: Sequence[UserState], now_ms: Sequence[int]) -> ScoreRequest:
        """Return the tensors for a model version; `states` and `now_ms` as given to `build`."""
        return score_request(states, now_ms, self.candidates, self.features, self.context, self.unavailable)


class CandidateStep:
    """Finds and describes candidates; holds scratch memory, so one object serves one thread.

    Args:
        statistics: Online statistics; its rows for `needed_pages` must be loaded.
        catalogue: Items; only known and available ones become candidates.

    Attributes:
        view: What is derived from popularity, as of the last `build`.
        marks: [N] uint8 scratch, all zero between calls.
    """

    def __init__(self, statistics: ItemStatistics, catalogue: Catalogue) -> None:
        self.statistics = statistics
        self.catalogue = catalogue
        self.view = PopularityView()
        self.marks: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._places: NDArray[np.int32] = np.zeros(0, np.int32)
        self._scores: NDArray[np.float32] = np.zeros(0, np.float32)
        self._evidence = cache_lines(POOL_SIZE, EVIDENCE)
        self._factors: NDArray[np.float32] = np.zeros((EVIDENCE_LAGS, LINK_KERNELS), np.float32)
        self._worths = np.zeros((EVIDENCE_LAGS, WORTHS))
        self._token_weights: NDArray[np.float32] = np.zeros(0, np.float32)
        self._back_off = np.zeros(TRANSITIONS)
        self._totals = np.zeros(LINK_KERNELS)
        self._pool: NDArray[np.int32] = np.zeros(POOL_SIZE, np.int32)
        self._features: NDArray[np.float32] = np.zeros((POOL_SIZE, FEATURES), np.float32)
        self._taste = Taste()

    def needed_pages(self, states: Sequence[UserState]) -> list[int]:
        """Return the items whose pages `build` will read for these users, each once."""
        rows = [state.items[:EVIDENCE_LAGS] for state in states]
        return list(dict.fromkeys(np.concatenate(rows).tolist())) if rows else []

    def build(
        self,
        states: Sequence[UserState],
        now_ms: Sequence[int],
        weights: FusionWeights,
    ) -> CandidateBatch:
        """Return the candidates of each user.

        Args:
            states: B users.
            now_ms: [B] time of each request.
            weights: Linear fusion for the cut.
        """
        self.prepare()
        users = len(states)
        candidates = np.zeros((users, CANDIDATES), np.int32)
        features = np.zeros((users, CANDIDATES, FEATURES), np.float32)
        context = np.zeros((users, CONTEXTS), np.float32)
        linear = np.full((users, CANDIDATES), -np.inf, np.float32)
        for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
            history = _fresh(state.items)
            context[row] = context_of(state, time_ms)
            taste_of(history, self.statistics.popularity.counts, context[row, -TASTES:])
            effective = weights.effective(context[row])
            self._rank(state, history, time_ms, effective, candidates[row], features[row], linear[row])
        return CandidateBatch(candidates, features, context, linear, self.view.unavailable)

    def prepare(self) -> None:
        """Give every array room for all known indexes, and renew the view if enough has happened."""
        size = max(len(self.catalogue.known), len(self.statistics.rows), len(self.statistics.popularity))
        self.catalogue.ensure(size)
        self.statistics.ensure(size)
        size = len(self.catalogue.known)
        if len(self.marks) != size:
            self.marks = np.zeros(size, np.uint8)
            self._places = np.zeros(size, np.int32)
            self._scores = np.zeros(size, np.float32)
        if len(self._token_weights) != len(self.catalogue.token_items):
            self._token_weights = np.zeros(len(self.catalogue.token_items), np.float32)
        self.view.refresh(self.statistics, self.catalogue)

    def _rank(
        self,
        state: UserState,
        history: NDArray[np.int32],
        now_ms: int,
        weights: NDArray[np.float32],
        candidates: NDArray[np.int32],
        features: NDArray[np.float32],
        linear: NDArray[np.float32],
    ) -> None:
        """Fill one user's row of a batch; the weights [F] are those of the context."""
        forced, touched = _fresh(state.proposals), _fresh(state.touched)
        unseen = self._taste.compare(history, touched, _year_of(now_ms), weights, self.view, self.marks)
        lags = self._weigh(state, history, now_ms)
        pool = self._fill_pool(state, history, lags, forced, unseen)
        statistics, catalogue, view = self.statistics, self.catalogue, self.view
        rows, taste, bucket = statistics.rows, self._taste, history_bucket(state.count)
        choose_candidates(
            pool,
            history,
            lags,
            bucket,
            rows.ids,
            rows.values,
            rows.lengths,
            self._factors,
            self._worths,
            self._back_off,
            self._totals,
            view.shares,
            statistics.popularity.by_history,
            float(statistics.bucket_totals[bucket]),
            view.items,
            catalogue.tokens,
            view.token_idf,
            taste.classes,
            taste.eras,
            taste.sets,
            taste.years,
            weights,
            forced,
            view.newest,
            unseen,
            touched,
            self._token_weights,
            self._places,
            self.marks,
            self._evidence,
            self._features,
            candidates,
            features,
            linear,
        )

    def _weigh(self, state: UserState, history: NDArray[np.int32], now_ms: int) -> int:
        rows = self.statistics.rows
        lags: int = weigh_history(
            history,
            _fresh(state.values),
            _fresh(state.ts_ms),
            int(now_ms),
            state.mean_value or NEUTRAL_VALUE,
            self.statistics.clock,
            rows.sums,
            rows.landmarks,
            self.statistics.popularity.counts,
            self._factors,
            self._worths,
            self._back_off,
            self._totals,
        )
        return lags

    def _fill_pool(
        self,
        state: UserState,
        history: NDArray[np.int32],
        lags: int,
        forced: NDArray[np.int32],
        unseen: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        rows, view, catalogue = self.statistics.rows, self.view, self.catalogue
        size = fill_pool(
            history,
            lags,
            rows.ids,
            rows.values,
            rows.lengths,
            self._factors,
            self._back_off,
            self._totals,
            view.shares,
            view.covisit_norms,
            catalogue.available,
            forced,
            unseen,
            view.newest,
            view.recent,
            view.by_history[history_bucket(state.count)],
            view.ever,
            catalogue.tokens,
            view.token_offsets,
            view.token_carriers,
            len(catalogue),
            CANDIDATES,
            self.marks,
            self._scores,
            self._pool,
        )
        return self._pool[:size]


def _fresh(array: _Array) -> _Array:
    """Return a copy: for a read-only array, as decoded from bytes, numba would compile a kernel a second time."""
    return array.copy()


def _year_of(now_ms: int) -> float:
    """Return the time as a year with a fraction, exact to a day."""
    return _EPOCH_YEAR + now_ms / _YEAR_MS
