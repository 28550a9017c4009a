import pytest
from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import incremental
from millrace.model.evaluation.protocols.incremental import points_of
from millrace.model.evaluation.split import Split


def test_points_are_spread_evenly_over_the_graded_part() -> None:
    assert points_of(Split(10, 20, 120), 3) == (20, 45, 70, 95)


def test_a_folder_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="A MovieLens folder is missing"):
        incremental.run(EvaluateOptions(protocol="incremental"), Console())
