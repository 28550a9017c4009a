"""The candidate step: from user states to a few hundred candidates each, with features, cut by the linear fusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from streams.catalogue import Catalogue
from streams.ranking.cache_lines import cache_lines
from streams.ranking.cut_kernel import pool_by_links
from streams.ranking.evidence_kernel import EVIDENCE, gather_evidence
from streams.ranking.feature_kernel import compute_features
from streams.ranking.features import CONTEXTS, FEATURES, NEUTRAL_VALUE, TASTES, context_of
from streams.ranking.fusion import FusionWeights
from streams.ranking.history_kernel import EVIDENCE_LAGS, LINK_KERNELS, TRANSITIONS, WORTHS, weigh_history
from streams.ranking.marks_kernel import block, forget
from streams.ranking.pool_kernel import linear_cut, pool_from_lists
from streams.ranking.popularity_view import PopularityView
from streams.ranking.relatives import TitleRelatives
from streams.ranking.requests import score_request
from streams.ranking.taste import Taste
from streams.ranking.taste_kernel import taste_of
from streams.scoring.protocol import CANDIDATES, ScoreRequest
from streams.statistics import ItemStatistics
from streams.statistics.popularity import history_bucket
from streams.users import UserState

# Where the pooled items come from, at most; what several sources name is pooled once.
# On ml-latest-small half as many again cost more time and changed the hit rate at 10 by less than .0005.
_POOL_EVIDENCE = 160
_POOL_RECENT = 32
_POOL_HISTORY_LENGTH = 48
_POOL_POPULAR = 16
_POOL_NEWEST = 8
_RELATIVES_OF_LAST = 5
# These stay candidates whatever the linear fusion thinks of them: it cannot know the network's reasons, nor new items.
_KEPT_NEWEST = 4
_KEPT_UNSEEN = 8
_POOL_SIZE = 1024
# Of each of the lists in `_fill_pool`.
_POOL_WANTED = (*(_POOL_SIZE,) * (3 + _RELATIVES_OF_LAST), _POOL_RECENT, _POOL_HISTORY_LENGTH, _POOL_POPULAR)
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
        self._relatives = TitleRelatives(catalogue)
        self.marks: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._places: NDArray[np.int32] = np.zeros(0, np.int32)
        self._scores: NDArray[np.float32] = np.zeros(0, np.float32)
        self._evidence = cache_lines(_POOL_SIZE, EVIDENCE)
        self._factors: NDArray[np.float32] = np.zeros((EVIDENCE_LAGS, LINK_KERNELS), np.float32)
        self._worths = np.zeros((EVIDENCE_LAGS, WORTHS))
        self._token_weights: NDArray[np.float32] = np.zeros(0, np.float32)
        self._back_off = np.zeros(TRANSITIONS)
        self._totals = np.zeros(LINK_KERNELS)
        self._pool: NDArray[np.int32] = np.zeros(_POOL_SIZE, np.int32)
        self._features: NDArray[np.float32] = np.zeros((_POOL_SIZE, FEATURES), np.float32)
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
        block(touched, self.marks)
        self._taste.compare(history, _year_of(now_ms), self.view)
        unseen = self._taste.unseen(weights, self.view, self.marks)
        lags = self._weigh(state, history, now_ms)
        size = self._fill_pool(state, history, lags, forced, unseen)
        self._describe(state, history, lags, size)
        kept = (forced, self.view.newest[:_KEPT_NEWEST], unseen[:_KEPT_UNSEEN])
        linear_cut(self._pool, size, self._features, weights, kept, self.marks, candidates, features, linear)
        forget(touched, self.marks)
        forget(self._pool[:size], self.marks)

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
    ) -> int:
        rows = self.statistics.rows
        size = pool_by_links(
            history,
            lags,
            rows.ids,
            rows.values,
            rows.lengths,
            self._factors,
            self._back_off,
            self._totals,
            self.view.shares,
            self.view.covisit_norms,
            self.catalogue.available,
            self.marks,
            self._scores,
            _POOL_EVIDENCE,
            self._pool,
        )
        view = self.view
        lists = (
            forced,
            unseen,
            view.newest[:_POOL_NEWEST],
            *self._relatives.of(state.items, _RELATIVES_OF_LAST),
            view.recent,
            view.by_history[history_bucket(state.count)],
            view.ever,
        )
        # Whoever has touched most of the popular items still gets a full pool: the last list goes on.
        return int(
            pool_from_lists(lists, _POOL_WANTED, CANDIDATES, self.catalogue.available, self.marks, self._pool, size)
        )

    def _describe(self, state: UserState, history: NDArray[np.int32], lags: int, size: int) -> None:
        statistics, catalogue, view = self.statistics, self.catalogue, self.view
        rows = statistics.rows
        gather_evidence(
            self._pool,
            size,
            history,
            lags,
            rows.ids,
            rows.values,
            rows.lengths,
            self._factors,
            self._worths,
            view.shares,
            self._places,
            self._evidence,
        )
        bucket, taste = history_bucket(state.count), self._taste
        compute_features(
            self._pool,
            size,
            history,
            bucket,
            self._evidence,
            self._back_off,
            self._totals,
            statistics.popularity.by_history,
            float(statistics.bucket_totals[bucket]),
            view.items,
            catalogue.tokens,
            view.token_idf,
            self._token_weights,
            taste.classes,
            taste.eras,
            taste.sets,
            taste.years,
            self._features,
        )


def _fresh(array: _Array) -> _Array:
    """Return a copy: for a read-only array, as decoded from bytes, numba would compile a kernel a second time."""
    return array.copy()


def _year_of(now_ms: int) -> float:
    """Return the time as a year with a fraction, exact to a day."""
    return _EPOCH_YEAR + now_ms / _YEAR_MS
