"""The embedded stack starts, leads others to its servers, and ends without a trace, however it ends."""

import importlib.metadata
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import running
from waiting import until

from millrace.apps.stacks import home as stack_home
from millrace.apps.stacks.child import start_child
from millrace.apps.stacks.embedded import EmbeddedStack
from millrace.apps.stacks.ports import FixedPorts
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import load_settings

pytestmark = pytest.mark.services

REPOSITORY = Path(__file__).parents[3]
# Starts a stack whose Triton runs a model (one more process) and a role that would stay for an hour.
PARENT = """
    import sys
    from pathlib import Path
    from millrace.apps.stacks.embedded import EmbeddedStack
    from millrace.runtime.interrupts import ended_by_signals
    from millrace.model.triton_admin import make_admin

    home, graph = sys.argv[1:]
    with ended_by_signals(), EmbeddedStack(home) as stack:
        make_admin(stack.settings).deploy("recommender_v000001", Path(graph))
        stack.spawn("sleeper", [sys.executable, "-c", "import time; time.sleep(3600)"])
        print("ready", flush=True)
        while True:
            sys.stdin.read(1)
"""


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def one_op_graph(tmp_path: Path) -> Path:
    """Return a graph without real inputs, enough for Triton to start a model process."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", 2])
    result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph([helper.make_node("Identity", ["context"], ["scores"])], "one", [value], [result])
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


@pytest.fixture
def parent(tmp_path: Path, one_op_graph: Path) -> Iterator["subprocess.Popen[str]"]:
    """Return a process that runs a stack in HOME=tmp_path/home."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path / "home"), str(one_op_graph)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_process_survives_its_parent(
    parent: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    home = tmp_path / "home"
    left = psutil.Process(parent.pid).children(recursive=True)
    names = {one.name() for one in left}
    assert {"redis-server", "tritonserver", "triton_python_backend_stub"} <= names | {
        Path(one.cmdline()[0]).name for one in left if one.cmdline()
    }
    parent.send_signal(number)
    until(lambda: not running(left), f"the end of {running(left)} after {number.name}")
    parent.wait(10)
    assert (home / "stack.json").exists() == (number == signal.SIGKILL)
    assert not list(Path("/dev/shm").glob(f"*millrace-{parent.pid}-*")) or number == signal.SIGKILL  # noqa: S108


def test_a_killed_stack_is_taken_over(parent: "subprocess.Popen[str]", tmp_path: Path) -> None:
    parent.kill()
    parent.wait()
    with EmbeddedStack(tmp_path / "home", triton=False) as stack:
        former = json.loads((tmp_path / "home" / "stack.json").read_text())["parent"]
        assert former == os.getpid()
        assert stack.settings.triton_url == "in-process"


def test_a_second_stack_in_the_same_folder_is_refused(parent: "subprocess.Popen[str]", tmp_path: Path) -> None:
    before = (tmp_path / "home" / "stack.json").read_text()
    with pytest.raises(FatalError, match=rf"already running in .*process {parent.pid}") as caught:
        EmbeddedStack(tmp_path / "home").start()
    assert "\n" not in str(caught.value)
    assert (tmp_path / "home" / "stack.json").read_text() == before
    assert parent.poll() is None


def test_others_find_the_servers_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with EmbeddedStack(tmp_path, overrides={"list_length": 7}) as stack:
        assert time.monotonic() - begun < 6.0
        found = load_settings(home=tmp_path)
        for name in ("kafka_bootstrap", "redis_url", "triton_url", "kafka_fetch_wait_ms", "triton_repository"):
            assert getattr(found, name) == getattr(stack.settings, name)
        assert found.event_log_url == stack.settings.event_log_url == f"sqlite:///{tmp_path / 'events.sqlite'}"
        assert found.list_length == 7
        monkeypatch.setenv("MILLRACE_LIST_LENGTH", "9")
        assert load_settings(home=tmp_path).list_length == 9
        addresses = [found.kafka_bootstrap, found.redis_url.removesuffix("/0"), found.triton_url]
        ports = [int(address.rpartition(":")[2]) for address in addresses]
        assert all(answers(port) for port in ports)
        children = [psutil.Process(child.pid) for child in stack.children]
    assert not running(children)
    assert not any(answers(port) for port in ports)
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize("field", ["redis", "triton_grpc", "triton_http", "triton_metrics"])
def test_a_busy_port_is_one_sentence_and_leaves_nothing(tmp_path: Path, field: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = EmbeddedStack(tmp_path, ports=FixedPorts(**{field: port}))
        with pytest.raises(FatalError, match=f"^Port {port}, asked for ") as caught:
            stack.start()
    assert "\n" not in str(caught.value)
    assert not [child for child in stack.children if child.alive]
    assert not (tmp_path / "stack.json").exists()
    # The folder is free again.
    with EmbeddedStack(tmp_path, triton=False):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match=r"file/home cannot be used"):
        EmbeddedStack(tmp_path / "file" / "home").start()


