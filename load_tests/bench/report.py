"""The figures of one bench run, as people read them and as scripts do."""

from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.percentiles import Percentiles


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Throughput(_Frozen):
    """A backlog worked off."""

    events: int
    events_per_s: float


class PipelineThroughput(Throughput):
    """The same for the whole pipeline; `events_per_s` is that of its slowest role."""

    by_role_per_s: dict[str, float] = Field(description="recommendations, statistics, event_log.")
    cpu_ms_per_event: dict[str, float] = Field(description="By process; the broker runs inside `bench`.")
    fallback_lists: int


class EventLogThroughput(_Frozen):
    """One writer and one reader of the event log, with nothing else at work."""

    adapter: str = Field(description="sqlite or cassandra.")
    events: int
    written_per_s: float
    read_per_s: float


class LatencyAtRate(_Frozen):
    """Event to recommendation at a steady rate."""

    rate_per_s: float
    events: int
    reached_per_s: float
    unanswered: int
    event_to_recommendation_ms: Percentiles


class MemorySample(_Frozen):
    """Resident memory of the worker after a number of events."""

    events: int
    worker_mib: float


class BenchReport(_Frozen):
    """Everything measured in one run."""

    stack: str
    cores: int
    event_log: EventLogThroughput
    bare_faust: Throughput
    pipeline: PipelineThroughput
    ratio: float = Field(description="Pipeline over bare Faust, events per second.")
    latency: tuple[LatencyAtRate, ...]
    memory: tuple[MemorySample, ...]
    seconds: dict[str, float]
