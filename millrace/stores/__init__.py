"""Where data is kept: the event log (SQLite, Cassandra) and the Redis stores."""
