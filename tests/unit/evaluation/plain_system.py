"""Systems small enough to reason about, and streams to run them on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.baselines.baseline import Baseline, top_untouched
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.baselines.popularity import AllTimePopularity
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking, System, SystemNotes
from millrace.model.recorded_stream import RecordedStream
from millrace.producers.movielens import UserFacts
from millrace.streams.catalogue import Catalogue

GENRES = ("Comedy", "Drama", "War")
RANKED = 30


class PlainSystem:
    """A baseline as the evaluation asks for it; predicts the item's number of stars by a rule of its own."""

    def __init__(self, name: str, baseline: Baseline, catalogue: Catalogue, lists_from: int) -> None:
        self.name = name
        self.lists_from = lists_from
        self.notes = SystemNotes()
        self._baseline = baseline
        self._catalogue = catalogue
        self._lists = 0

    def prepare(self, row: int) -> None:
        pass

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        self._lists += 1
        ranked = top_untouched(self._baseline.scores(state, now_ms), state, self._catalogue.available, RANKED)
        return Ranking(tuple(ranked[:10]), np.array(ranked, np.int32)), state

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        if row >= self.lists_from:
            self.notes.ratings[row] = before.mean_value or 3.0
        self._baseline.learn(before, event.item, event.value, event.ts_ms)

    def finish(self) -> None:
        self.notes.counts["lists"] = float(self._lists)


def make_plain(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    """Return a plain system by name; what is called millrace is a Markov chain."""
    size = stream.catalogue.max_index + 1
    baseline = AllTimePopularity(size) if name == "popularity" else DecayedMarkov(size)
    return PlainSystem(name, baseline, stream.catalogue, split.graded)


def small_stream(events: int = 400, users: int = 12, items: int = 60, seed: int = 1) -> RecordedStream:
    """Return a stream in which users follow a path through the items, with chance and breaks."""
    rng = np.random.default_rng(seed)
    catalogue = Catalogue()
    for index in range(1, items + 1):
        genres = (GENRES[index % 3],) if index % 5 else (GENRES[index % 3], "Musical")
        catalogue.upsert(index, CatalogueItem(item_id=f"i{index}", title=f"Item {index}", genres=genres, year=1990))
    last = rng.integers(1, items + 1, users)
    touched: list[set[int]] = [set() for _ in range(users)]
    recorded: list[ResolvedEvent] = []
    now_ms = 1_000_000_000_000
    while len(recorded) < events:
        user = int(rng.integers(users))
        if len(touched[user]) == items:
            continue
        free = [item for item in range(1, items + 1) if item not in touched[user]]
        following = int(last[user]) % items + 1
        item = following if following in free and rng.random() < 0.6 else int(rng.choice(free))
        touched[user].add(item)
        last[user] = item
        now_ms += int(rng.choice([0, 20_000, 5_000_000]))
        value = float(rng.integers(1, 11)) / 2
        recorded.append(ResolvedEvent(f"e{len(recorded)}", f"u{user}", item, value, now_ms))
    facts = {f"u{user}": UserFacts("FM"[user % 2], 15 + 5 * (user % 10), "writer") for user in range(users)}
    return RecordedStream(recorded, catalogue, facts)


def write_movielens(folder: Path, stream: RecordedStream) -> None:
    """Write a stream as an ml-1m folder with users."""
    ids = range(1, len(stream.catalogue) + 1)
    movies = [f"{i}::{stream.catalogue.title(i)} (1990)::{'|'.join(stream.catalogue.item(i).genres)}" for i in ids]
    ratings = [f"{e.user_id[1:]}::{e.item}::{e.value:g}::{e.ts_ms // 1000}" for e in stream.events]
    users = [f"{u[1:]}::{f.gender}::{f.age}::20::0" for u, f in stream.users.items()]
    for name, lines in {"movies.dat": movies, "ratings.dat": ratings, "users.dat": users}.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")


def targets(events: Sequence[ResolvedEvent], rows: Sequence[int]) -> list[int]:
    return [events[row].item for row in rows]
