"""A user's data: exporting all that is held, and removing it."""

from millrace.consumers.privacy.export import export
from millrace.consumers.privacy.forget import Forgotten, forget

__all__ = ["Forgotten", "export", "forget"]
