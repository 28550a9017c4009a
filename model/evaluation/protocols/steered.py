"""The served system under the hands of a protocol: it says when learning happens and which items are ranked."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.served_system import ServedSystem
from millrace.streams.ranking import CandidateBatch
from millrace.streams.scoring.scorer import CANDIDATES, RANKED, ScoreRequest

# The candidate step keeps a few new items whatever else it is given.
_MOST_GIVEN = CANDIDATES - 8
# Requests wait for their ratings in batches of this many.
_RATED_TOGETHER = 64


class SteeredSystem(ServedSystem):
    """Learns weights when it is told to; everything else is the served system.

    Attributes:
        company: Usual candidates that stay in the pool when given items are ranked.
        learns_weights: False keeps no moments for the ranker and no events for the encoder.
        learns_statistics: False leaves the statistics as they are; histories are the evaluation's and advance.
    """

    # Besides the items that are to be ranked, some of the usual candidates stay: the ranker compares within a pool.
    company = RANKED - LISTED
    learns_weights = True
    learns_statistics = True

    def prepare(self, row: int) -> None:
        """Do nothing: the protocol calls `refresh`."""

    def prepare_at_rhythm(self, row: int) -> None:
        """Refresh what is due, as in service."""
        super().prepare(row)

    def refresh(self) -> None:
        """Let the ranker learn its moments, then the encoder the events, and let the result serve."""
        self.learner.refresh_ranker()
        self.learner.refresh_encoder()
        self.serve()

    def serve(self) -> None:
        """Let the weights as they are now serve."""
        self._rate_targets()
        self._deploy()

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event, as far as learning is on; the rating of its item is predicted in any case."""
        if self.learns_weights and self.learns_statistics:
            super().learn(row, before, event, first_touch)
            return
        request = self._asked.pop(event.user_id, None)
        if request is not None and first_touch:
            self._unrated.append((row, request, event.item))
            if len(self._unrated) >= _RATED_TOGETHER:
                self._rate_targets()
        if self.learns_statistics:
            self._late.learn(before, event)

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the given items that are untouched and available, best first; at least the LISTED best of them.

        Of more items than one request holds, the best of each part compete again.

        Args:
            state: The user.
            now_ms: Time of the request.
            items: Distinct item indexes.
        """
        while len(items) > _MOST_GIVEN:
            parts = np.array_split(items, -(-len(items) // _MOST_GIVEN))
            items = np.concatenate([self._rank_part(state, now_ms, part) for part in parts])
        return self._rank_part(state, now_ms, items)

    def given_request(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> ScoreRequest:
        """Return the request for the given items, in the company of a few of the usual candidates.

        Args:
            state: The user.
            now_ms: Time of the request.
            items: Distinct, at most as many as one request holds.
        """
        asked = replace(state, proposals=items)
        batch = self._masked(self._step.build([asked], [now_ms], self._weights))
        batch = _with_company(batch, items, self.company)
        return batch.request()

    def _rank_part(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        ranked = self._scorer().score_now("network", self.given_request(state, now_ms, items)).items[0]
        return np.asarray(ranked[np.isin(ranked, items) & (ranked > 0)], np.int32)


def _with_company(batch: CandidateBatch, items: NDArray[np.int32], company: int) -> CandidateBatch:
    """Return the batch of one user cut to the given items and the best few of the others."""
    given = np.isin(batch.candidates[0], items)
    others = np.flatnonzero(~given & (batch.candidates[0] > 0))[:company]
    places = np.sort(np.concatenate([np.flatnonzero(given), others]))
    candidates, features = np.zeros_like(batch.candidates), np.zeros_like(batch.features)
    linear = np.full_like(batch.linear, -np.inf)
    candidates[0, : len(places)] = batch.candidates[0, places]
    features[0, : len(places)] = batch.features[0, places]
    linear[0, : len(places)] = batch.linear[0, places]
    return batch._replace(candidates=candidates, features=features, linear=linear)
