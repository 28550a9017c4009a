"""Puts users into Redis as they are, past claims and watermarks: a beginning for tests."""

from collections.abc import Iterable

from millrace.kernel.keys import Keys
from millrace.kernel.user_state import UserState
from millrace.stores.redis import codec
from millrace.stores.redis.connect import Client


def user_fields(state: UserState) -> dict[bytes, bytes]:
    """Return the whole hash of a user; the touched items have a key of their own."""
    fields = dict(zip(codec.EVENT_FIELDS, codec.encode_events(state), strict=True))
    if state.served is not None:
        fields[b"served"] = codec.encode_served(state.served)
    if len(state.proposals):
        fields[b"proposals"] = codec.encode_proposals(state.proposals)
    return fields


async def put_users(redis: Client, keys: Keys, states: Iterable[UserState]) -> None:
    """Write whole users, touched items included, in place of what is there."""
    pipeline = redis.pipeline(transaction=False)
    for state in states:
        user, touched = keys.user(state.user_id), keys.touched(state.user_id)
        pipeline.execute_command("UNLINK", user, touched)
        pipeline.execute_command("HSET", user, *(part for field in user_fields(state).items() for part in field))
        if len(state.touched):
            pipeline.execute_command("SET", touched, codec.encode_touched(state.touched))
    await pipeline.execute()
