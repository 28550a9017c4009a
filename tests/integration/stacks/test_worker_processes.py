"""The supervisor of several workers, with small programs in the place of workers."""

import os
import signal
import sys
from pathlib import Path

from waiting import until

from millrace.apps.stacks.worker_processes import WorkerProcesses
from millrace.kernel.settings import Settings

DEADLINE_S = 20.0
STAYS = (
    *(sys.executable, "-u", "-c"),
    "import os, time; print(os.environ['MILLRACE_KAFKA_GROUP_MEMBER']); time.sleep(60)",
)
ENDS = (sys.executable, "-c", "print('No broker'); raise SystemExit(3)")


def settings(folder: Path) -> Settings:
    return Settings(home=folder, topic_prefix="x.")


def test_a_worker_that_dies_is_started_again_under_its_name(tmp_path: Path) -> None:
    workers = WorkerProcesses(settings(tmp_path), 2, STAYS)
    try:
        first, second = workers.children
        until(lambda: all(child.log_path.read_text() for child in workers.children), "both have said their name")
        assert workers.supervise() == []
        second.send_signal(signal.SIGKILL)
        assert second.wait(DEADLINE_S)
        name = second.last_words()
        (sentence,) = workers.supervise()
        assert sentence == f"worker-2 ended with code -9 and was started again ({name})."
        assert workers.children[0] is first
        again = workers.children[1]
        assert again.alive
        assert again.pid != second.pid
        until(lambda: again.log_path.read_text().split() == [name, name], "the new one has the old one's name")
        assert name.endswith(f"-{os.getpid()}-worker-2")
    finally:
        workers.stop()
    assert [child.alive for child in workers.children] == [False, False]


def test_a_worker_that_keeps_ending_is_not_started_at_once_again(tmp_path: Path) -> None:
    workers = WorkerProcesses(settings(tmp_path), 1, ENDS)
    try:
        until(lambda: not workers.children[0].alive, "it has ended")
        assert workers.supervise() == ["worker-1 ended with code 3 and was started again (No broker)."]
        until(lambda: not workers.children[0].alive, "it has ended again")
        assert workers.supervise() == []
    finally:
        workers.stop()
