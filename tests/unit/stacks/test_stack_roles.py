"""What a stack keeps of the roles beside its servers."""

import json
from pathlib import Path

import pytest

from millrace.apps.stacks.home import StackHome
from millrace.apps.stacks.stack import Stack

DEADLINE_S = 20.0


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Return a stack without servers."""
    return Stack(StackHome(tmp_path), [], {})


def test_what_was_started_again_takes_the_place_of_what_ended(stack: Stack, tmp_path: Path) -> None:
    with stack:
        ended = stack.spawn("worker", ["true"])
        assert ended.wait(DEADLINE_S)
        other = stack.spawn("statistics", ["sleep", "3600"])
        again = stack.spawn("worker", ["sleep", "3600"])
        # The number of an ended process may be given to another, which the end of the stack must not reach.
        assert stack.children == [other, again]
        processes = json.loads((tmp_path / "stack.json").read_text())["processes"]
        assert {name: pid for name, (pid, _) in processes.items()} == {"statistics": other.pid, "worker": again.pid}
    assert not other.alive
    assert not again.alive


def test_of_two_that_run_under_one_name_both_are_ended(stack: Stack) -> None:
    with stack:
        both = [stack.spawn("worker", ["sleep", "3600"]) for _ in range(2)]
        assert stack.children == both
    assert not any(child.alive for child in both)
