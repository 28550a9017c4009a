"""State recomputed from the event log with the functions that workers and keeper apply."""

from millrace.streams.replay.advance import Progress, advance, begin
from millrace.streams.replay.coverage import Coverage
from millrace.streams.replay.indexes import ItemIndexes
from millrace.streams.replay.log_replay import LogReplay, Recomputation, StatisticsReplay, UserReplay

__all__ = [
    "Coverage",
    "ItemIndexes",
    "LogReplay",
    "Progress",
    "Recomputation",
    "StatisticsReplay",
    "UserReplay",
    "advance",
    "begin",
]
