"""Test-then-train of predicted ratings: what the served head would have shown, against user + item bias."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.dataset.event_table import EventTable
from millrace.model.network.config import NetworkConfig
from millrace.model.network.rating_head import RatingHead
from millrace.model.rating.bias import BiasModel
from millrace.model.rating.error_metrics import RatingErrors, errors_of
from millrace.model.training.fit_rating_head import fit_rating_head
from millrace.streams.ranking.features import CONTEXT_NAMES, context_of
from millrace.streams.scoring.scorer import HISTORY_TENSOR_LENGTH

REFRESH_SHARE = 0.05
_PREDICTED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class RatingStream:
    """Predictions of the graded part of a stream.

    Args:
        given: [M] the ratings.
        predicted: [M] by the head.
        bias: [M] by `BiasModel`.
        mean: [M] by the mean so far.
        seconds: Of everything.
    """

    given: NDArray[np.float64]
    predicted: NDArray[np.float64]
    bias: NDArray[np.float64]
    mean: NDArray[np.float64]
    seconds: float

    def errors(self) -> dict[str, RatingErrors]:
        """Return name -> errors of the mean, the biases and the head."""
        by_name = {"mean": self.mean, "user + item bias": self.bias, "rating head": self.predicted}
        return {name: errors_of(self.given, predicted) for name, predicted in by_name.items()}


def rating_stream(
    events: EventTable,
    content: NDArray[np.float32],
    genres: tuple[str, ...],
    first: int,
    refresh_every: int | None = None,
    seed: int = 0,
) -> RatingStream:
    """Predict each rating from row `first` on just before it becomes known.

    The biases learn every rating; the head knows every rating as history, and learns the log at its refreshes.

    Args:
        events: In the order of the stream.
        content: [rows, columns] of the items, see `content_matrix`.
        genres: Genre names of the content's columns.
        first: Row of the first graded rating; the head is fitted to those before it.
        refresh_every: Ratings between two refreshes; None for 5 % of the stream.
        seed: Of the head's training.
    """
    began = time.perf_counter()
    every = refresh_every or max(round(len(events) * REFRESH_SHARE), 1)
    bias, mean = _baselines(events, first)
    config = NetworkConfig(items=len(content) - 1, genres=genres, features=1, context=len(CONTEXT_NAMES))
    head = RatingHead(config)
    predicted = np.empty(len(events) - first)
    requests = _RatingRequests(events)
    for start in range(first, len(events), every):
        end = min(start + every, len(events))
        fit_rating_head(head, content, events.head(start), seed=seed)
        predicted[start - first : end - first] = requests.predict(head, start, end)
    given = events.values[first:].astype(np.float64)
    return RatingStream(given, predicted, bias, mean, time.perf_counter() - began)


def _baselines(events: EventTable, first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    model = BiasModel()
    rows = zip(events.users.tolist(), events.items.tolist(), events.values.tolist(), strict=True)
    bias, mean = np.empty(len(events)), np.empty(len(events))
    for row, (user, item, value) in enumerate(rows):
        bias[row], mean[row] = model.predict(user, item), model.mean
        model.learn(user, item, value)
    return bias[first:], mean[first:]


class _RatingRequests:
    """Users' states along the stream, and the requests that a worker would make of them.

    Args:
        events: The stream.
    """

    def __init__(self, events: EventTable) -> None:
        self._events = events
        self._users: dict[int, UserState] = {}
        self._row = 0

    def predict(self, head: RatingHead, start: int, end: int) -> NDArray[np.float64]:
        """Return the head's predictions for the rows from `start` to `end`; rows have to be asked for in order."""
        while self._row < start:
            self._advance()
        out = []
        while self._row < end:
            batch = [self._request() for _ in range(min(_PREDICTED_AT_ONCE, end - self._row))]
            items, values, ages, context, wanted = map(np.stack, zip(*batch, strict=True))
            out.append(np.asarray(head(values, items, ages, context, wanted))[:, 0])
        predicted: NDArray[np.float64] = np.concatenate(out).astype(np.float64)
        return predicted

    def _request(self) -> tuple[NDArray[np.generic], ...]:
        """Return what a request carries just before the next event, and go past the event."""
        events, row = self._events, self._row
        state = self._users.get(int(events.users[row])) or UserState("")
        now_ms = int(events.ts_ms[row])
        size = min(len(state.items), HISTORY_TENSOR_LENGTH)
        items = np.zeros(HISTORY_TENSOR_LENGTH, np.int32)
        values, ages = np.zeros((2, HISTORY_TENSOR_LENGTH), np.float32)
        if size:
            items[-size:] = state.items[:size][::-1]
            values[-size:] = state.values[:size][::-1]
            ages[-size:] = (now_ms - state.ts_ms[:size][::-1]) / 1000.0
        self._advance()
        return items, values, ages, context_of(state, now_ms), events.items[row : row + 1]

    def _advance(self) -> None:
        events, row = self._events, self._row
        user = int(events.users[row])
        event = ResolvedEvent(
            str(row), str(user), int(events.items[row]), float(events.values[row]), int(events.ts_ms[row])
        )
        self._users[user] = apply_event(self._users.get(user) or UserState(str(user)), event).state
        self._row += 1
