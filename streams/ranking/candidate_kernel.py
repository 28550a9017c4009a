"""All steps from one user's history to the candidates in one call: a call from Python costs as much as a step."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import LinearWeights, User
from millrace.streams.ranking.candidate_batch import CandidateBatch, parts_of
from millrace.streams.ranking.context_kernel import write_context
from millrace.streams.ranking.evidence_kernel import gather_evidence
from millrace.streams.ranking.feature_kernel import compute_features
from millrace.streams.ranking.fusion_kernel import weights_in_context
from millrace.streams.ranking.history_kernel import weigh_history
from millrace.streams.ranking.linear_kernel import linear_cut
from millrace.streams.ranking.marks_kernel import block, forget
from millrace.streams.ranking.pool_kernel import fill_pool
from millrace.streams.ranking.request_kernel import fill_request
from millrace.streams.ranking.shared import Shared
from millrace.streams.ranking.taste_kernel import compare_taste, write_taste
from millrace.streams.ranking.unseen_kernel import search_unseen

_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000


@compiled
def find_candidates(
    items: NDArray[np.int32],
    values: NDArray[np.float32],
    ts_ms: NDArray[np.int64],
    touched: NDArray[np.int32],
    proposals: NDArray[np.int32],
    events: int,
    bucket: int,
    mean_value: float,
    now_ms: int,
    clock: int,
    weights: NDArray[np.float32],
    by_context: NDArray[np.float32],
    shared: Shared,
    memory: NDArray[np.float32],
    users: int,
    excluded: int,
    row: int,
) -> bool:
    """Write the candidates of one user with their features, best by the linear fusion first, and the user's tensors.

    The arrays are separate arguments: a call takes several times as long to unpack a tuple of them.

    Nothing is written for a user whose history names an item there is no room for: the kernels do not check indexes.

    Args:
        items: [H] int32 items of the history, newest first.
        values: [H] float32 ratings of the history.
        ts_ms: [H] int64 event times of the history.
        touched: [<= N] int32 every item the user has acted on.
        proposals: [P] int32 items proposed by the network: candidates unless touched or not available.
        events: Number of the user's events.
        bucket: Class of that number, see `history_bucket`.
        mean_value: The user's mean rating.
        now_ms: Time of the request.
        clock: Events that the statistics have learned.
        weights: [F] float32 weights of the cut.
        by_context: [U, F] float32 additions to them per unit of each context entry.
        shared: Everything that does not depend on the user; its arrays by item all have the same length N.
        memory: float32 out, as of `allocate`.
        users: B, users in the batch.
        excluded: E, excluded items of each user.
        row: Row of this user in the batch.

    Returns:
        Whether there is room for all items of the history.
    """
    room = len(shared.items.counts)
    for item in items:
        # An index below 0 is a large one without its sign.
        if np.uint32(item) >= room:
            return False
    user = User(items, values, ts_ms, touched, proposals, now_ms, clock, events, bucket, mean_value)
    _find(user, LinearWeights(weights, by_context), shared, row, parts_of(memory, users, excluded))
    return True


@compiled
def _find(user: User, linear: LinearWeights, shared: Shared, row: int, found: CandidateBatch) -> None:
    rows, items, titles, scratch = shared.rows, shared.items, shared.titles, shared.scratch
    lists, marks, context, candidates = shared.lists, scratch.marks, found.context[row], found.candidates[row]
    _write_user(user, lists.unavailable, row, found)
    write_taste(user.items, items.counts, context)
    weights = weights_in_context(linear.weights, linear.by_context, context)
    block(user.touched, marks)
    taste = compare_taste(user.items, _EPOCH_YEAR + user.now_ms / _YEAR_MS, items.lines, shared.everyone)
    new = search_unseen(weights, taste, shared.unseen, marks)
    weighed = weigh_history(user, rows, items.counts)
    pool = fill_pool(user, rows, weighed, items, new, lists, titles, len(candidates), scratch)
    evidence = gather_evidence(pool, user.items, rows, weighed, items.shares, scratch.places)
    features = compute_features(pool, user, evidence, weighed, items, titles, taste, scratch.token_weights)
    best = (candidates, found.features[row], found.linear[row])
    linear_cut(pool, features, weights, user.proposals, lists.newest, new, marks, *best)
    forget(pool, marks)
    forget(user.touched, marks)


@compiled
def _write_user(user: User, unavailable: NDArray[np.int32], row: int, found: CandidateBatch) -> None:
    """Write the context, except for what `write_taste` adds, and the tensors of the history."""
    found.context[row], found.history[row], found.exclude[row] = 0.0, 0, 0
    found.history_value[row], found.history_age_s[row] = 0.0, 0.0
    known = (user.events, user.bucket, user.mean_value)
    write_context(*known, user.values, user.ts_ms, user.now_ms, found.context[row])
    tensors = (found.history[row], found.history_value[row], found.history_age_s[row], found.exclude[row])
    fill_request(user.items, user.values, user.ts_ms, user.touched, unavailable, user.now_ms, *tensors)
