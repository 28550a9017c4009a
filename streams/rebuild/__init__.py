"""All of Redis from the event log, while recommendations go on from what is there."""

from streams.rebuild.run import RebuildReport, rebuild, refuse_while_running
from streams.replay import Progress

__all__ = ["Progress", "RebuildReport", "rebuild", "refuse_while_running"]
