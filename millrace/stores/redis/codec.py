"""User state to the fields of its Redis hash and back: pure, and exact in both directions.

The history and the served list are JSON, so that a person can read them with redis-cli; what nobody reads (hashes of
event ids, touched items) is packed little-endian.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from millrace.kernel.user_state import ServedList, UserState

# The fields a commit writes, in the order of `encode_events`.
EVENT_FIELDS = (b"count", b"value_sum", b"last_ts_ms", b"history", b"event_hashes")
# The fields `load` reads, in the order `decode_user` wants them.
LOADED_FIELDS = (b"count", b"value_sum", b"history", b"event_hashes", b"served", b"proposals")

_TOUCHED = np.dtype("<i4")
_HASHES = np.dtype("<u8")


def encode_events(state: UserState) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return what events change about a user, as the values of EVENT_FIELDS."""
    last_ts_ms = state.last_ts_ms
    return (
        b"%d" % state.count,
        repr(state.value_sum).encode(),
        b"" if last_ts_ms is None else b"%d" % last_ts_ms,
        encode_history(state),
        state.event_hashes.astype(_HASHES, copy=False).tobytes(),
    )


def encode_history(state: UserState) -> bytes:
    """Return `[[item index, value, ts_ms], ...]`, newest first, as JSON."""
    return orjson.dumps(list(zip(state.items.tolist(), state.values.tolist(), state.ts_ms.tolist(), strict=True)))


def encode_touched(items: Sequence[int] | NDArray[np.int32]) -> bytes:
    """Return item indexes as little-endian int32, to be written or appended."""
    return np.asarray(items, _TOUCHED).tobytes()


def encode_served(served: ServedList) -> bytes:
    """Return a served list as JSON."""
    return orjson.dumps(
        {
            "items": served.items,
            "version": served.version,
            "arm": served.arm,
            "recommendation_id": served.recommendation_id,
            "explored": served.explored,
        }
    )


def encode_proposals(proposals: NDArray[np.int32]) -> bytes:
    """Return proposed item indexes as JSON; padding (0) is left out."""
    return orjson.dumps(proposals[proposals > 0].tolist())


def decode_user(user_id: str, fields: Sequence[bytes | None], touched: bytes | None) -> UserState:
    """Return the state of a user.

    Args:
        user_id: Who.
        fields: The values of LOADED_FIELDS; None where the hash has no such field.
        touched: The touched items' bytes, or None.

    Raises:
        ValueError: The bytes are not a state of this format.
    """
    count, value_sum, history, event_hashes, served, proposals = fields
    parts: dict[str, Any] = {}
    if history is not None and history != b"[]":
        parts["items"], parts["values"], parts["ts_ms"] = decode_history(history)
    if event_hashes:
        parts["event_hashes"] = np.frombuffer(event_hashes, _HASHES)
    if touched:
        parts["touched"] = decode_touched(touched)
    if served is not None:
        parts["served"] = decode_served(served)
    if proposals is not None:
        parts["proposals"] = np.array(orjson.loads(proposals), np.int32)
    for name in ("items", "touched"):
        # Kernels read and write at these indexes without a check.
        if name in parts and parts[name].min() < 0:
            raise ValueError(f"the {name} of user {user_id!r} name {parts[name].min()}, which is no item")
    return UserState(user_id, int(count or 0), float(value_sum or 0.0), **parts)


def decode_history(data: bytes) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """Return the items, values and times of a history that is not empty."""
    items, values, ts_ms = zip(*orjson.loads(data), strict=True)
    return np.array(items, np.int32), np.array(values, np.float32), np.array(ts_ms, np.int64)


def decode_touched(data: bytes) -> NDArray[np.int32]:
    """Return touched item indexes; the array is read-only."""
    return np.frombuffer(data, _TOUCHED)


def decode_served(data: bytes) -> ServedList:
    """Return a served list."""
    fields = orjson.loads(data)
    return ServedList(
        tuple(fields["items"]),
        fields["version"],
        fields["arm"],
        fields["recommendation_id"],
        # A list that was stored before there was such a field has none.
        fields.get("explored", 0),
    )
