"""Recomputing state from the event log with the functions that workers and keeper apply."""

from streams.replay.advance import Progress, advance, begin
from streams.replay.coverage import Coverage
from streams.replay.indexes import ItemIndexes
from streams.replay.log_replay import LogReplay, StatisticsReplay, UserReplay

__all__ = ["Coverage", "ItemIndexes", "LogReplay", "Progress", "StatisticsReplay", "UserReplay", "advance", "begin"]
