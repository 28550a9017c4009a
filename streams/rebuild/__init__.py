"""All of Redis from the event log, while recommendations go on from what is there."""

from millrace.streams.rebuild.run import RebuildReport, rebuild, refuse_while_running
from millrace.streams.replay import Progress

__all__ = ["Progress", "RebuildReport", "rebuild", "refuse_while_running"]
