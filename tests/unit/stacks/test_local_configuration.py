"""What the local stack tells its servers, and which stacks there are."""

import re
from pathlib import Path

import pytest

from millrace.apps.stacks import local
from millrace.apps.stacks.choosing import StackOptions, make_stack, measuring_home
from millrace.apps.stacks.embedded import EmbeddedStack
from millrace.apps.stacks.kafka_server import KafkaCluster
from millrace.apps.stacks.local import LocalStack
from millrace.kernel.errors import ConfigurationError, FatalError


def test_three_brokers_replicate_and_survive_one(tmp_path: Path) -> None:
    cluster = KafkaCluster(tmp_path, tmp_path / "kafka", brokers=3)
    configurations = [cluster.properties(broker.number) for broker in cluster.brokers]
    voters = {str(each["controller.quorum.voters"]) for each in configurations}
    assert len(voters) == 1
    assert voters.pop().count(",") == 2
    for each in configurations:
        assert each["default.replication.factor"] == each["offsets.topic.replication.factor"] == 3
        assert each["min.insync.replicas"] == 2
    ports = re.findall(r":(\d+)", "".join(str(each["listeners"]) for each in configurations))
    assert len(set(ports)) == 6
    assert len(cluster.bootstrap.split(",")) == 3


def test_one_broker_keeps_one_copy(tmp_path: Path) -> None:
    properties = KafkaCluster(tmp_path, tmp_path / "kafka").properties(1)
    assert properties["default.replication.factor"] == properties["min.insync.replicas"] == 1
    assert properties["auto.create.topics.enable"] == "false"


def test_another_number_of_brokers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="1 or 3 brokers, not 2"):
        KafkaCluster(tmp_path, tmp_path / "kafka", brokers=2)
    (tmp_path / "kafka" / "broker-1").mkdir(parents=True)
    with pytest.raises(FatalError, match="holds the topics of 1 brokers; start it with --brokers 1"):
        KafkaCluster(tmp_path, tmp_path / "kafka", brokers=3).properties(1)


def test_a_cluster_keeps_its_id(tmp_path: Path) -> None:
    first = KafkaCluster(tmp_path, tmp_path / "kafka").cluster_id()
    assert KafkaCluster(tmp_path, tmp_path / "kafka").cluster_id() == first
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", first)


def test_a_name_chooses_the_stack(tmp_path: Path) -> None:
    assert isinstance(make_stack("embedded", tmp_path), EmbeddedStack)
    chosen = make_stack("local", tmp_path, StackOptions(brokers=3))
    assert isinstance(chosen, LocalStack)
    assert chosen.kafka.replicas == 3
    with pytest.raises(ConfigurationError, match="--stack local --brokers 3"):
        make_stack("embedded", tmp_path, StackOptions(brokers=3))
    with pytest.raises(ConfigurationError, match="There is no stack external to start here"):
        make_stack("external", tmp_path)


def test_measurements_of_two_stacks_do_not_share_a_folder() -> None:
    assert measuring_home("demo", "embedded") != measuring_home("demo", "local")


def test_an_embedded_stack_leaves_a_local_ones_models_alone(tmp_path: Path) -> None:
    (tmp_path / local.DATA_DIR).mkdir()
    (tmp_path / "models").mkdir()
    with pytest.raises(FatalError, match="holds the data of a local stack"):
        EmbeddedStack(tmp_path, triton=False).start()
    assert (tmp_path / "models").exists()


class FullDisk:
    """Stands for a server that has ended and finds no room to start."""

    name = "cassandra"

    def __init__(self) -> None:
        self.child = self
        self.alive, self.exit_code = False, 3
        self.full, self.starts = True, 0

    def last_words(self) -> str:
        return "no space left"

    def stop(self) -> None:
        """It has ended."""

    def start(self) -> None:
        self.starts += 1
        if self.full:
            raise OSError(28, "No space left on device")
        self.alive = True


def test_a_server_without_room_to_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, server = LocalStack(tmp_path, triton=False), FullDisk()
    monkeypatch.setattr(stack, "_services", [server])
    monkeypatch.setattr(stack, "_publish", lambda: None)
    monkeypatch.setattr("millrace.apps.stacks.restart_backoff.RestartBackoff.due", lambda _: True)
    assert stack.supervise() == [
        "cassandra ended with code 3 and cannot be started yet (No space left on device); it is tried again."
    ]
    server.full = False
    assert stack.supervise() == ["cassandra ended with code 3 and was started again (no space left)."]
    assert stack.supervise() == []
    assert server.starts == 2
