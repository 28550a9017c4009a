"""What the demo refuses before it starts anything."""

import pytest

from millrace.apps.demo.options import DemoOptions
from millrace.kernel.errors import ConfigurationError


def test_the_default_suits_the_committed_data() -> None:
    DemoOptions().check(100_836)


@pytest.mark.parametrize(
    ("options", "available", "words"),
    [
        (DemoOptions(bootstrap=0.0), 1000, "--bootstrap 0 of 1000"),
        (DemoOptions(bootstrap=1.0), 1000, "nothing to replay"),
        (DemoOptions(), 100, "history of 60 ratings is too short"),
        (DemoOptions(events=0), 1000, "--events"),
    ],
)
def test_what_cannot_work_is_one_sentence(options: DemoOptions, available: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        options.check(available)
    assert "\n" not in str(caught.value)
