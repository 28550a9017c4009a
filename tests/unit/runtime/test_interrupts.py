"""Ctrl-C, with real signals sent to small processes."""

import signal
import subprocess
import sys

import pytest

from millrace.runtime import interrupts

DEADLINE_S = interrupts.FORCE_AFTER_S + 10.0
_READY = "print('ready', flush=True)\n"


def interrupt(code: str, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    """Run a program up to its first line, send it a signal, and return exit code and what it wrote after that."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from millrace.runtime import interrupts\n" + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    return process.returncode, output, errors


def test_ctrl_c_reaches_a_coroutine_that_never_waits() -> None:
    """`asyncio.run` alone would cancel the task, and wait for an `await` that does not come."""
    code = f"""
import asyncio, time
async def busy():
    {_READY}
    while True:
        time.sleep(0.01)
with interrupts.ended_by_ctrl_c():
    try:
        asyncio.run(busy())
    except KeyboardInterrupt:
        print("ended")
"""
    assert interrupt(code) == (0, "ended\n", "")


def test_ctrl_c_is_not_taken_for_a_timeout() -> None:
    """A timeout that expires when the task is cancelled would swallow the cancellation."""
    code = f"""
import asyncio, time
async def look():
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    except TimeoutError:
        pass
async def busy():
    {_READY}
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        time.sleep(0.01)
        await look()
with interrupts.ended_by_ctrl_c():
    try:
        asyncio.run(busy())
    except KeyboardInterrupt:
        print("ended")
"""
    assert interrupt(code) == (0, "ended\n", "")


def test_a_command_that_does_not_end_is_ended_by_force() -> None:
    code = f"""
import time
interrupts.on_forced_end(lambda: print("tidied", flush=True))
interrupts.on_forced_end(lambda: 1 / 0)
with interrupts.ended_by_ctrl_c():
    try:
        {_READY}
        time.sleep(60)
    except KeyboardInterrupt:
        print("swallowed", flush=True)
    time.sleep(60)
"""
    assert interrupt(code) == (interrupts.EXIT_INTERRUPTED, "swallowed\ntidied\n", "")


def test_a_shielded_block_is_left_at_its_end_alone() -> None:
    code = f"""
import time
with interrupts.ended_by_ctrl_c(), interrupts.shielded():
    {_READY}
    while not interrupts.interrupted():
        time.sleep(0.01)
    print("tidied")
"""
    assert interrupt(code) == (0, "tidied\n", "")


@pytest.mark.parametrize("number", interrupts.ENDING)
def test_each_signal_that_asks_for_an_end_leaves_the_block_in_order(number: signal.Signals) -> None:
    code = f"""
import signal, time
with interrupts.ended_by_ctrl_c():
    try:
        with interrupts.ended_by_signals():
            {_READY}
            time.sleep(60)
    except KeyboardInterrupt:
        print("ended")
"""
    assert interrupt(code, number) == (0, "ended\n", "")


def test_modules_may_load_until_ctrl_c_ends_the_process_without_a_word() -> None:
    code = f"""
import time
interrupts.end_at_once()
{_READY}
time.sleep(60)
"""
    assert interrupt(code) == (-signal.SIGINT, "", "")


ROLE = f"""
import asyncio, time
from millrace.runtime.signals import stop_on_signals
async def role():
    stop = stop_on_signals()
    {_READY}
    await stop.wait()
    print("stops", flush=True)
    await asyncio.to_thread(time.sleep, TIDIES_UP_S)
asyncio.run(role())
"""


def test_a_role_that_cannot_stop_is_ended_by_force_after_ctrl_c() -> None:
    code = ROLE.replace("TIDIES_UP_S", "60")
    assert interrupt(code) == (interrupts.EXIT_INTERRUPTED, "stops\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_role_that_stops_in_time_is_left_alone(number: signal.Signals) -> None:
    assert interrupt(ROLE.replace("TIDIES_UP_S", "0"), number) == (0, "stops\n", "")


def test_a_background_job_that_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupts.end_at_once()
with interrupts.ended_by_ctrl_c():
    {_READY}
    assert signal.sigtimedwait([], 0.2) is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""
    assert interrupt(code) == (0, "", "")
