"""A person's data: all that is held about somebody, and removing it."""

from consumers.privacy.export import export
from consumers.privacy.forget import Forgotten, forget

__all__ = ["Forgotten", "export", "forget"]
