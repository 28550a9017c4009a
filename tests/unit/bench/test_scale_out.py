"""What is said about the limit of a measurement, and holding a process to its share."""

import re
import subprocess
import sys
import time

import pytest

from millrace.load_tests.bench.cpu_share import cpu_seconds, held_to
from millrace.load_tests.bench.scale_out import limit_of

BUSY = (sys.executable, "-S", "-c", "while True: pass")


@pytest.mark.parametrize(
    ("used", "share", "busy", "limit"),
    [
        ({"worker-1": 0.25, "worker-2": 0.24, "kafka": 0.1}, 0.25, 0.6, "the workers: each used its whole share"),
        ({"worker-1": 0.7, "worker-2": 0.6, "kafka": 0.4}, 1.0, 0.98, "the machine: its cores were 98% busy"),
        ({"worker-1": 0.3, "kafka": 0.2, "redis": 0.1}, 1.0, 0.4, "not the processor: .* was kafka with 0.20 cores"),
    ],
)
def test_the_limit_is_named(used: dict[str, float], share: float, busy: float, limit: str) -> None:
    assert re.match(limit, limit_of(used, share, busy))


def test_a_held_process_uses_no_more_than_its_share() -> None:
    process = subprocess.Popen(BUSY)
    try:
        with held_to(0.2, [process.pid]):
            started_s, before_s = time.monotonic(), cpu_seconds(process.pid)
            while cpu_seconds(process.pid) - before_s < 0.1:
                assert time.monotonic() - started_s < 60
            used = (cpu_seconds(process.pid) - before_s) / (time.monotonic() - started_s)
        # A tenth of a second is ten ticks of the kernel's accounting, and some may be saved up.
        assert used < 0.5
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert cpu_seconds(process.pid) == 0.0
