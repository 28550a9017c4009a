"""The durable log of every event and item, from which models learn and Redis can be rebuilt."""
