"""Training: encoder, rating head and ranker; `train` makes a network, `jobs` a published version."""
