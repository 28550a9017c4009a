"""Training data from the event log: the log as columns, and windows for the sequence encoder."""
