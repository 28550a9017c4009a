"""Putting users into Redis."""

from collections.abc import Mapping, Sequence

from millrace.kernel.user_state import UserState
from millrace.stores.redis.replacing import UserReplacement
from millrace.streams.rebuild.fence import Fence
from millrace.streams.replay import UserReplay

# About 1 MB, some milliseconds for the server.
_USERS_PER_WRITE = 200


async def put_users(fence: Fence, replay: UserReplay, replacement: UserReplacement, user_ids: Sequence[str]) -> None:
    """Write users as of the workers' watermarks; those that the replay does not know are deleted.

    A user written stays right whatever comes: from there the workers go on from what was written.

    Raises:
        MillraceError: As `Fence.write`.
    """
    left = list(user_ids)

    async def write(owner: str, marks: Mapping[int, int]) -> bool:
        while left:
            part = [replay.users.get(user_id) or UserState(user_id) for user_id in left[-_USERS_PER_WRITE:]]
            if not await replacement.replace(part, owner, marks):
                return False
            del left[-_USERS_PER_WRITE:]
        return True

    await fence.write(write)
