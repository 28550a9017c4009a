"""Some features of one request recomputed in plain Python from the arrays of statistics and catalogue."""

import math

from small_world import World

from streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE, fading
from streams.users import UserState


def neighbour(world: World, row: int, item: int, number: int) -> float:
    rows = world.statistics.rows
    for slot in range(rows.lengths[row]):
        if rows.ids[row, slot] == item:
            return float(rows.values[row, slot, number])
    return 0.0


def transition(
    world: World, state: UserState, item: int, number: int, decay: float, lags: int, session_ms: int | None = None
) -> float:
    """log(sum_d w_d (A + 10 p) / (row sum + 10) / sum_d w_d)."""
    share = float(world.step.view.shares[item])
    total = weights = 0.0
    for lag, row in enumerate(state.items[: min(lags, 50)].tolist()):
        weight = decay**lag
        if session_ms is not None:
            weight /= math.sqrt(1 + (session_ms - int(state.ts_ms[lag])) / 1000 / 600)
        worth = fading(world.statistics.rows.landmarks[row], world.statistics.clock) if number == TIMED else 1.0
        together = neighbour(world, row, item, number) * worth
        row_sum = float(world.statistics.rows.sums[row, number]) * worth
        total += weight * (together + 10 * share) / (row_sum + 10)
        weights += weight
    return math.log(total / weights)


def covisited(world: World, state: UserState, item: int, kind: str) -> float:
    mean = state.mean_value
    counts = world.statistics.popularity.counts
    total = weights = 0.0
    for lag, row in enumerate(state.items[:50].tolist()):
        weight = 0.98**lag
        if kind == "liked":
            weight *= max(0.0, float(state.values[lag]) - mean)
        if kind == "disliked":
            weight *= max(0.0, mean - float(state.values[lag]))
        total += weight * neighbour(world, row, item, COVISITED) / math.sqrt(counts[row] + 5)
        weights += 0.98**lag
    return math.log(1e-3 + total / weights / math.sqrt(counts[item] + 5))


def popular(world: World, item: int, place: int, decay: float) -> float:
    clock = world.statistics.clock
    count = float(world.statistics.popularity.decayed_at(clock)[item, place])
    total = sum(math.exp(-age / decay) for age in range(clock))
    return math.log((count + 1 / (len(world.catalogue) + 1)) / (total + 1))


def title_words(world: World, state: UserState, item: int) -> float:
    carried = {}
    for lag, row in enumerate(state.items[:20].tolist()):
        for token in world.catalogue.tokens[row].tolist():
            if token:
                carried[token] = max(carried.get(token, 0.0), 0.9**lag)
    size = len(world.catalogue)
    return sum(
        carried[token] * max(0.0, math.log(size / (5 * world.catalogue.token_items[token])))
        for token in world.catalogue.tokens[item].tolist()
        if token in carried
    )


def expected(world: World, state: UserState, item: int, now_ms: int) -> dict[str, float]:
    popularity = world.statistics.popularity
    count, clock = int(popularity.counts[item]), world.statistics.clock
    return {
        "transition_short": transition(world, state, item, SHORT, 0.8, 20),
        "transition_session": transition(world, state, item, SHORT, 0.85, 50, now_ms),
        "transition_long": transition(world, state, item, SHORT, 0.95, 50),
        "transition_wide": transition(world, state, item, WIDE, 0.93, 50),
        "transition_timed": transition(world, state, item, TIMED, 0.93, 50),
        "popular_300": popular(world, item, 0, 300.0),
        "popular_3000": popular(world, item, 1, 3_000.0),
        "popular_ever": math.log1p(count),
        "covisited": covisited(world, state, item, "all"),
        "covisited_liked": covisited(world, state, item, "liked"),
        "covisited_disliked": covisited(world, state, item, "disliked"),
        "title_words": title_words(world, state, item),
        "never_seen": float(count == 0),
        "mean_rating": (popularity.value_sums[item] - count * world.statistics.mean_value) / (count + 5),
        "idle_events": math.log1p(clock - int(popularity.last_clock[item])),
    }
