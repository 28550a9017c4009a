"""Learning that never ends: the ranker every few hundred events, the encoder whenever the log has grown enough."""
