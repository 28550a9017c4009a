"""The memory of a batch: all that the list step writes stands in one array.

With cold caches, each array that is allocated, or that a kernel is called with, takes about a microsecond.
"""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.arrays import Found
from streams.ranking.features import CONTEXTS, FEATURES
from streams.scoring.protocol import CANDIDATES, HISTORY_TENSOR_LENGTH

_Places = tuple[int, int, int, int, int, int, int, int]
_FLOAT, _INT = np.dtype(np.float32), np.dtype(np.int32)


def _places(users: int, excluded: int) -> _Places:
    """Return where features, linear scores, context, values, ages, candidates, history and exclusions end."""
    listed, kept = users * CANDIDATES, users * HISTORY_TENSOR_LENGTH
    features = listed * FEATURES
    linear = features + listed
    context = linear + users * CONTEXTS
    values = context + kept
    ages = values + kept
    candidates = ages + listed
    history = candidates + kept
    return features, linear, context, values, ages, candidates, history, history + users * excluded


_places_compiled = compiled(_places)


def allocate(users: int, excluded: int) -> tuple[NDArray[np.float32], Found]:
    """Return room for what is found for `users`, each with as many `excluded` items, and the parts of it."""
    features, linear, context, values, ages, candidates, history, end = _places(users, excluded)
    memory = np.empty(end, np.float32)
    listed, kept = (users, CANDIDATES), (users, HISTORY_TENSOR_LENGTH)
    # Like this a view takes half as long as a slice in another shape.
    return memory, Found(
        np.ndarray((users, CONTEXTS), _FLOAT, memory, linear * _FLOAT.itemsize),
        np.ndarray(listed, _INT, memory, ages * _INT.itemsize),
        np.ndarray((users, CANDIDATES, FEATURES), _FLOAT, memory),
        np.ndarray(listed, _FLOAT, memory, features * _FLOAT.itemsize),
        np.ndarray(kept, _INT, memory, candidates * _INT.itemsize),
        np.ndarray(kept, _FLOAT, memory, context * _FLOAT.itemsize),
        np.ndarray(kept, _FLOAT, memory, values * _FLOAT.itemsize),
        np.ndarray((users, excluded), _INT, memory, history * _INT.itemsize),
    )


@compiled
def parts_of(memory: NDArray[np.float32], users: int, excluded: int) -> Found:
    """Return the parts again, from within a kernel."""
    features, linear, context, values, ages, candidates, history, end = _places_compiled(users, excluded)
    whole = memory.view(np.int32)
    return Found(
        memory[linear:context].reshape(users, CONTEXTS),
        whole[ages:candidates].reshape(users, CANDIDATES),
        memory[:features].reshape(users, CANDIDATES, FEATURES),
        memory[features:linear].reshape(users, CANDIDATES),
        whole[candidates:history].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[context:values].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[values:ages].reshape(users, HISTORY_TENSOR_LENGTH),
        whole[history:end].reshape(users, excluded),
    )
