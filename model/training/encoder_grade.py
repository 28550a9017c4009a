"""How well the encoder alone, with frozen weights, ranks the whole catalogue for the next event."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import ops
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import Windows, cut_windows
from millrace.model.network.recommender import Recommender

_PLACES = 10
_BATCH_LOGITS = 4_000_000
_TOUCHED = -np.inf


@dataclass(frozen=True, slots=True)
class EncoderGrade:
    """What the encoder alone is worth on some events.

    Args:
        events: Graded events: those on an item that the user had not touched.
        hit_rate: Share whose item is among the 10 best untouched ones of the catalogue; all shares of nothing are NaN.
        ndcg: Mean of 1 / log2(place + 2) over them, 0 beyond place 10 (places count from 0).
        gain: Mean of 1 / log2(place + 2) over all places: the same without the cut, so with less noise.
        log_loss: Mean negative log-probability of the item among untouched ones, nats.
        new_events: Those of them on items that were never trained.
        new_hit_rate: Hit rate on them.
        new_log_loss: Log-loss on them.
    """

    events: int
    hit_rate: float
    ndcg: float
    gain: float
    log_loss: float
    new_events: int
    new_hit_rate: float
    new_log_loss: float


def grade_encoder(
    recommender: Recommender, events: EventTable, first: int, request_time: bool = True, most: int | None = None
) -> EncoderGrade:
    """Grade the events from row `first` on; histories advance with every event, weights do not.

    Args:
        recommender: Baked network.
        events: The log; nothing behind it is read.
        first: First graded row.
        request_time: Whether the encoder knows the time of the request, or thinks it is that of the event before.
        most: About how many events are graded, spread evenly over the users' sequences; None for all.
    """
    windows = cut_windows(events, recommender.config.length, max(recommender.config.length // 2, 1))
    windows = _spread(windows.take(np.flatnonzero(windows.newest >= first)), first, most)
    touched = _TouchedItems(events)
    trained = np.asarray(recommender.tower.trained) > 0
    ranks, losses, new = [], [], []
    per_batch = max(_BATCH_LOGITS // (recommender.config.rows * windows.target.shape[1]), 1)
    for begin in range(0, len(windows), per_batch):
        part = windows.take(np.arange(begin, min(begin + per_batch, len(windows))))
        logits = _logits(recommender, part, request_time)
        for window, slot in zip(*np.nonzero(part.target_row >= first), strict=True):
            row, item = int(part.target_row[window, slot]), int(part.target[window, slot])
            before = touched.before(row)
            if item not in before:
                own = logits[window, slot]
                own[before] = _TOUCHED
                ranks.append(int((own > own[item]).sum()))
                losses.append(_log_sum(own) - float(own[item]))
                new.append(not trained[item])
    return _summary(np.array(ranks), np.array(losses), np.array(new, bool))


def _spread(windows: Windows, first: int, most: int | None) -> Windows:
    graded = int((windows.target_row >= first).sum())
    if most is None or graded <= most:
        return windows
    return windows.take(np.linspace(0, len(windows) - 1, max(len(windows) * most // graded, 1)).astype(np.int64))


class _TouchedItems:
    """Tells what a user had touched before an event."""

    def __init__(self, events: EventTable) -> None:
        order = np.lexsort((np.arange(len(events)), events.ts_ms, events.users))
        self._items = events.items[order]
        self._place = np.empty(len(events), np.int64)
        self._place[order] = np.arange(len(events))
        users = events.users[order]
        self._start = np.searchsorted(users, events.users)

    def before(self, row: int) -> NDArray[np.int32]:
        items: NDArray[np.int32] = self._items[self._start[row] : self._place[row]]
        return items


def _logits(recommender: Recommender, windows: Windows, request_time: bool) -> NDArray[np.float32]:
    """Return [W, S, rows]; padding is out of reach."""
    length = windows.target.shape[1]
    hidden = recommender.states(
        windows.history, windows.value, windows.age, windows.ahead if request_time else windows.ahead * 0.0, length
    )
    flat = recommender.logits(ops.reshape(hidden, (-1, recommender.config.width)))
    return np.array(flat).reshape(len(windows), length, -1)


def _log_sum(logits: NDArray[np.float32]) -> float:
    top = logits.max()
    return float(top + np.log(np.exp(logits - top).sum()))


def _summary(ranks: NDArray[np.int64], losses: NDArray[np.float64], new: NDArray[np.bool_]) -> EncoderGrade:
    hits = ranks < _PLACES
    gains = 1.0 / np.log2(ranks + 2.0)
    return EncoderGrade(
        events=len(ranks),
        hit_rate=_mean(hits),
        ndcg=_mean(np.where(hits, gains, 0.0)),
        gain=_mean(gains),
        log_loss=_mean(losses),
        new_events=int(new.sum()),
        new_hit_rate=_mean(hits[new]),
        new_log_loss=_mean(losses[new]),
    )


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
