"""Looking at processes that may end at any moment."""

import psutil


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended; one that nobody has waited for yet has."""
    return [one for one in processes if _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # between the two looks
        return False
