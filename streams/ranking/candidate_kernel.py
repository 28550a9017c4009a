"""All steps from one user's history to the candidates, in one call: each call costs as much as a short step."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.arrays import Found, LinearWeights, User
from streams.ranking.context_kernel import write_context
from streams.ranking.evidence_kernel import gather_evidence
from streams.ranking.feature_kernel import compute_features
from streams.ranking.fusion_kernel import weights_in_context
from streams.ranking.history_kernel import weigh_history
from streams.ranking.linear_kernel import linear_cut
from streams.ranking.marks_kernel import block, forget
from streams.ranking.pool_kernel import fill_pool
from streams.ranking.request_kernel import fill_request
from streams.ranking.shared import Shared
from streams.ranking.taste_kernel import TASTES, compare_taste, taste_of
from streams.ranking.unseen_kernel import search_unseen

_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000


@compiled
def find_candidates(user: User, linear: LinearWeights, shared: Shared, row: int, found: Found) -> None:
    """Write the candidates of one user with their features, best by the linear fusion first, and the user's tensors.

    All arrays that have a place for each item have as many. Proposals of the user are candidates unless touched or not
    available.

    Args:
        user: For whom.
        linear: Weights of the cut.
        shared: What is known of everything else.
        row: Of the user in `found`.
        found: Out.
    """
    rows, items, titles, scratch = shared.rows, shared.items, shared.titles, shared.scratch
    lists, marks, context, candidates = shared.lists, scratch.marks, found.context[row], found.candidates[row]
    _write_user(user, lists.unavailable, row, found)
    taste_of(user.items, items.counts, context[-TASTES:])
    weights = weights_in_context(linear.weights, linear.by_context, context)
    block(user.touched, marks)
    taste = compare_taste(user.items, _EPOCH_YEAR + user.now_ms / _YEAR_MS, items.lines, shared.everyone)
    new = search_unseen(weights[linear.searched], taste, shared.unseen, marks)
    weighed = weigh_history(user, rows, items.counts)
    pool = fill_pool(user, rows, weighed, items, new, lists, titles, len(candidates), scratch)
    evidence = gather_evidence(pool, user.items, rows, weighed, items.shares, scratch.places)
    features = compute_features(
        pool, user, evidence, weighed, items, titles, taste, scratch.token_weights, len(weights)
    )
    best = (candidates, found.features[row], found.linear[row])
    linear_cut(pool, features, weights, user.proposals, lists.newest, new, marks, *best)
    forget(pool, marks)
    forget(user.touched, marks)


@compiled
def _write_user(user: User, unavailable: NDArray[np.int32], row: int, found: Found) -> None:
    """Write what needs no item: the context, its last TASTES entries aside, and the tensors of the history."""
    known = (user.events, user.bucket, user.mean_value)
    write_context(*known, user.values, user.ts_ms, user.now_ms, found.context[row])
    tensors = (found.history[row], found.history_value[row], found.history_age_s[row], found.exclude[row])
    fill_request(user.items, user.values, user.ts_ms, user.touched, unavailable, user.now_ms, *tensors)
