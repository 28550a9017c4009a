"""A user's tail: the part of the user state that learning needs, as the keeper holds and stores it."""

import struct
from dataclasses import replace

import numpy as np

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.row_kernels import LEARNED_LAGS

_HEADER = struct.Struct("<BHHxxxqd")  # format version, history length, remembered events, count, value sum
_VERSION = 1


def trim(state: UserState) -> UserState:
    """Cut a state to its tail: the newest LEARNED_LAGS history entries, event hashes, count and value sum.

    Learning from a tail and from the full state gives the same statistics.
    """
    return replace(
        state,
        items=state.items[:LEARNED_LAGS],
        values=state.values[:LEARNED_LAGS],
        ts_ms=state.ts_ms[:LEARNED_LAGS],
        touched=state.touched[:0],
        served=None,
        proposals=state.proposals[:0],
    )


def encode_tail(state: UserState) -> bytes:
    """Return a state's tail as bytes; `decode_tail` gives exactly `trim(state)` back."""
    tail = trim(state)
    header = _HEADER.pack(_VERSION, len(tail.items), len(tail.event_hashes), tail.count, tail.value_sum)
    arrays = (tail.ts_ms, tail.event_hashes, tail.items, tail.values)
    return header + b"".join(array.tobytes() for array in arrays)


def decode_tail(user_id: str, data: bytes | None) -> UserState:
    """Return the tail stored for a user; an empty state for None.

    Raises:
        ValueError: The bytes are not a tail of this format.
    """
    if data is None:
        return UserState(user_id)
    version, length, remembered, count, value_sum = _HEADER.unpack_from(data.ljust(_HEADER.size, b"\0"))
    if version != _VERSION or len(data) != _HEADER.size + 16 * length + 8 * remembered:
        raise ValueError(
            f"The tail of user {user_id!r} has format {version} and {len(data)} bytes: rebuild the statistics."
        )
    start = _HEADER.size
    times = np.frombuffer(data, np.int64, length, start)
    hashes = np.frombuffer(data, np.uint64, remembered, start + 8 * length)
    items = np.frombuffer(data, np.int32, length, start + 8 * (length + remembered))
    values = np.frombuffer(data, np.float32, length, start + 12 * length + 8 * remembered)
    if length and items.min() < 1:
        raise ValueError(f"The tail of user {user_id!r} names {items.min()}, which is no item: rebuild the statistics.")
    return UserState(user_id, count, value_sum, items=items, values=values, ts_ms=times, event_hashes=hashes)
