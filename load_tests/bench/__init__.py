"""`millrace bench`: the full pipeline beside a bare Faust agent, on the same stack and records."""
