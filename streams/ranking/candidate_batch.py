"""The candidates of a batch of users, in one block of memory.

With cold caches, each array that is allocated or passed to a kernel costs about a microsecond.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.columns import CONTEXTS, FEATURES
from millrace.streams.scoring.scorer import CANDIDATES, HISTORY_TENSOR_LENGTH, ScoreRequest

_Places = tuple[int, int, int, int, int, int, int, int]
_FLOAT, _INT = np.dtype(np.float32), np.dtype(np.int32)


class CandidateBatch(NamedTuple):
    """Candidates of B users, best by linear fusion first, padded on the right with item 0, and the users' tensors.

    Args:
        candidates: [B, C] int32.
        features: [B, C, F] float32.
        context: [B, U] float32.
        linear: [B, C] float32 linear fusion scores, -inf where padded.
        history: [B, L] int32; this and the following as in a `ScoreRequest`.
        history_value: [B, L] float32.
        history_age_s: [B, L] float32.
        exclude: [B, E] int32.
    """

    candidates: NDArray[np.int32]
    features: NDArray[np.float32]
    context: NDArray[np.float32]
    linear: NDArray[np.float32]
    history: NDArray[np.int32]
    history_value: NDArray[np.float32]
    history_age_s: NDArray[np.float32]
    exclude: NDArray[np.int32]

    def request(self) -> ScoreRequest:
        """Return the tensors for a model version."""
        history = (self.history, self.history_value, self.history_age_s)
        return ScoreRequest(*history, self.candidates, self.features, self.context, self.exclude)


def allocate(users: int, excluded: int) -> tuple[NDArray[np.float32], CandidateBatch]:
    """Return memory for `users`, each with as many `excluded` items, and its parts; nothing is written yet."""
    candidates, features, context, linear, history, values, ages, end = _ends(users, excluded)
    memory = np.empty(end, np.float32)
    listed, kept = (users, CANDIDATES), (users, HISTORY_TENSOR_LENGTH)
    # A view made like this takes half as long as a reshaped slice.
    return memory, CandidateBatch(
        np.ndarray(listed, _INT, memory),
        np.ndarray((users, CANDIDATES, FEATURES), _FLOAT, memory, candidates * _INT.itemsize),
        np.ndarray((users, CONTEXTS), _FLOAT, memory, features * _FLOAT.itemsize),
        np.ndarray(listed, _FLOAT, memory, context * _FLOAT.itemsize),
        np.ndarray(kept, _INT, memory, linear * _FLOAT.itemsize),
        np.ndarray(kept, _FLOAT, memory, history * _INT.itemsize),
        np.ndarray(kept, _FLOAT, memory, values * _FLOAT.itemsize),
        np.ndarray((users, excluded), _INT, memory, ages * _FLOAT.itemsize),
    )


def _ends(users: int, excluded: int) -> _Places:
    """Return where the parts of the memory end, in the order of `CandidateBatch`."""
    listed, kept = users * CANDIDATES, users * HISTORY_TENSOR_LENGTH
    features = listed + listed * FEATURES
    context = features + users * CONTEXTS
    linear = context + listed
    history = linear + kept
    values = history + kept
    ages = values + kept
    return listed, features, context, linear, history, values, ages, ages + users * excluded


_ends_compiled = compiled(_ends)


@compiled
def parts_of(memory: NDArray[np.float32], users: int, excluded: int) -> CandidateBatch:
    """Return the parts of what `allocate` gave, from within a kernel."""
    candidates, features, context, linear, history, values, ages, end = _ends_compiled(users, excluded)
    whole = memory.view(np.int32)
    return CandidateBatch(
        whole[:candidates].reshape(users, CANDIDATES),
        memory[candidates:features].reshape(users, CANDIDATES, FEATURES),
        memory[features:context].reshape(users, CONTEXTS),
        memory[context:linear].reshape(users, CANDIDATES),
        whole[linear:history].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[history:values].reshape(users, HISTORY_TENSOR_LENGTH),
        memory[values:ages].reshape(users, HISTORY_TENSOR_LENGTH),
        whole[ages:end].reshape(users, excluded),
    )
