"""Up to where each role's part is recomputed: where the role is, or the end of the log where it has not begun."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from millrace.kernel.errors import TransientError

NOT_BEGUN = -1


@dataclass(frozen=True, slots=True)
class Target:
    """Where a role's part of Redis has to be.

    Args:
        marks: The role's watermarks when this was decided.
        begins: Partitions whose watermark is put there in the end: nobody has handled them, or somebody has handled
            more of them than is logged. All others keep theirs, so that what a role has yet to answer stays with it.
    """

    marks: Mapping[int, int]
    begins: Mapping[int, int] = field(default_factory=dict)

    @property
    def until(self) -> dict[int, int]:
        """Last offset of each partition to be applied."""
        return {**self.marks, **self.begins}

    def of(self, partition: int, state: int) -> int:
        """Return the offset that a partition is recomputed to when its watermark is at `state`.

        Raises:
            TransientError: Somebody has begun it who was not there before.
        """
        if partition not in self.begins:
            return state
        if state != self.marks.get(partition, NOT_BEGUN):
            raise TransientError(
                f"Partition {partition} was taken up while Redis was being rebuilt from the log's end; rebuild again."
            )
        return self.begins[partition]


def target_of(marks: Mapping[int, int], ends: Mapping[int, int], running: bool) -> Target:
    """Decide for one role.

    Args:
        marks: Its watermarks.
        ends: Where the log of each streamed partition ends.
        running: Whether processes of the role are alive: then its watermarks are theirs alone.
    """
    if running:
        return Target(marks)
    begins = {
        partition: ends.get(partition, NOT_BEGUN)
        for partition in marks.keys() | ends.keys()
        if not NOT_BEGUN < marks.get(partition, NOT_BEGUN) <= ends.get(partition, NOT_BEGUN)
    }
    return Target(marks, begins)
