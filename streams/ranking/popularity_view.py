"""Numbers of all items derived from popularity and catalogue, renewed every hundred events or so."""

import math

import numpy as np
from numpy.typing import NDArray

from millrace.streams.catalogue import MAX_GENRES, Catalogue
from millrace.streams.ranking.cache_lines import cache_lines
from millrace.streams.ranking.content_view import CLASS_OF_COUNT, ContentView
from millrace.streams.ranking.item_kernel import (
    ITEM_COLUMNS,
    ITEM_COVISIT_NORM,
    ITEM_ERA,
    ITEM_SET,
    ITEM_YEAR,
    decay_counts,
    fill_items,
    share_out,
)
from millrace.streams.ranking.profile_kernel import YEARS, smooth_years
from millrace.streams.ranking.selection_kernel import top_items
from millrace.streams.ranking.title_kernel import RELATIVES, post_tokens
from millrace.streams.ranking.view_kernel import share_genres, used_places, weigh_by_history
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import BUCKET_DECAY_EVENTS, DECAY_EVENTS, HISTORY_BUCKETS

# Most events, and largest share of the stream so far, that a view may be behind. Between the 10th and the 30th
# percent of ml-latest-small, lists of the linear fusion were no better at 64 events (HR@10 .1517) than at 128 (.1519).
_REFRESH_EVENTS, _REFRESH_SHARE = 128, 0.02
# Lists and shares of classes change more slowly: they may lag this many times as far.
_SLOW = 2
# Length of the popular lists: a user has rarely touched more of the most popular items.
_LISTED = 512
# Candidates and exploration make room for items with fewer events than this.
NEW_ITEM_EVENTS = 5
# Share of the catalogue, latest arrivals first, that counts as added lately.
_LATE_SHARE = 0.05
_NEWEST = 256
# A title word that every fifth item carries weighs nothing.
_TOKEN_PRIOR = 5.0
# Least divisor of shares: the sum may be 0.
_LEAST_SHARE = 1e-9
_DECAYS = np.array(DECAY_EVENTS)


