"""`python -m millrace.model.training.encoder_report PATH`: grades the encoder alone on a recorded stream."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from millrace.kernel.contracts import CatalogueItem
from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import cut_windows
from millrace.model.network.config import NetworkConfig
from millrace.model.network.recommender import Recommender
from millrace.model.recorded_stream import load_stream
from millrace.model.training.encoder_grade import EncoderGrade, grade_encoder
from millrace.model.training.encoder_trainer import EncoderTrainer
from millrace.model.training.first import train_first
from millrace.model.training.plan import TrainingPlan, plan_training
from millrace.model.training.progress import silent
from millrace.model.training.refresh import refresh_windows

# Features and context of the ranker, which is not looked at here.
_UNUSED = 1


def last_events_last(events: EventTable) -> tuple[EventTable, int]:
    """Return the events with each user's last one moved to the end, and the row of the first of those."""
    order = np.lexsort((np.arange(len(events)), events.ts_ms, events.users))
    users = events.users[order]
    last = np.zeros(len(events), bool)
    last[order[np.r_[users[1:] != users[:-1], True]]] = True
    rows = np.concatenate([np.flatnonzero(~last), np.flatnonzero(last)])
    moved = EventTable(**{column.name: getattr(events, column.name)[rows] for column in fields(events)})
    return moved, int((~last).sum())


class EncoderRun:
    """Trains and refreshes an encoder along a log.

    Args:
        items: Catalogue by index.
        events: The log.
        length: L.
        seed: Of everything random.
    """

    def __init__(self, items: dict[int, CatalogueItem], events: EventTable, length: int, seed: int) -> None:
        genres = genre_vocabulary(items.values())
        config = NetworkConfig(items=max(items), genres=genres, features=_UNUSED, context=_UNUSED, length=length)
        self.recommender = Recommender(config, content_matrix(items, genres, config.rows), seed)
        self._events, self._seed = events, seed
        self._trainer: EncoderTrainer | None = None
        self._plan: TrainingPlan | None = None

    def first(self, count: int) -> str:
        """Learn the oldest `count` events; returns what came of it."""
        events = self._events.head(count)
        self._plan = plan_training(events, self.recommender.config.length)
        windows = cut_windows(events, self.recommender.config.length, self._plan.window_targets)
        self._trainer = EncoderTrainer(self.recommender, windows, self._seed)
        rate = self._plan.first.learning_rate
        done = train_first(self.recommender, self._trainer, events, windows, rate, self._seed, silent)
        return f"{len(windows)} windows, {done.epochs} epochs"

    def refresh(self, known: int, count: int) -> str:
        """Learn the events from row `known` to row `count`."""
        if self._trainer is None or self._plan is None:
            raise ValueError("A refresh needs a first training.")
        windows = cut_windows(self._events.head(count), self.recommender.config.length, self._plan.window_targets)
        self._trainer.cover(windows, known)
        part = refresh_windows(windows, known, 1.0, self._seed)
        self._trainer.run(part, self._plan.refresh, self._seed + known, silent)
        return f"{len(part)} windows"

    def grade(self, first: int, count: int) -> EncoderGrade:
        """Grade the events from row `first` to row `count`."""
        return grade_encoder(self.recommender, self._events.head(count), first)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, grade, refresh, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--start", type=float, default=0.2, help="share of the stream for the first training")
    parser.add_argument("--stop", type=float, default=0.3, help="share of the stream after which nothing is read")
    parser.add_argument("--growth", type=float, default=0.1, help="refresh when the log has grown by this share")
    parser.add_argument("--length", type=int, default=50, help="history entries that the encoder reads")
    parser.add_argument("--leave-one-out", action="store_true", help="grade each user's last event instead")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    stream = load_stream(given.path, given.seed)
    items, events = stream.items(), stream.table()
    ends = [round(given.start * len(events)), round(given.stop * len(events))]
    if given.leave_one_out:
        events, first = last_events_last(events)
        ends = [first, len(events)]
    run = EncoderRun(items, events, given.length, given.seed)
    Console().print(_report(run, ends[0], ends[1], len(events) if given.leave_one_out else given.growth))


def _report(run: EncoderRun, first: int, stop: int, growth: float) -> Table:
    """Return a row for each training: what it did, and how the events up to the next one are ranked after it."""
    table = Table("events", "learned", "s", "graded", "HR@10", "NDCG@10", "log-loss", "new", "HR@10 of new")
    graded: list[EncoderGrade] = []
    known, before = first, 0
    while known < stop:
        began = time.perf_counter()
        learned = run.refresh(before, known) if before else run.first(known)
        seconds = time.perf_counter() - began
        ahead = min(int(known * (1.0 + growth)) + 1, stop)
        graded.append(run.grade(known, ahead))
        table.add_row(str(known), learned, f"{seconds:.1f}", *_cells(graded[-1]))
        before, known = known, ahead
    table.add_row("all", "", "", *_cells(_together(graded)))
    return table


def _together(grades: Sequence[EncoderGrade]) -> EncoderGrade:
    """Return the mean of grades, weighted by their events."""
    events, new = sum(grade.events for grade in grades), sum(grade.new_events for grade in grades)

    def mean(name: str, weight: str, total: int) -> float:
        parts = [getattr(grade, name) * getattr(grade, weight) for grade in grades if getattr(grade, weight)]
        return sum(parts) / total if total else float("nan")

    return EncoderGrade(
        events=events,
        hit_rate=mean("hit_rate", "events", events),
        ndcg=mean("ndcg", "events", events),
        gain=mean("gain", "events", events),
        log_loss=mean("log_loss", "events", events),
        new_events=new,
        new_hit_rate=mean("new_hit_rate", "new_events", new),
        new_log_loss=mean("new_log_loss", "new_events", new),
    )


def _cells(grade: EncoderGrade) -> tuple[str, ...]:
    return (
        str(grade.events),
        f"{grade.hit_rate:.4f}",
        f"{grade.ndcg:.4f}",
        f"{grade.log_loss:.3f}",
        f"{grade.new_events / max(grade.events, 1):.1%}",
        f"{grade.new_hit_rate:.4f}",
    )


if __name__ == "__main__":
    main()
