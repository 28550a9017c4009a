"""The memory of a batch: all that the list step writes stands in one array.

With cold caches, each array that is allocated, or that a kernel is called with, takes about a microsecond.
"""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.arrays import Found
from streams.ranking.features import CONTEXTS, FEATURES
from streams.scoring.protocol import CANDIDATES, HISTORY_TENSOR_LENGTH

_LENGTH_OF_USER = CANDIDATES * (FEATURES + 2) + CONTEXTS + 3 * HISTORY_TENSOR_LENGTH


def allocate(users: int, excluded: int) -> NDArray[np.float32]:
    """Return zeros with room for what is found for `users`, each with as many `excluded` items."""
    return np.zeros(users * (_LENGTH_OF_USER + excluded), np.float32)


def lay_out(memory: NDArray[np.float32], users: int, excluded: int) -> Found:
    """Return the parts of memory that `allocate` gave for as many users and excluded items; they are views of it."""
    listed, kept = users * CANDIDATES, users * HISTORY_TENSOR_LENGTH
    linear = listed * FEATURES
    context = linear + listed
    values = context + users * CONTEXTS
    ages = values + kept
    candidates = ages + kept
    history = candidates + listed
    exclude = history + kept
    whole = memory.view(np.int32)
    return Found(
        memory[context:values].reshape(users, CONTEXTS),
        whole[candidates:history].reshape(users, CANDIDATES),
        memory[:linear].reshape(users, CANDIDATES, FEATURES),
        memory[linear:context].reshape(users, CANDIDATES),
        whole[history:exclude].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[values:ages].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[ages:candidates].reshape(users, HISTORY_TENSOR_LENGTH),
        whole[exclude:].reshape(users, excluded),
    )


lay_out_compiled = compiled(lay_out)