class PopularityView:
    """Recent shares, popular lists and everyone's profile.

    Attributes:
        shares: [N] float32 recent share of each item, with a floor.
        recent: [<= 512] int32, most of the last ~300 events first.
        ever: [N - 1] int32, all items by all-time count, so that there is always one more to recommend.
        by_history: [HISTORY_BUCKETS, <= 512] int32 lists of the same kind, one per history-length bucket.
        newest: Known, available items with fewer than NEW_ITEM_EVENTS events, latest arrival first.
        added_lately: [N] bool, among the last twentieth to be added to the catalogue.
        unavailable: Known items that are not available.
        genre_shares: [MAX_GENRES] float64.
        year_shares: [YEARS] float64.
        items: [N, ITEM_COLUMNS] float32, numbers of each item, one cache line each.
        covisit_norms: [N] float32, their column of that name, side by side.
        renewals: Number of renewals.
        content: Classes of items and their rates of first events.
        token_idf: [T] float32, weight of a shared title word: the rarer, the larger.
        token_postings: [T + 1] int32, int32: the items of each title word, see `post_tokens`.
        relatives: [N, RELATIVES] int32, filled by the list step, see `TitleWords`.
        related: [N] int8, filled by the list step, see `TitleWords`.
    """

    def __init__(self) -> None:
        self.shares: NDArray[np.float32] = np.zeros(0, np.float32)
        self._decayed: NDArray[np.float32] = np.zeros((0, len(DECAY_EVENTS)), np.float32)
        self.recent: NDArray[np.int32] = np.empty(0, np.int32)
        self.ever: NDArray[np.int32] = np.empty(0, np.int32)
        self.by_history: NDArray[np.int32] = np.empty((HISTORY_BUCKETS, 0), np.int32)
        self.newest: NDArray[np.int32] = np.empty(0, np.int32)
        self.added_lately: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.unavailable: NDArray[np.int32] = np.empty(0, np.int32)
        self.genre_shares: NDArray[np.float64] = np.zeros(MAX_GENRES)
        self.year_shares: NDArray[np.float64] = np.zeros(YEARS)
        self.items: NDArray[np.float32] = np.zeros((0, ITEM_COLUMNS), np.float32)
        self.covisit_norms: NDArray[np.float32] = np.zeros(0, np.float32)
        self.token_idf: NDArray[np.float32] = np.zeros(0, np.float32)
        self.token_postings = (np.zeros(1, np.int32), np.zeros(0, np.int32))
        self.relatives: NDArray[np.int32] = np.zeros((0, RELATIVES), np.int32)
        self.related: NDArray[np.int8] = np.zeros(0, np.int8)
        self.renewals = 0
        self.content = ContentView()
        self._latest: NDArray[np.int32] = np.empty(0, np.int32)
        self._placed_at = (-1, -1)
        self._made_at = (-1, -1, -1)
        self._lists_made_at = (-1, -1, -1)

    def refresh(self, statistics: ItemStatistics, catalogue: Catalogue) -> None:
        """Renew the view if enough has happened; both must have room for the same indexes."""
        clock, catalogue_sequence, size = self._made_at
        behind = abs(statistics.clock - clock)
        now = (statistics.clock, catalogue.sequence, len(catalogue.known))
        if now[1:] == (catalogue_sequence, size) and behind <= min(_REFRESH_EVENTS, int(clock * _REFRESH_SHARE)):
            return
        self._made_at = now
        self.renewals += 1
        if now[1:] != (catalogue_sequence, size):
            self._renew_catalogue(catalogue)
        # Arrays grow by doubling: half of one can be empty.
        used = used_places(statistics.popularity.counts, catalogue.known)
        self._renew_shares(statistics, catalogue, used)
        self.content.renew(statistics, catalogue, self.shares[:used])
        self._renew_items(statistics, catalogue, used)
        clock, *catalogue_then = self._lists_made_at
        behind = abs(statistics.clock - clock)
        if catalogue_then == list(now[1:]) and behind <= _SLOW * min(_REFRESH_EVENTS, int(clock * _REFRESH_SHARE)):
            return
        self._lists_made_at = now
        self._renew_lists(statistics, used)
        self._renew_newest(statistics, catalogue)
        self._renew_profiles()

    def _renew_shares(self, statistics: ItemStatistics, catalogue: Catalogue, used: int) -> None:
        popularity = statistics.popularity
        decayed, last_clock = popularity.decayed[:used], popularity.last_clock[:used]
        self._decayed = decay_counts(statistics.clock, decayed, last_clock, _DECAYS)
        self.shares = np.zeros(len(popularity), np.float32)
        self.shares[:used] = share_out(self._decayed, 1.0 / (len(catalogue) + 1.0))

    def _renew_lists(self, statistics: ItemStatistics, used: int) -> None:
        wanted, shares = min(_LISTED, used - 1), self.shares[:used]
        self.recent = top_items(self._decayed[:, 0] + shares, wanted)
        self.ever = statistics.popularity_order()
        by_history, totals = statistics.popularity.by_history[:used], statistics.bucket_totals
        among = weigh_by_history(by_history, totals, self.items[:used], shares)
        self.by_history = np.stack([top_items(weights, wanted) for weights in among])

    def _renew_newest(self, statistics: ItemStatistics, catalogue: Catalogue) -> None:
        few = statistics.popularity.counts[self._latest] < NEW_ITEM_EVENTS
        self.newest = self._latest[few & catalogue.available[self._latest]][:_NEWEST]

    def _renew_profiles(self) -> None:
        content, years = self.content, np.zeros((YEARS, 2))
        share_genres(content.set_shares, content.set_genres, self.genre_shares)
        years[:, 0] = content.year_shares[:YEARS] / max(float(content.year_shares[:YEARS].sum()), _LEAST_SHARE)
        smooth_years(years)
        self.year_shares = years[:, 0].copy()

    def _renew_items(self, statistics: ItemStatistics, catalogue: Catalogue, used: int) -> None:
        popularity, content = statistics.popularity, self.content
        if self._placed_at != content.catalogue_sequence:
            self._placed_at = content.catalogue_sequence
            self.items = cache_lines(len(popularity), ITEM_COLUMNS)
            self.items[:, ITEM_SET] = content.genre_sets
            self.items[:, ITEM_ERA] = content.eras
            self.items[:, ITEM_YEAR] = content.year_places
        fill_items(
            statistics.clock,
            statistics.mean_value,
            popularity.counts[:used],
            self._decayed,
            popularity.value_sums[:used],
            popularity.last_clock[:used],
            popularity.first_clock[:used],
            statistics.decayed_totals,
            BUCKET_DECAY_EVENTS,
            len(catalogue),
            CLASS_OF_COUNT,
            self.shares[:used],
            content.first_rates,
            self.items[:used],
        )
        self.covisit_norms = self.items[:, ITEM_COVISIT_NORM].copy()

    def _renew_catalogue(self, catalogue: Catalogue) -> None:
        self._latest = np.array(catalogue.arrivals[::-1], np.int32)
        self.added_lately = np.zeros(len(catalogue.known), np.bool_)
        self.added_lately[self._latest[: math.ceil(_LATE_SHARE * len(self._latest))]] = True
        self.unavailable = np.flatnonzero(catalogue.known & ~catalogue.available).astype(np.int32)
        carriers = np.maximum(_TOKEN_PRIOR * catalogue.token_items, 1.0)
        self.token_idf = np.maximum(np.log(max(len(catalogue), 1) / carriers), 0.0).astype(np.float32)
        self.token_postings = post_tokens(catalogue.tokens, catalogue.token_items)
        self.relatives = np.empty((len(catalogue.tokens), RELATIVES), np.int32)
        self.related = np.zeros(len(catalogue.tokens), np.int8)
