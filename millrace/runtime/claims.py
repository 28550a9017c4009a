"""Which records a role handles: those of claimed partitions, from the offset it resumes at, in order, each once.

Kafka assigns partitions; the state store decides who may write, because a claim fences older owners. Records of an
earlier assignment may still be in the process after a new one. `PartitionGate` drops them. It knows nothing of Faust or
Kafka.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claim:
    """One partition taken over.

    Args:
        owner: Token that the state store compares on every write.
        state: Last offset whose state change is applied, -1 for none.
        done: Last offset fully handled, -1 for none; the partition resumes at the next one.
    """

    owner: str
    state: int = -1
    done: int = -1


class Claimer(Protocol):
    """Takes partitions over in the state store."""

    async def claim(self, partitions: Sequence[int]) -> Mapping[int, Claim]:
        """Fence all older owners of these partitions and return where to resume.

        Raises:
            TransientError: The store is away; try again.
        """
        ...


@dataclass(slots=True)
class _Place:
    claim: Claim
    generation: int
    next_offset: int
    # A record beyond the expected one is from before a seek, until the expected one has arrived.
    synchronised: bool = False
    beyond: int | None = None


class PartitionGate:
    """Accepts each record of the claimed partitions once and in order."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    @property
    def partitions(self) -> list[int]:
        """The partitions currently claimed."""
        return sorted(self._places)

    def open(self, partition: int, claim: Claim, generation: int, position: int) -> None:
        """Accept records from `position` on that were fetched in this consumer group generation."""
        self._places[partition] = _Place(claim, generation, position)

    def close(self, partition: int, owner: str | None = None) -> None:
        """Drop records of the partition until it is opened again; with `owner`, only if that token holds it."""
        place = self._places.get(partition)
        if place is not None and owner in (None, place.claim.owner):
            del self._places[partition]

    def keep_only(self, partitions: Sequence[int]) -> None:
        """Close every other partition."""
        self._places = {p: place for p, place in self._places.items() if p in partitions}

    def claim_of(self, partition: int) -> Claim | None:
        """Return the claim a partition is held under, if it is."""
        place = self._places.get(partition)
        return place.claim if place else None

    def is_open(self, partition: int, generation: int) -> bool:
        """Return whether the partition was opened in this generation."""
        place = self._places.get(partition)
        return place is not None and place.generation == generation

    def is_synchronised(self, partition: int) -> bool:
        """Return whether the record expected first has arrived."""
        place = self._places.get(partition)
        return place is not None and place.synchronised

    def beyond(self, partition: int) -> int | None:
        """Return the lowest offset beyond the expected one that was dropped while waiting for it, if any was."""
        place = self._places.get(partition)
        return place.beyond if place else None

    def advance(self, partition: int, owner: str, *, state: int, done: int) -> None:
        """Record how far the owner has come; ignored if the partition is held under another token."""
        place = self._places.get(partition)
        if place is not None and place.claim.owner == owner:
            place.claim = replace(place.claim, state=max(place.claim.state, state), done=max(place.claim.done, done))

    def accept(self, partition: int, offset: int, generation: int) -> bool:
        """Return whether a record is to be handled; each accepted offset moves the gate forward."""
        place = self._places.get(partition)
        if place is None or generation != place.generation or offset < place.next_offset:
            return False
        if not place.synchronised and offset != place.next_offset:
            place.beyond = offset if place.beyond is None else min(place.beyond, offset)
            return False
        place.synchronised = True
        place.next_offset = offset + 1
        return True

    def next_offset(self, partition: int) -> int | None:
        """Return the offset the gate waits for, if the partition is claimed."""
        place = self._places.get(partition)
        return place.next_offset if place else None
