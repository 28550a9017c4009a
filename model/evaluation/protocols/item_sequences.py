"""Sequences without ratings or times: the format of SASRec's published data sets, and the stream they are played as.

W.-C. Kang, J. McAuley, "Self-attentive sequential recommendation", ICDM 2018: each user's last item is the test item,
the one before it the validation item, everything before trains. Users of fewer than three items only train.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.streams.catalogue import Catalogue

# What the file does not say, the same for every event, so that nothing can be learned from it.
ARTIFICIAL_VALUE = 4.0
ARTIFICIAL_TS_MS = 1_000_000_000_000
# A user needs one event to train on besides the validation and the test item.
LEAST_LENGTH = 3
# Draws the numbers of the items, the same for every run.
_NUMBERS_SEED = 0


@dataclass(frozen=True, slots=True)
class Sequences:
    """What U users did, in order.

    Args:
        user_ids: [U] names, in the order of the file.
        items: [U] arrays of int32 item indexes from 1, oldest first.
        item_ids: Names by index minus 1, in no order: the place of an item's first appearance in the file would tell
            who took it, held-out items included.
    """

    user_ids: tuple[str, ...]
    items: tuple[NDArray[np.int32], ...]
    item_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user_ids)

    @property
    def events(self) -> int:
        """How many events there are in all."""
        return sum(len(items) for items in self.items)

    def catalogue(self) -> Catalogue:
        """Return the items, of which nothing but the name is known."""
        catalogue = Catalogue()
        for index, item_id in enumerate(self.item_ids, start=1):
            catalogue.upsert(index, CatalogueItem(item_id=item_id))
        return catalogue


@dataclass(frozen=True, slots=True)
class HeldOutEvents:
    """One event per user that is graded: the validation items, or the test items.

    Args:
        events: In the order of the users.
    """

    events: tuple[ResolvedEvent, ...]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """The three parts.

    Args:
        training: All users advance in parallel, by the share of their training items that is done.
        validation: The last but one of each user.
        test: The last of each user.
    """

    training: tuple[ResolvedEvent, ...]
    validation: HeldOutEvents
    test: HeldOutEvents


def read_sequences(path: Path) -> Sequences:
    """Read lines `user item`, in order of time for each user.

    Raises:
        ConfigurationError: The file cannot be read, has no line, or a line does not hold two names.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"The sequences {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The sequences {path} are not text; give a file of lines 'user item'.") from None
    taken: dict[str, list[int]] = {}
    indexes: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2:
            raise ConfigurationError(
                f"{path}, line {number}: a user and an item are wanted, separated by a blank; there are {len(fields)} "
                "fields."
            )
        user, item = fields
        taken.setdefault(user, []).append(indexes.setdefault(item, len(indexes) + 1))
    if not taken:
        raise ConfigurationError(f"The sequences {path} are empty; give a file of lines 'user item'.")
    drawn = np.random.default_rng(_NUMBERS_SEED).permutation(len(indexes)).astype(np.int32)
    names = np.array(list(indexes), object)[np.argsort(drawn)]
    return Sequences(tuple(taken), tuple(drawn[np.array(items) - 1] + 1 for items in taken.values()), tuple(names))


def leave_one_out(sequences: Sequences, seed: int = 0) -> LeaveOneOut:
    """Split the sequences; the training part becomes one stream.

    There are no times that would put the users' events in order. So all users advance in parallel: an event's place in
    the stream is the share of its user's training items that it completes; equal shares are put in order by the seed.
    All events carry one time and one rating, which say nothing.

    Args:
        sequences: What users did.
        seed: Of the order among equal shares.

    Raises:
        ConfigurationError: No user has enough items to be graded.
    """
    users = [user for user, items in enumerate(sequences.items) if len(items) >= LEAST_LENGTH]
    if not users:
        raise ConfigurationError(
            f"No user of the sequences has {LEAST_LENGTH} items, as leaving one out for validation and one for test "
            "needs."
        )
    graded = set(users)
    counts = [len(items) - 2 if user in graded else len(items) for user, items in enumerate(sequences.items)]
    owner = np.repeat(np.arange(len(sequences)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    share = (place + 1.0) / np.repeat(counts, counts)
    tie = np.random.default_rng(seed).random(len(owner))
    order = np.lexsort((tie, share))
    training = [
        _event(sequences, user, at) for user, at in zip(owner[order].tolist(), place[order].tolist(), strict=True)
    ]
    return LeaveOneOut(
        tuple(training),
        HeldOutEvents(tuple(_event(sequences, user, counts[user]) for user in users)),
        HeldOutEvents(tuple(_event(sequences, user, counts[user] + 1) for user in users)),
    )


def _event(sequences: Sequences, user: int, place: int) -> ResolvedEvent:
    user_id = sequences.user_ids[user]
    item = int(sequences.items[user][place])
    return ResolvedEvent(f"{user_id}-{place}", user_id, item, ARTIFICIAL_VALUE, ARTIFICIAL_TS_MS)
