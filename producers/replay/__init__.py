"""Replays recorded or synthetic activity into Kafka and measures the lists that answer it."""

from millrace.producers.replay.options import ReplayOptions
from millrace.producers.replay.result import Answer, ReplayResult, percentiles_ms
from millrace.producers.replay.run import Replayer

__all__ = ["Answer", "ReplayOptions", "ReplayResult", "Replayer", "percentiles_ms"]
