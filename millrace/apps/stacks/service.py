"""The servers of a stack: their Protocol, and the wait until all of them answer."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from millrace.apps.stacks.child import Child
from millrace.kernel.errors import FatalError

# Between two probes of servers that are starting.
POLL_S = 0.02


class Service(Protocol):
    """One server of a stack."""

    name: str

    @property
    def child(self) -> Child | None:
        """Its process, None if it runs inside this one."""
        ...

    def start(self) -> None:
        """Start it, without waiting until it answers.

        Raises:
            FatalError: It cannot run here; the text says what to do.
        """
        ...

    def ready(self) -> bool:
        """Return whether it answers now."""
        ...

    def stop(self) -> None:
        """Stop it; does nothing if it never started."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the settings fields with its address."""
        ...


def wait_ready(services: Sequence[Service], timeout_s: float) -> None:
    """Wait until all services answer.

    Raises:
        FatalError: One ended or does not answer in time; the text names it and its log.
    """
    deadline = time.monotonic() + timeout_s
    waiting = list(services)
    while waiting:
        for service in waiting:
            _check_alive(service)
        waiting = [service for service in waiting if not service.ready()]
        if waiting and time.monotonic() > deadline:
            names = " and ".join(service.name for service in waiting)
            raise FatalError(f"{names} did not answer within {timeout_s:g} s; see {_log_of(waiting[0])}.")
        if waiting:
            time.sleep(POLL_S)


def _check_alive(service: Service) -> None:
    child = service.child
    if child is not None and not child.alive:
        raise FatalError(
            f"{service.name} ended with code {child.exit_code} while starting: "
            f"{child.last_words() or 'it said nothing'} (log: {child.log_path})."
        )


def _log_of(service: Service) -> str:
    return str(service.child.log_path) if service.child else "the messages above"
