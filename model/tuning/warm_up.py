"""The part of a stream that a hyperparameter search may read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.split import Split, before_graded
from millrace.streams.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class WarmUpStream:
    """The events before the graded part, without any reference to the later ones.

    Args:
        events: Training events, then warm-up events, in time order.
        catalogue: All items.
        split: Split of `events`, in which the warm-up is the graded part.
    """

    events: tuple[ResolvedEvent, ...]
    catalogue: Catalogue
    split: Split

    @property
    def fingerprint(self) -> str:
        """Hash of the events and the split, 16 hexadecimal digits; it separates the studies of different streams."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(repr((self.split, self.catalogue.max_index)).encode())
        numbers = np.array([(event.item, event.ts_ms) for event in self.events], np.int64)
        digest.update(numbers.tobytes())
        digest.update(np.array([event.value for event in self.events]).tobytes())
        digest.update("\n".join(event.user_id for event in self.events).encode())
        return digest.hexdigest()


def warm_up_stream(events: Sequence[ResolvedEvent], catalogue: Catalogue, split: Split) -> WarmUpStream:
    """Cut a stream before its graded part; the search grades the warm-up instead.

    Args:
        events: The whole stream, in time order.
        catalogue: All items, including those without events before the graded part.
        split: Split of the whole stream.
    """
    seen = tuple(before_graded(events, split))
    return WarmUpStream(seen, catalogue, Split(warm_up=split.warm_up, graded=split.warm_up, stop=len(seen)))
