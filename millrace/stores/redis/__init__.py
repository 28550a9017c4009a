"""State in Redis behind narrow Protocols: users, catalogue, statistics, serving."""
