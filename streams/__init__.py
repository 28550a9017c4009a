"""The Faust apps: topics and agents (thin), the pure core of a batch, statistics, state store, scoring client."""