def test_a_full_disk_is_noticed_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_home, "MIN_FREE_BYTES", 2**60)
    stack = EmbeddedStack(tmp_path)
    with pytest.raises(FatalError, match=r"^Only \d+ MB are free in "):
        stack.start()
    assert stack.children == []


def test_a_disk_that_fills_up_while_starting_ends_what_had_started(tmp_path: Path) -> None:
    # Writing to this device fails as on a full disk; the file is the last thing a start writes.
    (tmp_path / "stack.new").symlink_to("/dev/full")
    stack = EmbeddedStack(tmp_path)
    with pytest.raises(FatalError, match=r"stack\.json cannot be written: No space left on device\.$"):
        stack.start()
    assert stack.children
    assert not [child for child in stack.children if child.alive]
    assert not (tmp_path / "stack.json").exists()


def test_a_failing_server_is_one_sentence_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = EmbeddedStack(tmp_path)
    assert stack.triton is not None
    monkeypatch.setattr(stack.triton, "_options", lambda backends: ["--no-such-option"])
    with pytest.raises(FatalError, match=r"^triton ended with code \d+ while starting: .*triton\.log") as caught:
        stack.start()
    assert "\n" not in str(caught.value)
    assert not [child for child in stack.children if child.alive]


def test_without_triton_for_this_machine_models_run_in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with EmbeddedStack(tmp_path) as stack:
        assert stack.settings.triton_url == "in-process"
        (note,) = stack.notes
    assert "Linux x86-64 only" in note


def test_numpy_2_is_refused_where_it_would_garble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.1.0")
    with pytest.raises(FatalError, match=r"garbles tensors .* numpy 2\.1\.0 is installed: pip install numpy==1\.26\.4"):
        EmbeddedStack(tmp_path).start()


def test_what_an_earlier_run_left_is_set_aside_or_deleted(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").write_text("old")
    with EmbeddedStack(tmp_path, triton=False) as stack:
        assert not (tmp_path / "events.sqlite").exists()
        assert "was moved to" in stack.notes[-1]
    (kept,) = (tmp_path / "earlier").glob("*/events.sqlite")
    assert kept.read_text() == "old"
    (tmp_path / "events.sqlite").write_text("new")
    with EmbeddedStack(tmp_path, triton=False, fresh=True):
        assert not (tmp_path / "events.sqlite").exists()
    assert list((tmp_path / "earlier").glob("*/events.sqlite")) == [kept]


def test_a_role_gets_the_settings_and_its_log(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path, triton=False) as stack:
        code = "from millrace.kernel.settings import load_settings as s; print(s().redis_url, s().home)"
        child = stack.spawn("role", [sys.executable, "-c", code])
        assert child.wait(10)
        assert child.exit_code == 0
        assert child.last_words() == f"{stack.settings.redis_url} {tmp_path}"
        assert child.log_path == tmp_path / "logs" / "role.log"


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Any] = []
    thread = threading.Thread(target=lambda: started.append(start_child("sleep", ["sleep", "3600"], tmp_path)))
    thread.start()
    thread.join()
    (child,) = started
    try:
        assert not child.wait(0.5)
    finally:
        child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed_with_what_it_started(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; sleep 3600 & echo started; while true; do wait; done"
    child = start_child("stubborn", ["sh", "-c", stubborn], tmp_path)
    until(lambda: child.last_words() == "started", "its start")
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    child.stop(deadline_s=0.2)
    assert child.exit_code == -signal.SIGKILL
    until(lambda: not running(family), "the end of its family")


def test_cpu_seconds_count_what_a_child_started(tmp_path: Path) -> None:
    # More than is asked for below: the kernel counts in ticks of 10 ms, per process.
    burn = "import time\nwhile time.process_time() < 0.6: pass"
    child = start_child("burner", ["sh", "-c", f"'{sys.executable}' -c '{burn}'; sleep 3600"], tmp_path)
    try:
        until(lambda: child.cpu_seconds() >= 0.3, "0.3 s of CPU")
        assert child.rss_bytes() > 0
    finally:
        child.stop()
    assert child.cpu_seconds() >= 0.3


def test_a_program_that_does_not_exist_says_so(tmp_path: Path) -> None:
    child = start_child("ghost", ["no-such-program"], tmp_path)
    assert child.wait(10)
    assert child.exit_code == 127
    assert child.last_words() == "no-such-program could not be started: No such file or directory."
