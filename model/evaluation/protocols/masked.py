"""Masked baskets: a part of what each user has is hidden, and has to be found among given candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.progress import share_bars
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.baselines.by_name import BASELINES, BaselineSetup
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.protocols.item_sequences import read_sequences
from millrace.model.evaluation.protocols.sequence_systems import BaselineOnSequences, SequenceLearner, ServedOnStream
from millrace.model.evaluation.protocols.tables import FigureTable, TablesReport
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.sampled import NegativeSampler
from millrace.model.evaluation.served_system import ServedOptions
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.systems import served_options
from millrace.model.learning.moments import Moment
from millrace.model.recorded_stream import RecordedStream, load_stream
from millrace.streams.catalogue import Catalogue

NAME = "masked"
# Of a small basket nothing can be hidden; of a large one not everything fits into a list.
_LEAST_BASKET = 5
_MOST_HIDDEN = 20
_TAUGHT_NEGATIVES = 90
_TOLD_EVERY = 2_000
_METRICS = ("recall_at_10", "precision_at_10", "hit_rate_at_10", "ndcg_at_10")


@dataclass(frozen=True, slots=True)
class Basket:
    """What is asked of one user.

    Args:
        user_id: Who.
        hidden: Items hidden.
        given: Items to choose from; their order says nothing.
    """

    user_id: str
    hidden: NDArray[np.int32]
    given: NDArray[np.int32]


class ServedOnBaskets(ServedOnStream):
    """The served system, its ranker taught by questions of the kind that is asked.

    What is hidden may be from any time, not what comes next. So a moment's target is any later item of the user, among
    drawn items that the user does not have as far as is visible.

    Args:
        catalogue: Items.
        visible: The events that are not hidden.
        options: How the system is run.
        sampler: Draws the other items.
    """

    # The ranker learns and answers among given items alone.
    company = 0

    def __init__(
        self, catalogue: Catalogue, visible: Sequence[ResolvedEvent], options: ServedOptions, sampler: NegativeSampler
    ) -> None:
        super().__init__(catalogue, len(visible), options)
        self._sampler = sampler
        self._rng = np.random.default_rng((sampler.seed, 2))
        self._items: dict[str, list[int]] = {}
        self._moments_taken = 0
        for event in visible:
            self._items.setdefault(event.user_id, []).append(event.item)

    def take_moment(self, before: UserState, event: ResolvedEvent) -> None:
        """Let the ranker learn which of some items the user will have."""
        items = self._items[event.user_id]
        later = np.setdiff1d(items[before.count :], before.touched)
        target = int(self._rng.choice(later))
        everything = replace(before, touched=np.unique(items).astype(np.int32))
        others = self._sampler.draw(everything, target, self._moments_taken)
        self._moments_taken += 1
        given = np.sort(np.append(others, np.int32(target)))
        self.learner.add_moment(Moment(self.given_request(before, event.ts_ms, given), target))


def hidden_rows(events: list[ResolvedEvent], share: float, seed: int) -> dict[str, list[int]]:
    """Return the rows hidden of each user: a share of the basket drawn by the seed, repeats of an item with it.

    Args:
        events: The stream.
        share: Of the different items of a user; at least one, at most a list's worth twice.
        seed: Of the draw.
    """
    rows_of: dict[str, dict[int, list[int]]] = {}
    for row, event in enumerate(events):
        rows_of.setdefault(event.user_id, {}).setdefault(event.item, []).append(row)
    rng = np.random.default_rng(seed)
    hidden: dict[str, list[int]] = {}
    for user_id, by_item in rows_of.items():
        if len(by_item) >= _LEAST_BASKET:
            count = int(np.clip(round(share * len(by_item)), 1, _MOST_HIDDEN))
            drawn = rng.choice(np.array(list(by_item)), count, replace=False).tolist()
            hidden[user_id] = [row for item in drawn for row in by_item[item]]
    return hidden


def drawn_baskets(
    events: list[ResolvedEvent], hidden: dict[str, list[int]], available: NDArray[np.bool_], negatives: int, seed: int
) -> list[Basket]:
    """Return the baskets with candidates drawn from what the users never touched, each item equally likely."""
    touched: dict[str, set[int]] = {}
    for event in events:
        touched.setdefault(event.user_id, set()).add(event.item)
    rng = np.random.default_rng((seed, 1))
    baskets = []
    for user_id, rows in hidden.items():
        allowed = available.copy()
        allowed[[0, *touched[user_id]]] = False
        others = np.flatnonzero(allowed)
        drawn = rng.choice(others, min(negatives, len(others)), replace=False)
        items = np.unique([events[row].item for row in rows]).astype(np.int32)
        baskets.append(Basket(user_id, items, np.sort(np.concatenate([items, drawn])).astype(np.int32)))
    return baskets


def given_baskets(
    path: Path, stream: RecordedStream, events: list[ResolvedEvent], hidden: dict[str, list[int]]
) -> list[Basket]:
    """Return the baskets of the users that the file gives candidates for.

    Raises:
        ConfigurationError: The file cannot be used, or names no user and item of the stream.
    """
    indexes = {stream.catalogue.item_id(index): index for index in stream.catalogue.arrivals}
    given = read_sequences(path)
    baskets = []
    for user_id, items in zip(given.user_ids, given.items, strict=True):
        known = {indexes[name] for item in items.tolist() if (name := given.item_ids[item - 1]) in indexes}
        if user_id in hidden and known:
            wanted = np.unique([events[row].item for row in hidden[user_id]]).astype(np.int32)
            baskets.append(Basket(user_id, wanted, np.array(sorted(known), np.int32)))
    if not baskets:
        raise ConfigurationError(f"The candidates {path} name no user with hidden items and no item of the stream.")
    return baskets


def run(options: EvaluateOptions, console: Console) -> TablesReport:
    """Hide, learn the rest, and grade what is proposed.

    Args:
        options: `hide`, and `candidates` or `negatives`.
        console: Shows progress.

    Raises:
        ConfigurationError: No folder was given, or it or the candidates cannot be used.
    """
    if options.path is None:
        raise ConfigurationError("A MovieLens folder is missing: millrace evaluate masked PATH.")
    stream = load_stream(options.path, options.seed)
    events = list(stream.events)
    hidden = hidden_rows(events, options.hide, options.seed)
    if options.candidates is not None:
        baskets = given_baskets(options.candidates, stream, events, hidden)
    else:
        baskets = drawn_baskets(events, hidden, stream.catalogue.available, options.negatives, options.seed)
    away = {row for rows in hidden.values() for row in rows}
    visible = [event for row, event in enumerate(events) if row not in away]
    if not baskets or not visible:
        raise ConfigurationError(f"No user of {options.path} has {_LEAST_BASKET} items of which some could be hidden.")
    split = Split(warm_up=len(visible), graded=len(visible), stop=len(visible))
    sampler = NegativeSampler(stream.catalogue.available, min(options.negatives, _TAUGHT_NEGATIVES), options.seed)
    served = ServedOnBaskets(stream.catalogue, visible, served_options(split, options), sampler)
    setup = BaselineSetup(stream.catalogue.max_index + 1, options.seed)
    systems: list[SequenceLearner] = [served]
    systems += [
        BaselineOnSequences(name, BASELINES[name](setup), stream.catalogue, options.seed) for name in options.baselines
    ]
    with share_bars(console, transient=True) as bars:
        states = _learn(systems, visible, bars)
        figures = {system.name: _grade(system, baskets, states, options.seed, bars) for system in systems}
    served.finish()
    return _report(options, baskets, figures, served.name)


def _learn(systems: list[SequenceLearner], visible: list[ResolvedEvent], bars: Progress) -> dict[str, UserState]:
    task = bars.add_task("visible events", total=len(visible))
    states: dict[str, UserState] = {}
    for row, event in enumerate(visible):
        if row % _TOLD_EVERY == 0:
            bars.update(task, completed=row)
        before = states.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        for system in systems:
            system.learn(row, before, event, applied.first_touch)
        states[event.user_id] = applied.state
    for system in systems:
        system.trained()
    return states


def _grade(
    system: SequenceLearner, baskets: list[Basket], states: dict[str, UserState], seed: int, bars: Progress
) -> dict[str, Any]:
    task = bars.add_task(system.name, total=len(baskets))
    values = np.zeros((len(baskets), len(_METRICS)))
    for number, basket in enumerate(baskets):
        state = states.get(basket.user_id) or UserState(basket.user_id)
        listed = system.rank_given(state, state.last_ts_ms or 0, basket.given)[:LISTED]
        values[number] = basket_metrics(listed, basket.hidden)
        bars.advance(task)
    bounds = UserBootstrap(np.arange(len(baskets), dtype=np.int32), seed).intervals(
        list(values.T), np.ones(len(baskets))
    )
    figures: dict[str, Any] = dict(zip(_METRICS, values.mean(axis=0).tolist(), strict=True))
    return figures | {"intervals": dict(zip(_METRICS, map(tuple, bounds), strict=True))}


def basket_metrics(listed: NDArray[np.int32], hidden: NDArray[np.int32]) -> tuple[float, float, float, float]:
    """Return recall, precision, hit rate and NDCG at 10 of one list; all of `hidden` are equally relevant.

    NDCG: K. Jarvelin, J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002).

    Args:
        listed: At most 10 items, best first.
        hidden: At least one item.
    """
    found = np.isin(listed, hidden)
    gains = 1.0 / np.log2(np.arange(LISTED) + 2.0)
    best = gains[: min(len(hidden), LISTED)].sum()
    return (
        float(found.sum() / len(hidden)),
        float(found.sum() / LISTED),
        float(found.any()),
        float(gains[: len(listed)][found].sum() / best),
    )


def _report(
    options: EvaluateOptions, baskets: list[Basket], systems: dict[str, dict[str, Any]], own: str
) -> TablesReport:
    columns = ("", "recall@10", "95 %", "precision@10", "HR@10", "NDCG@10")
    rows = tuple(
        (
            name,
            f"{figures['recall_at_10']:.4f}",
            "{:.4f}-{:.4f}".format(*figures["intervals"]["recall_at_10"]),
            *(f"{figures[metric]:.4f}" for metric in _METRICS[1:]),
        )
        for name, figures in systems.items()
    )
    given = float(np.mean([len(basket.given) for basket in baskets]))
    hidden = float(np.mean([len(basket.hidden) for basket in baskets]))
    drawn = "as given by the file" if options.candidates else "the hidden items and others drawn at random"
    figures: dict[str, Any] = {
        **systems[own],
        "baskets": len(baskets),
        "hidden_per_basket": hidden,
        "candidates_per_basket": given,
        "baselines": {name: one for name, one in systems.items() if name != own},
        "seed": options.seed,
    }
    remark = (
        f"{hidden:.1f} items hidden of each basket on average, to be found among {given:.0f} candidates: {drawn}; not "
        "comparable with figures over the whole catalogue."
    )
    return TablesReport(NAME, figures, (FigureTable(f"{len(baskets):,} baskets", columns, rows),), (remark,))
