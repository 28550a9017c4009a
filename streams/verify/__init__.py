"""Whether Redis holds what the event log says: recomputed from the log, compared user for user and count for count."""

from millrace.streams.verify.differences import Difference, Verification
from millrace.streams.verify.run import verify

__all__ = ["Difference", "Verification", "verify"]
