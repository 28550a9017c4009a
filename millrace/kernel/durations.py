"""How people write a length of time in options of commands."""

import re

from millrace.kernel.errors import ConfigurationError

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `1.5h` or `1d`; a number alone could mean any of them.

    Raises:
        ConfigurationError: It is nothing of the kind, or zero.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _UNITS_S[match[2]] if match else 0.0
    if not 0.0 < seconds < float("inf"):
        raise ConfigurationError(f"{text!r} is not a length of time; write for example 90s, 10m or 2h.")
    return seconds
