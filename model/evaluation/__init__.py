"""Grading systems on recorded streams: what is a list worth before its user's next event is known."""
