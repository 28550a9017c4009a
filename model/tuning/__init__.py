"""Hyperparameter search on the warm-up part of a stream; it never reads the graded part."""
