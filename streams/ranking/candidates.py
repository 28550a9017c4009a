"""The candidate step: from user states to a few hundred candidates each, with features, cut by the linear fusion."""

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.errors import FatalError
from millrace.kernel.user_state import UserState
from millrace.streams.catalogue import Catalogue
from millrace.streams.compiled import plain
from millrace.streams.ranking.arrays import Everyone, ItemArrays, ItemLists, LinkRows, Scratch, TitleWords
from millrace.streams.ranking.candidate_batch import CandidateBatch, allocate
from millrace.streams.ranking.candidate_kernel import find_candidates
from millrace.streams.ranking.context_kernel import NEUTRAL_VALUE
from millrace.streams.ranking.fusion import FusionWeights
from millrace.streams.ranking.history_kernel import EVIDENCE_LAGS
from millrace.streams.ranking.popularity_view import PopularityView
from millrace.streams.ranking.requests import exclude_width
from millrace.streams.ranking.shared import Shared, share
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.growing import MOST_ITEMS
from millrace.streams.statistics.popularity import history_bucket

_Items = NDArray[np.int32]
_NO_ARRAYS = (None,) * 4
_UserArguments = tuple[_Items, NDArray[np.float32], NDArray[np.int64], _Items, _Items, int, int, float]


class CandidateStep:
    """Finds and describes candidates; holds scratch memory, so one object serves one thread.

    Args:
        statistics: Online statistics; its rows for `needed_pages` must be loaded.
        catalogue: Items; only known and available ones become candidates.

    Attributes:
        view: Numbers derived from popularity, as of the last `build`.
        marks: [N] uint8 scratch, all zero between calls.
    """

    def __init__(self, statistics: ItemStatistics, catalogue: Catalogue) -> None:
        self.statistics = statistics
        self.catalogue = catalogue
        self.view = PopularityView()
        self.marks: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._places: NDArray[np.int16] = np.zeros(0, np.int16)
        self._scores: NDArray[np.float32] = np.zeros(0, np.float32)
        self._token_weights: NDArray[np.float32] = np.zeros(0, np.float32)
        self._shared: Shared | None = None
        self._shared_at = -1
        self._seen_arrays: tuple[NDArray[Any] | None, ...] = _NO_ARRAYS

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle; what is derived from it is left out."""
        return {**self.__dict__, "_shared": None, "_seen_arrays": _NO_ARRAYS}

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

        Raises:
            FatalError: A history names something that cannot be an item.
        """
        self.prepare()
        shared, clock, unavailable = self._share(), self.statistics.clock, self.view.unavailable
        users, excluded = len(states), exclude_width(states, unavailable)
        memory, batch = allocate(users, excluded)
        cut = (weights.weights, weights.context_weights, shared, memory, users, excluded)
        for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
            if not find_candidates(*_arguments_of(state), int(time_ms), clock, *cut, row):
                self._make_room_for(state)
                return self.build(states, now_ms, weights)
        return batch

    def prepare(self) -> None:
        """Make room for all known indexes, and renew the view if it is too far behind."""
        if not all(map(is_, self._current_arrays(), self._seen_arrays)):
            self._make_room()
        self.view.refresh(self.statistics, self.catalogue)

    def _current_arrays(self) -> tuple[NDArray[Any], ...]:
        """Return one array of each owner: an owner that grows replaces all of its arrays at once."""
        rows, popularity, catalogue = self.statistics.rows, self.statistics.popularity, self.catalogue
        return rows.ids, popularity.counts, catalogue.known, catalogue.token_items

    def _make_room_for(self, state: UserState) -> None:
        """Make room for a history that names items which catalogue and statistics do not know.

        Raises:
            FatalError: It names something that cannot be an item.
        """
        lowest, highest = int(state.items.min()), int(state.items.max())
        if lowest < 0 or highest >= MOST_ITEMS:
            raise FatalError(
                f"The history of user {state.user_id!r} names item {lowest if lowest < 0 else highest}, which cannot "
                "be one; run `millrace rebuild`, then start the role again."
            )
        self.catalogue.ensure(highest + 1)

    def _make_room(self) -> None:
        size = max(len(self.catalogue.known), len(self.statistics.rows), len(self.statistics.popularity))
        self.catalogue.ensure(size)
        self.statistics.ensure(size)
        size = len(self.catalogue.known)
        self.marks = np.zeros(size, np.uint8)
        self._places = np.zeros(size, np.int16)
        self._scores = np.zeros(size, np.float32)
        self._token_weights = np.zeros(len(self.catalogue.token_items), np.float32)
        self._seen_arrays, self._shared = self._current_arrays(), None

    def link_rows(self) -> LinkRows:
        """Return the rows of the statistics."""
        rows = self.statistics.rows
        return LinkRows(rows.ids, rows.values, rows.lengths, rows.sums, rows.landmarks)

    def item_arrays(self) -> ItemArrays:
        """Return the numbers of all items."""
        view, popularity = self.view, self.statistics.popularity
        counts = (popularity.counts, popularity.by_history, self.statistics.bucket_totals)
        catalogue = (self.catalogue.available, len(self.catalogue))
        return ItemArrays(view.items, view.shares, view.covisit_norms, *counts, *catalogue)

    def _share(self) -> Shared:
        """Return the arrays that all users share; put together again only after one was replaced."""
        if self._shared is None or self._shared_at != self.view.renewals:
            self._shared, self._shared_at = self._put_together(), self.view.renewals
        return self._shared

    def _put_together(self) -> Shared:
        view, content = self.view, self.view.content
        shares = (content.class_shares, content.era_shares, content.set_shares)
        return share(
            self.link_rows(),
            self.item_arrays(),
            Everyone(view.genre_shares, view.year_shares, *shares, content.set_genres, content.set_norms),
            content.unseen,
            ItemLists(view.newest, view.recent, view.ever, view.by_history, view.unavailable),
            TitleWords(self.catalogue.tokens, view.token_idf, *view.token_postings, view.relatives, view.related),
            Scratch(self.marks, self._places, self._scores, self._token_weights),
        )


def _arguments_of(state: UserState) -> _UserArguments:
    """Return the arguments of `find_candidates` that describe a user."""
    arrays = (plain(state.items), plain(state.values), plain(state.ts_ms), plain(state.touched), plain(state.proposals))
    return (*arrays, state.count, history_bucket(state.count), state.mean_value or NEUTRAL_VALUE)
