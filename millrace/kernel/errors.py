"""The exceptions of Millrace, grouped by what the caller does about them.

MillraceError
├── TransientError    try again with back-off: a server is slow, away or electing
├── PoisonError       put the record aside with its reason and go on
└── FatalError        stop, and show the sentence: only a person can resolve it
    └── ConfigurationError
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a record was put into the dead-letter topic (header `millrace-reason`)."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    INVALID_ID = "invalid_id"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    UNKNOWN_ITEM = "unknown_item"
    PROCESSING_FAILED = "processing_failed"


class MillraceError(Exception):
    """Base of every error that Millrace raises on purpose; its text is one sentence a person can act on."""


class TransientError(MillraceError):
    """An outside service did not answer as hoped; the same call may succeed later."""


class PoisonError(MillraceError):
    """A record that no retry can repair.

    Args:
        reason: The code for the dead-letter header.
        message: One sentence naming the field, the rule and the value received.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FatalError(MillraceError):
    """Going on would lose or corrupt something, or cannot work: the process stops with this sentence."""


class ConfigurationError(FatalError):
    """A setting, argument or data folder is unusable; the text says which and what to do."""


def no_broker(bootstrap: str, error: BaseException) -> TransientError:
    """Return the error of a Kafka client that reached nobody at `bootstrap`."""
    return TransientError(
        f"No Kafka broker answers at {bootstrap} ({type(error).__name__}); start a stack with `millrace up`, "
        "or set MILLRACE_KAFKA_BOOTSTRAP."
    )
