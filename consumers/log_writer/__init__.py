"""Copies the topics `events` and `items` into the event log."""
