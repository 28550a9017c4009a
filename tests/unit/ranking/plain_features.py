"""All features of one request recomputed in plain Python from the arrays of statistics and catalogue."""

import math
from collections.abc import Callable

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


def decayed(values: list[float], decay: float) -> float:
    """sum_d decay^d x_d, newest first."""
    return sum(decay**lag * value for lag, value in enumerate(values))


def genre_profile(world: World, state: UserState, item: int, decay: float) -> float:
    """Sum over the item's genres of log((own + .2 p) / ((total + .2) p)), divided by the root of their number."""
    shares = world.step.view.shares
    genres = [set(row[row > 0].tolist()) for row in world.catalogue.genres]
    history = [genres[row] for row in state.items.tolist()]
    total = decayed([float(bool(one)) for one in history], decay)
    ratios = []
    for genre in genres[item]:
        own = decayed([float(genre in one) for one in history], decay)
        carriers = [row for row in range(len(shares)) if genre in genres[row]]
        share = float(shares[carriers].sum()) / float(shares.sum()) + 1e-3
        absent = 0.2 / (total + 0.2)
        ratios.append(math.log((own + 0.2 * share) / ((total + 0.2) * share) if own else absent))
    return sum(ratios) / math.sqrt(max(len(ratios), 1))


def year_profile(world: World, state: UserState, item: int, decay: float) -> float:
    """log((own + .2 p) / ((total + .2) p)); a year speaks for others by exp(-distance / 3), 0 where unknown."""
    years, shares = world.catalogue.years.tolist(), world.step.view.shares.tolist()
    if not years[item]:
        return 0.0
    scale = (1 - math.exp(-1 / 3)) / (1 + math.exp(-1 / 3))

    def near(other: int) -> float:
        return scale * math.exp(-abs(years[other] - years[item]) / 3) if years[other] else 0.0

    history = state.items.tolist()
    own = decayed([near(row) for row in history], decay)
    total = decayed([float(years[row] > 0) for row in history], decay)
    dated = [row for row in range(len(shares)) if years[row]]
    share = sum(shares[row] * near(row) for row in dated) / sum(shares[row] for row in dated) + 1e-3
    return math.log((own + 0.2 * share) / ((total + 0.2) * share))


def popular_history(world: World, state: UserState, item: int) -> float:
    """log((n + 10 p) / (N + 10)) of the faded events of users with a history of this length."""
    bounds = (0, 2, 5, 10, 25, 60, 120, 250)
    bucket = sum(state.count > bound for bound in bounds)
    popularity, clock = world.statistics.popularity, world.statistics.clock
    faded = float(popularity.by_history[item, bucket]) * math.exp((int(popularity.last_clock[item]) - clock) / 30_000)
    share, total = float(world.step.view.shares[item]), float(world.statistics.bucket_totals[bucket])
    return math.log((faded + 10 * share) / (total + 10))


def year_at(ts_ms: int) -> float:
    return 1970 + ts_ms / (365.2425 * 86_400_000)


def release_age(world: World, item: int, now_ms: int) -> float:
    year = int(world.catalogue.years[item])
    return math.log(1 + (max(year_at(now_ms) - year, 0.0) if year else 15.0))


def first_rate(world: World, item: int) -> float:
    """Sum of the log rates of first events of the item's place, age and genres, each relative to all items'."""
    popularity, clock, size = world.statistics.popularity, world.statistics.clock, len(world.catalogue)
    items = range(1, size + 1)
    unseen = {row for row in items if popularity.counts[row] == 0}
    now_year, years = year_at(world.statistics.last_ts_ms), world.catalogue.years.tolist()
    genres = [set(row[row > 0].tolist()) for row in world.catalogue.genres]

    def met(row: int, decay_events: float) -> float:
        age_events = clock - int(popularity.first_clock[row])
        return 0.0 if row in unseen else math.exp(-age_events / decay_events)

    def era(row: int) -> int:
        return min(row * 256 // (size + 1), 255) // 4

    def age(row: int) -> int:
        bounds = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)
        return sum(now_year - years[row] >= bound for bound in bounds) if years[row] else -1

    def log_rate(like: Callable[[int], bool], decay_events: float, prior: float) -> float:
        average = (sum(met(row, decay_events) for row in items) + 1) / (len(unseen) + 10)
        mine = [row for row in items if like(row)]
        events = sum(met(row, decay_events) for row in mine)
        return math.log((events + prior * average) / (len(unseen.intersection(mine)) + prior) / average)

    by_genre = [log_rate(lambda row, one=genre: one in genres[row], 3_000, 20) for genre in genres[item]]
    return (
        log_rate(lambda row: era(row) == era(item), 1_000, 3)
        + log_rate(lambda row: age(row) == age(item), 3_000, 10)
        + sum(by_genre) / max(len(by_genre), 1)
    )


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
        "popular_30000": popular(world, item, 2, 30_000.0),
        "popular_history": popular_history(world, state, item),
        "genre_last": genre_profile(world, state, item, 0.5),
        "genre_recent": genre_profile(world, state, item, 0.8),
        "genre_long": genre_profile(world, state, item, 0.97),
        "year_recent": year_profile(world, state, item, 0.8),
        "year_long": year_profile(world, state, item, 0.97),
        "release_age": release_age(world, item, now_ms),
        "unreleased": float(int(world.catalogue.years[item]) > year_at(now_ms) + 1),
        "first_rate": first_rate(world, item) if count == 0 else 0.0,
        "unseen_genre": genre_profile(world, state, item, 0.97) if count == 0 else 0.0,
        "unseen_year": year_profile(world, state, item, 0.8) if count == 0 else 0.0,
    }
