"""Percentiles of latencies, as reports carry them."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from millrace.producers.replay import percentiles_ms


class Percentiles(BaseModel):
    """Nearest-rank percentiles in milliseconds."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: Sequence[int]) -> "Percentiles":
        """Return the percentiles of the values; all are 0 without any value."""
        return cls.model_validate(percentiles_ms(values_ms) or {"p50": 0.0, "p95": 0.0, "p99": 0.0})
