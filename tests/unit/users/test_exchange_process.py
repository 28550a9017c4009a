"""The process with the Kafka connections must be an ordinary one."""

import subprocess
import sys

_CODE = """
import sys, threading, time
import millrace.load_tests.users.exchange
print("gevent" in sys.modules, threading.Thread.__module__, time.sleep.__module__)
"""


def test_it_is_free_of_gevent() -> None:
    run = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "threading", "time"]
