"""Long evaluations go on where they were interrupted."""

import os
import pickle  # only files that this module wrote are read
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from millrace.kernel.errors import ConfigurationError

SAVE_EVERY_S = 120.0
_SUFFIX = ".checkpoint"


class Checkpoints:
    """The newest state of one evaluation, in one file that is replaced as a whole.

    Args:
        path: The file; its folder is created.
        identity: Describes the evaluation; a checkpoint of another one is refused.
        shared: Large objects by name that are not written but put in again: the stream, the catalogue.
        every_s: Seconds between two checkpoints.
        clock: Seconds; monotonic.
    """

    def __init__(
        self,
        path: Path,
        identity: str,
        shared: Mapping[str, object],
        every_s: float = SAVE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path.with_name(path.name + _SUFFIX)
        self._identity = identity
        self._shared = dict(shared)
        self._every_s = every_s
        self._clock = clock
        self._saved_s = clock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The folder {path.parent} cannot be created: {error.strerror}.") from None

    def due(self) -> bool:
        """Return whether it is time for the next one."""
        return self._clock() - self._saved_s >= self._every_s

    def save(self, state: object) -> None:
        """Write a state; a crash on the way leaves the one before.

        Raises:
            ConfigurationError: The file cannot be written, or the state holds something that cannot be.
        """
        unfinished = self._path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:
                _Pickler(file, self._shared).dump((self._identity, state))
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except (OSError, pickle.PicklingError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"The checkpoint {self._path} cannot be written ({error}); leave out --work, or choose another folder."
            ) from None
        self._saved_s = self._clock()

    def load(self) -> Any | None:
        """Return the state saved last, None if there is none.

        Raises:
            ConfigurationError: The checkpoint is of another evaluation, or cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                identity, state = _Unpickler(file, self._shared).load()
        except FileNotFoundError:
            return None
        except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError) as error:
            raise ConfigurationError(
                f"The checkpoint {self._path} cannot be read ({error}); remove it and start anew."
            ) from None
        if identity != self._identity:
            raise ConfigurationError(
                f"The checkpoint {self._path} was made with other options, data or code; choose another folder."
            )
        return state

    def remove(self) -> None:
        """Forget the state."""
        self._path.unlink(missing_ok=True)


class _Pickler(pickle.Pickler):
    def __init__(self, file: BinaryIO, shared: Mapping[str, object]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = {id(thing): name for name, thing in shared.items()}

    def persistent_id(self, thing: object) -> str | None:
        return self._names.get(id(thing))


class _Unpickler(pickle.Unpickler):  # noqa: S301 - see the import
    def __init__(self, file: BinaryIO, shared: Mapping[str, object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, name: str) -> object:
        return self._shared[name]
