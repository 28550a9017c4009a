"""Some features of one request recomputed in plain Python from the arrays of statistics and catalogue."""

import math

from small_world import World

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE, fading


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
    for lag, row in enumerate(state.items[: min(lags, 40)].tolist()):
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
    for lag, row in enumerate(state.items[:40].tolist()):
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
    popularity = world.statistics.popularity
    count = float(popularity.decayed[item, place]) * math.exp(-(clock - int(popularity.last_clock[item])) / decay)
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


def links(world: World, state: UserState, item: int, number: int) -> list[float]:
    """The transitions to the item from each of the last 40 items, TIMED ones at their present worth."""
    rows, clock = world.statistics.rows, world.statistics.clock
    return [
        neighbour(world, row, item, number) * (fading(rows.landmarks[row], clock) if number == TIMED else 1.0)
        for row in state.items[:40].tolist()
    ]


def lift(world: World, state: UserState, item: int, number: int, decay: float, session_ms: int | None = None) -> float:
    """sum_d w_d log(1 + A / (10 p)) over 20 lags."""
    total = 0.0
    for lag, together in enumerate(links(world, state, item, number)[:20]):
        gap_s = 0.0 if session_ms is None else (session_ms - int(state.ts_ms[lag])) / 1000
        weight = decay**lag / math.sqrt(1 + gap_s / 600)
        total += weight * math.log(1 + together / (10 * float(world.step.view.shares[item])))
    return total


def strongest_link(world: World, state: UserState, item: int) -> float:
    rows, clock = world.statistics.rows, world.statistics.clock
    best = 0.0
    for lag, together in enumerate(links(world, state, item, TIMED)):
        row = int(state.items[lag])
        total = float(rows.sums[row, TIMED]) * fading(rows.landmarks[row], clock)
        best = max(best, 0.93**lag * together / (total + 10))
    return math.log(best + float(world.step.view.shares[item]))


def class_of(count: int) -> int:
    """0, 1, 2, 3-4, 5-8, 9-16, ..."""
    return 0 if count == 0 else 1 + math.ceil(math.log2(count)) if count > 1 else 1


def obscurity(world: World, state: UserState, item: int, decay: float) -> float:
    counts = world.statistics.popularity.counts
    totals = world.statistics.class_totals
    mine = class_of(int(counts[item]))

    def near(other: int) -> float:
        if 0 in (mine, other):
            return float(mine == other)
        return 0.4 ** abs(mine - other)

    weights = [decay**lag for lag in range(len(state.items))]
    others = [class_of(int(counts[row]) - 1) for row in state.items.tolist()]
    own = sum(weight * near(other) for weight, other in zip(weights, others, strict=True))
    share = 1e-3 + sum(near(other) * total for other, total in enumerate(totals.tolist())) / totals.sum()
    return math.log((own + 0.5 * share) / ((sum(weights) + 0.5) * share))


def genre_set(world: World, state: UserState, item: int) -> float:
    genres, shares = world.catalogue.genres, world.step.view.shares
    size = len(shares)
    same = [row for row in range(size) if set(genres[row].tolist()) == set(genres[item].tolist())]
    own = sum(0.9**lag for lag, row in enumerate(state.items[:50].tolist()) if row in same)
    total = sum(0.9**lag for lag in range(len(state.items[:50])))
    share = float(shares[same].sum() / shares.sum()) + 1e-3
    return math.log((own + 0.5 * share) / ((total + 0.5) * share))


def catalogue_era(world: World, state: UserState, item: int) -> float:
    size, shares = len(world.catalogue), world.step.view.shares
    window = {-2: 0.1, -1: 0.2, 0: 0.4, 1: 0.2, 2: 0.1}

    def near(other: int) -> float:
        era, mine = (min(index * 256 // (size + 1), 255) for index in (other, item))
        return window.get(era - mine, 0.0)

    own = sum(0.8**lag * near(row) for lag, row in enumerate(state.items[:30].tolist()))
    total = sum(0.8**lag for lag in range(len(state.items[:30])))
    share = sum(float(shares[other]) * near(other) for other in range(len(shares))) / float(shares.sum()) + 1e-3
    return math.log((own + 0.1 * share) / ((total + 0.1) * share))


def expected(world: World, state: UserState, item: int, now_ms: int) -> dict[str, float]:
    popularity = world.statistics.popularity
    count, clock = int(popularity.counts[item]), world.statistics.clock
    return {
        "transition_short": transition(world, state, item, SHORT, 0.8, 20),
        "transition_session": transition(world, state, item, SHORT, 0.85, 40, now_ms),
        "transition_long": transition(world, state, item, SHORT, 0.95, 40),
        "transition_wide": transition(world, state, item, WIDE, 0.93, 40),
        "transition_timed": transition(world, state, item, TIMED, 0.93, 40),
        "popular_300": popular(world, item, 0, 300.0),
        "popular_3000": popular(world, item, 1, 3_000.0),
        "popular_ever": math.log1p(count),
        "covisited": covisited(world, state, item, "all"),
        "covisited_liked": covisited(world, state, item, "liked"),
        "covisited_disliked": covisited(world, state, item, "disliked"),
        "title_words": title_words(world, state, item),
        "never_seen": float(count == 0),
        "mean_rating": (popularity.value_sums[item] - count * world.statistics.mean_value) / (count + 5),
        "lift_session": lift(world, state, item, SHORT, 0.85, now_ms),
        "lift_timed": lift(world, state, item, TIMED, 0.9),
        "strongest_link": strongest_link(world, state, item),
        "obscurity_recent": obscurity(world, state, item, 0.8),
        "obscurity_long": obscurity(world, state, item, 0.97),
        "genre_set": genre_set(world, state, item),
        "stream_age": math.log1p(clock - int(popularity.first_clock[item])) if count else 0.0,
        "catalogue_era": catalogue_era(world, state, item),
        "unseen_era": catalogue_era(world, state, item) if count == 0 else 0.0,
        "idle_events": math.log1p(clock - int(popularity.last_clock[item])),
    }
