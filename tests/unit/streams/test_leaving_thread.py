"""A thread that never ends holds up neither who stops it nor the process."""

import subprocess
import sys

NEVER_ENDING = """
import threading
from millrace.streams.faust_transport import ConsumerThread

class Service:
    started = threading.Event()

    def _start_thread(self):
        self.started.set()
        threading.Event().wait()

service = Service()
thread = ConsumerThread.Worker(service)
thread.start()
service.started.wait()
thread.stop()
print("left")
"""


def test_the_process_ends_without_its_kafka_thread() -> None:
    done = subprocess.run([sys.executable, "-c", NEVER_ENDING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
