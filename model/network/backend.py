"""The one place that chooses Keras's backend; everything else imports `keras` and `ops` from here."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow greets on stderr with notes about missing GPUs; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import ops

__all__ = ["keras", "ops"]
