"""Choosing a model configuration on the warm-up part of a stream, and on nothing after it."""
