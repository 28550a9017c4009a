"""Names of the Kafka topics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic names under one prefix.

    Args:
        prefix: Put before every name, so that several installations can share a cluster.
    """

    prefix: str = "millrace."

    @property
    def events(self) -> str:
        """User activity, keyed by user_id."""
        return f"{self.prefix}events"

    @property
    def items(self) -> str:
        """Catalogue upserts, keyed by item_id."""
        return f"{self.prefix}items"

    @property
    def recommendations(self) -> str:
        """Served lists, keyed by user_id."""
        return f"{self.prefix}recommendations"

    @property
    def dead_letters(self) -> str:
        """Records that could not be used, untouched, with the reason in their headers."""
        return f"{self.prefix}events.dlq"
