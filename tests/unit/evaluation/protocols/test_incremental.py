import pytest
from rich.console import Console

from millrace.errors import ConfigurationError
from model.evaluation.options import EvaluateOptions
from model.evaluation.protocols import incremental
from model.evaluation.protocols.incremental import points_of
from model.evaluation.split import Split


def test_points_are_spread_evenly_over_the_graded_part() -> None:
    assert points_of(Split(10, 20, 120), 3) == (20, 45, 70, 95)


def test_a_folder_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="needs a MovieLens folder"):
        incremental.run(EvaluateOptions(protocol="incremental"), Console())
