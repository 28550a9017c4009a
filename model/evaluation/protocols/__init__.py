"""The protocols of `millrace evaluate`: one module each, with `run(options, console) -> ProtocolReport`.

The modules are imported when they are asked for: most need TensorFlow.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from millrace.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from millrace.model.evaluation.options import EvaluateOptions

# Name on the command line -> module of this package.
PROTOCOLS: Mapping[str, str] = {
    "prequential": "prequential",
    "leave-one-out": "leave_one_out",
    "ratings": "ratings",
    "time-split": "time_split",
    "incremental": "incremental",
    "masked": "masked",
}


class ProtocolReport(Protocol):
    """What an evaluation ends with."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Reasons not to believe the figures, one sentence each."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return the figures for `--report`."""
        ...

    def show(self, console: "Console") -> None:
        """Print the table that the command ends with."""
        ...

    def page(self) -> str:
        """Return the HTML page for `--page`."""
        ...


class _ProtocolModule(Protocol):
    def run(self, options: "EvaluateOptions", console: "Console") -> ProtocolReport: ...


def available_protocols() -> tuple[str, ...]:
    """Return the names of the protocols that are installed."""
    return tuple(name for name, module in PROTOCOLS.items() if importlib.util.find_spec(f"{__name__}.{module}"))


def run_protocol(options: "EvaluateOptions", console: "Console") -> ProtocolReport:
    """Run the protocol that the options name; progress is shown on the console.

    Raises:
        ConfigurationError: There is no such protocol, or it cannot work with these options.
    """
    names = available_protocols()
    if options.protocol not in names:
        raise ConfigurationError(f"There is no protocol {options.protocol}; choose one of: {', '.join(names)}.")
    module = importlib.import_module(f"{__name__}.{PROTOCOLS[options.protocol]}")
    return cast(_ProtocolModule, module).run(options, console)
