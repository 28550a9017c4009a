"""Selection of the Keras backend; all other modules import `keras` and `ops` from here."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to the null device.

    TensorFlow's native code prints messages to stderr on import at any log level. Python exceptions still propagate.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _quiet_stderr():
    import keras
    from keras import ops

__all__ = ["gather", "keras", "ops"]


def gather(table: Any, rows: Any) -> Any:
    """Return rows of a table, like `ops.take` along the first axis but without support for negative rows.

    Keras counts negative rows from the end, which adds nine operations to the exported graph for each call.

    Args:
        table: [N, ...] tensor.
        rows: Integer tensor of any shape, with values from 0 to N - 1.

    Returns:
        [*rows.shape, ...] tensor.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(table, rows, axis=0)
    import tensorflow as tf

    return tf.gather(ops.convert_to_tensor(table), ops.convert_to_tensor(rows))
