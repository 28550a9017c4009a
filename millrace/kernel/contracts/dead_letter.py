"""The headers that a dead letter carries beside the untouched key and value."""

import time
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from millrace.kernel.errors import Reason

_PREFIX = "millrace-"


class DeadLetterHeaders(BaseModel):
    """Why a record was put aside, and where it came from."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    error: str = Field(description="One sentence naming the field, the rule and the value received.")
    topic: str
    partition: int
    offset: int
    failed_at_ms: int = Field(default_factory=lambda: time.time_ns() // 1_000_000)

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """Return the headers as Kafka wants them: `millrace-reason`, `millrace-error`, ..."""
        return [(_PREFIX + name.replace("_", "-"), str(value).encode()) for name, value in self.model_dump().items()]

    @classmethod
    def from_kafka(cls, headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes] | None) -> "DeadLetterHeaders":
        """Read the headers back.

        Raises:
            ValueError: The record carries no dead-letter headers, or broken ones.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
        fields = {
            name.removeprefix(_PREFIX).replace("-", "_"): value.decode("utf-8", "replace")
            for name, value in pairs
            if name.startswith(_PREFIX)
        }
        return cls.model_validate(fields)
