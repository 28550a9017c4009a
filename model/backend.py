"""The one place that chooses Keras's backend; everything else imports `keras` and `ops` from here."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep native code off stderr: TensorFlow greets there, whatever its log level; Python's errors still rise."""
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
    """Return the rows of a table; as `ops.take` along the first axis, for rows that are never negative.

    Keras counts negative rows from the end, which takes nine more operations of an exported graph at each place.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(table, rows, axis=0)
    import tensorflow as tf

    return tf.gather(ops.convert_to_tensor(table), ops.convert_to_tensor(rows))
