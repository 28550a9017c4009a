"""Training: encoder, rating head and ranker, in that order."""
