"""A small catalogue with a random past, for the ranking tests."""

from dataclasses import dataclass, replace

import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CandidateStep, FusionWeights
from millrace.streams.statistics import ItemStatistics

NOW_MS = 1_600_000_000_000
GENRES = ("Drama", "Comedy", "War", "Film-Noir", "Western")


@dataclass
class World:
    statistics: ItemStatistics
    catalogue: Catalogue
    step: CandidateStep
    users: dict[str, UserState]

    def event(self, user: str, item: int, value: float = 4.0, ts_ms: int = NOW_MS) -> UserState:
        before = self.users.get(user, UserState(user))
        event = ResolvedEvent(f"{user}-{before.count}", user, item, value, ts_ms)
        self.users[user] = apply_event(before, event).state
        self.statistics.update(before, item, value, ts_ms)
        return self.users[user]

    def candidates_of(self, state: UserState) -> list[int]:
        batch = self.step.build([state], [NOW_MS], FusionWeights.default())
        return [int(item) for item in batch.candidates[0] if item > 0]


def year_of(index: int) -> int | None:
    """Most are of the past; some are announced, some of an unknown year."""
    if index % 31 == 7:
        return 2035
    return None if index % 37 == 11 else 1950 + index % 70


def item(index: int, available: bool = True) -> CatalogueItem:
    random = np.random.default_rng(index)
    genres = tuple(random.choice(GENRES, size=2, replace=False).tolist())
    return CatalogueItem(
        item_id=f"i{index}",
        title=f"Story {index // 3} part {index % 3} ({1950 + index % 70})",
        genres=genres,
        year=year_of(index),
        available=available,
    )


def make_world(items: int, events: int, seed: int = 0, users: int = 12) -> World:
    statistics, catalogue = ItemStatistics(64), Catalogue()
    for index in range(1, items + 1):
        catalogue.upsert(index, item(index))
    world = World(statistics, catalogue, CandidateStep(statistics, catalogue), {})
    random = np.random.default_rng(seed)
    for number in range(events):
        chosen = int(items * random.random() ** 2.5) + 1
        user, value = f"u{random.integers(users)}", float(random.integers(1, 11)) / 2
        world.event(user, chosen, value, NOW_MS - (events - number) * 30_000)
    return world


def with_touched(state: UserState, items: np.ndarray) -> UserState:
    return replace(state, touched=np.unique(np.append(state.touched, items)).astype(np.int32))
