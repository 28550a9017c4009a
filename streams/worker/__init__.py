"""The recommender worker: micro-batches from events to published lists."""
