"""The only part of a stream that a search sees."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.split import Split, before_graded
from millrace.streams.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class WarmUpStream:
    """The events before the graded part, and nothing by which the others could be reached.

    Args:
        events: Training, then warm-up, in time order.
        catalogue: The items.
        split: The warm-up is what a search grades.
    """

    events: tuple[ResolvedEvent, ...]
    catalogue: Catalogue
    split: Split

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that stand for the events: searches on different streams do not mix."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(repr((self.split, self.catalogue.max_index)).encode())
        numbers = np.array([(event.item, event.ts_ms) for event in self.events], np.int64)
        digest.update(numbers.tobytes())
        digest.update(np.array([event.value for event in self.events]).tobytes())
        digest.update("\n".join(event.user_id for event in self.events).encode())
        return digest.hexdigest()


def warm_up_stream(events: Sequence[ResolvedEvent], catalogue: Catalogue, split: Split) -> WarmUpStream:
    """Cut a stream before its graded part; the warm-up is graded in its place.

    Args:
        events: The whole stream.
        catalogue: The items; what may be recommended is known beforehand, what happens to it is not.
        split: Of the whole stream.

    Raises:
        ConfigurationError: There is no warm-up to search on.
    """
    seen = tuple(before_graded(events, split))
    return WarmUpStream(seen, catalogue, Split(warm_up=split.warm_up, graded=split.warm_up, stop=len(seen)))
