"""The headers that a dead letter carries beside the key and value of its record."""

import time
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from millrace.kernel.errors import Reason

_PREFIX = "millrace-"


class DeadLetterHeaders(BaseModel):
    """Why a record was put aside, where it came from, and what of it was too large to be carried."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    error: str = Field(description="One sentence naming the field, the rule and the value received.")
    topic: str
    partition: int
    offset: int
    failed_at_ms: int = Field(default_factory=lambda: time.time_ns() // 1_000_000)
    key_bytes: int | None = Field(default=None, description="Size of a key too large to be carried; else absent.")
    key_sha256: str | None = Field(default=None, description="SHA-256 of that key, in hexadecimal.")
    key_start: str | None = Field(default=None, description="First bytes of that key; other than UTF-8 as `\\xff`.")
    value_bytes: int | None = Field(default=None, description="Size of a value too large to be carried; else absent.")
    value_sha256: str | None = Field(default=None, description="SHA-256 of that value, in hexadecimal.")
    value_start: str | None = Field(default=None, description="First bytes of that value; other than UTF-8 as `\\xff`.")

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """Return the headers as Kafka wants them: `millrace-reason`, `millrace-error`, ..."""
        fields = self.model_dump(exclude_none=True)
        return [(_PREFIX + name.replace("_", "-"), str(value).encode()) for name, value in fields.items()]

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
